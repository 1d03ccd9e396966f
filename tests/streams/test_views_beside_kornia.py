"""Views are those of kornia, an implementation of others, with the same parameters; without kornia this is skipped."""

import math

import pytest
import torch
from tests.bounds import rounding
from torch import Tensor

from hyperlearning.streams.augmentation import blur
from hyperlearning.streams.views import Boxes, change_colours, crop_and_resize, pad_and_crop, solarize_some, turn_hue

kornia = pytest.importorskip("kornia", reason="kornia, the other implementation, is not installed (extra `dev`)")

ROUNDING = {"rtol": 0.0, "atol": rounding(torch.float32, 100)}
NUM, SIDE = 24, 16


def drawn() -> Tensor:
    return torch.rand(NUM, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def unit(seed: int) -> Tensor:
    return torch.rand(NUM, generator=torch.Generator().manual_seed(seed))


def corners_of(boxes: Boxes) -> Tensor:
    """As kornia has them: (N, 4, 2), clockwise from the upper left, the last pixel included."""
    right, bottom = boxes.left + boxes.width - 1, boxes.top + boxes.height - 1
    pairs = [(boxes.left, boxes.top), (right, boxes.top), (right, bottom), (boxes.left, bottom)]
    return torch.stack([torch.stack(pair, -1) for pair in pairs], 1)


def test_boxes_are_resized_as_by_kornia():
    width, height = 1 + (unit(1) * SIDE).floor(), 1 + (unit(2) * SIDE).floor()
    boxes = Boxes((unit(3) * (SIDE - width)).floor(), (unit(4) * (SIDE - height)).floor(), width, height)
    theirs = kornia.augmentation.RandomResizedCrop((SIDE, SIDE), align_corners=False)
    params = theirs.forward_parameters(torch.Size([NUM, 3, SIDE, SIDE])) | {"src": corners_of(boxes)}
    found = crop_and_resize(drawn(), boxes, is_flipped=torch.zeros(NUM, dtype=torch.bool))
    torch.testing.assert_close(found, theirs(drawn(), params=params), **ROUNDING)


def test_shifts_are_those_of_kornia():
    left, top = (unit(1) * 7).floor(), (unit(2) * 7).floor()
    boxes = Boxes(left, top, torch.full((NUM,), float(SIDE)), torch.full((NUM,), float(SIDE)))
    theirs = kornia.augmentation.RandomCrop((SIDE, SIDE), padding=3, cropping_mode="slice")
    params = theirs.forward_parameters(torch.Size([NUM, 3, SIDE, SIDE])) | {"src": corners_of(boxes)}
    is_flipped = unit(3) < 0.5
    found = pad_and_crop(drawn(), left.long(), top.long(), padding=3, is_flipped=is_flipped)
    expected = theirs(drawn(), params=params)
    mirrored = kornia.geometry.transform.hflip(expected)
    torch.testing.assert_close(found, torch.where(is_flipped[:, None, None, None], mirrored, expected), **ROUNDING)


def test_colours_are_those_of_kornia():
    brightness, contrast, saturation, hue = 0.6 + 0.8 * unit(1), 0.6 + 0.8 * unit(2), 2 * unit(3), unit(4) - 0.5
    theirs = kornia.augmentation.ColorJitter(0.4, 0.4, 0.2, 0.1, p=1.0)
    params = theirs.forward_parameters(torch.Size([NUM, 3, SIDE, SIDE])) | {
        "brightness_factor": brightness,
        "contrast_factor": contrast,
        "saturation_factor": saturation,
        "hue_factor": hue,
        "order": torch.arange(4),
    }
    found = change_colours(drawn(), brightness, contrast, saturation, hue)
    # By way of hues as angles, which are rounded to a millionth.
    torch.testing.assert_close(found, theirs(drawn(), params=params), rtol=0, atol=1e-5)


def test_hues_turn_as_with_kornia():
    turns = 2 * unit(1) - 1
    torch.testing.assert_close(
        turn_hue(drawn(), turns), kornia.enhance.adjust_hue(drawn(), 2 * math.pi * turns), rtol=0, atol=1e-5
    )


def test_solarized_images_are_those_of_kornia():
    found = solarize_some(drawn(), torch.ones(NUM, dtype=torch.bool))
    torch.testing.assert_close(found, kornia.enhance.solarize(drawn(), 0.5, 0.0), **ROUNDING)


def test_blurred_images_are_those_of_kornia_away_from_the_border():
    sigma = 0.1 + 1.9 * unit(1)
    theirs = kornia.filters.gaussian_blur2d(drawn(), (15, 15), sigma[:, None].expand(NUM, 2))
    away = (..., slice(7, -7), slice(7, -7))
    # Beyond seven pixels a Gaussian of two has 5e-4 of its weight, which kornia leaves out and the border of 16 pixels cuts.
    torch.testing.assert_close(blur(drawn(), sigma)[away], theirs[away], rtol=0, atol=1e-3)
