"""Augmentation: each change against its closed form, what is off changes nothing, ranges, determinism."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.bounds import rounding
from torch import Tensor

from hyperlearning.streams.augmentation import (
    AUGMENTATIONS,
    Augmentation,
    Geometry,
    affine_matrices,
    blur,
    jitter,
    luma,
    resample,
    solarize,
    thicken,
)

ROUNDING = {"rtol": 0.0, "atol": rounding(torch.float32, 50)}
"""Composing a map and applying it to a place, in pixels, take about forty operations; the pixel between its neighbours eight."""


def _seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def _images(num: int = 5, channels: int = 1, side: int = 8):
    return torch.rand(num, channels, side, side, generator=_seeded(99))


def _geometry(num: int, **changes: Any):
    neutral = {
        "crop_width": 1.0,
        "crop_height": 1.0,
        "crop_x": 0.5,
        "crop_y": 0.5,
        "rotation": 0.0,
        "shear": 0.0,
        "zoom": 1.0,
        "move_x": 0.0,
        "move_y": 0.0,
        "is_flipped": False,
    }
    return Geometry(**{name: torch.full((num,), value) for name, value in (neutral | changes).items()})


def _moved(images: Tensor, **changes: Any):
    return resample(images, affine_matrices(_geometry(len(images), **changes)))


def test_no_augmentation_gives_the_very_images_back():
    images = _images()
    torch.testing.assert_close(Augmentation().apply(images, _seeded()), images, rtol=0, atol=0)


def test_neutral_parameters_give_the_images_back():
    images = _images(side=11)
    torch.testing.assert_close(_moved(images), images, **ROUNDING)
    torch.testing.assert_close(thicken(images, torch.zeros(5)), images, rtol=0, atol=0)
    torch.testing.assert_close(blur(images, torch.zeros(5)), images, rtol=0, atol=0)
    torch.testing.assert_close(jitter(images, torch.ones(5), torch.ones(5)), images, **ROUNDING)


@pytest.mark.parametrize("side", [7, 8])
@pytest.mark.parametrize("turns", [-1, 1, 2, 3])
def test_quarter_turns_are_those_of_rot90(turns: int, side: int):
    images = _images(channels=3, side=side)
    torch.testing.assert_close(_moved(images, rotation=90.0 * turns), images.rot90(turns, (2, 3)), **ROUNDING)


def test_a_flip_exchanges_left_and_right():
    images = _images()
    torch.testing.assert_close(_moved(images, is_flipped=True), images.flip(3), **ROUNDING)


def test_a_move_by_whole_pixels_shifts_and_leaves_the_ground_behind():
    moved = _moved(_images(), move_x=2 / 8, move_y=-1 / 8)
    expected = torch.zeros(5, 1, 8, 8)
    expected[:, :, :7, 2:] = _images()[:, :, 1:, :6]
    torch.testing.assert_close(moved, expected, **ROUNDING)


def test_a_quarter_of_the_area_in_the_corner_is_that_corner_enlarged():
    images = _images().round()
    crop = _moved(images, crop_width=0.5, crop_height=0.5, crop_x=1.0, crop_y=0.0)
    corner = images[:, :, :4, 4:]
    expected = torch.nn.functional.interpolate(corner, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(crop[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1], **ROUNDING)


def test_zoom_enlarges_about_the_centre():
    images = _images()
    crop = _moved(images, crop_width=0.5, crop_height=0.5)
    torch.testing.assert_close(_moved(images, zoom=2.0), crop, **ROUNDING)


def test_a_shear_of_45_degrees_moves_each_row_by_its_height():
    images = _images(side=7)
    sheared = _moved(images, shear=45.0)
    for row in range(7):
        shift = row - 3
        expected = torch.zeros(5, 7)
        for column in range(7):
            if 0 <= column - shift < 7:
                expected[:, column] = images[:, 0, row, column - shift]
        torch.testing.assert_close(sheared[:, 0, row], expected, **ROUNDING)


def test_a_move_comes_after_a_rotation():
    images = _images()
    expected = _moved(_moved(images, rotation=90.0), move_x=3 / 8)
    torch.testing.assert_close(_moved(images, rotation=90.0, move_x=3 / 8), expected, **ROUNDING)


def test_a_rotation_comes_after_a_flip():
    images = _images()
    expected = images.flip(3).rot90(1, (2, 3))
    torch.testing.assert_close(_moved(images, rotation=90.0, is_flipped=True), expected, **ROUNDING)


def test_every_image_has_its_own_parameters():
    geometry = _geometry(5)._replace(rotation=90.0 * torch.arange(5))
    images = _images()
    moved = resample(images, affine_matrices(geometry))
    for number in range(5):
        torch.testing.assert_close(moved[number], images[number].rot90(number, (1, 2)), **ROUNDING)


def test_a_lattice_that_moves_as_one_moves_the_image_by_whole_pixels():
    images = _images()
    two_pixels = torch.zeros(len(images), 2, 4, 4)
    two_pixels[:, 0] = 2 * 2 / 8
    bent = resample(images, affine_matrices(_geometry(len(images))), two_pixels)
    torch.testing.assert_close(bent[..., :-2], images[..., 2:], **ROUNDING)
    assert bent[..., -2:].abs().max() == 0


def test_a_bend_is_local_and_of_its_image_alone():
    images = _images(2, side=28)
    corner = torch.zeros(2, 2, 4, 4)
    corner[1, :, 0, 0] = 0.2
    bent = resample(images, affine_matrices(_geometry(2)), corner)
    torch.testing.assert_close(bent[0], images[0], **ROUNDING)
    torch.testing.assert_close(bent[1, :, 18:, 18:], images[1, :, 18:, 18:], **ROUNDING)
    assert (bent[1] - images[1])[:, :7, :7].abs().max() > 0.01


def test_elastic_bends_stay_in_their_range_and_fill_it():
    bends = Augmentation(elastic=0.05)._bends(_images(200), _seeded())
    assert bends.shape == (200, 2, 4, 4)
    assert 0.099 < bends.abs().max() <= 0.1
    assert bends.mean().abs() < 0.005


def test_a_full_dilation_and_half_an_erosion_are_those_of_pooling():
    images = _images()
    brightest = torch.nn.functional.max_pool2d(images, 3, 1, 1)
    darkest = -torch.nn.functional.max_pool2d(-images, 3, 1, 1)
    torch.testing.assert_close(thicken(images, torch.ones(5)), brightest, **ROUNDING)
    torch.testing.assert_close(thicken(images, -torch.ones(5)), (images + darkest) / 2, **ROUNDING)
    torch.testing.assert_close(thicken(images, torch.full((5,), 0.25)), 0.75 * images + 0.25 * brightest, **ROUNDING)


def test_a_line_of_one_pixel_becomes_three_or_half_as_bright():
    images = torch.zeros(1, 1, 7, 7)
    images[..., 3] = 1
    assert thicken(images, torch.ones(1))[0, 0, 3].tolist() == [0, 0, 1, 1, 1, 0, 0]
    assert thicken(images, -torch.ones(1))[0, 0, 3].tolist() == [0, 0, 0, 0.5, 0, 0, 0]


def test_the_blur_of_a_point_is_a_gaussian():
    images = torch.zeros(1, 1, 25, 25)
    images[..., 12, 12] = 1
    blurred = blur(images, torch.tensor([1.5]))[0, 0]
    across = torch.tensor([math.exp(-0.5 * ((place - 12) / 1.5) ** 2) for place in range(25)])
    across = across / across.sum()
    torch.testing.assert_close(blurred, across[:, None] * across, rtol=1e-4, atol=1e-7)


def test_blurring_keeps_a_constant_and_symmetry():
    torch.testing.assert_close(
        blur(torch.full((1, 3, 6, 6), 0.3), torch.ones(1)), torch.full((1, 3, 6, 6), 0.3), **ROUNDING
    )
    images = _images()
    width = torch.linspace(0.5, 2, 5)
    torch.testing.assert_close(blur(images.flip(3), width).flip(3), blur(images, width), **ROUNDING)


def test_solarizing_inverts_the_bright_half():
    values = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0, 0.125, 0.875, 0.375, 0.625]).reshape(1, 1, 3, 3)
    assert solarize(values).flatten().tolist() == [0.0, 0.25, 0.5, 0.25, 0.0, 0.125, 0.125, 0.375, 0.375]


def test_brightness_scales_and_contrast_scales_about_the_mean():
    images = _images() / 2
    torch.testing.assert_close(jitter(images, torch.full((5,), 1.5), torch.ones(5)), 1.5 * images, **ROUNDING)
    mean = images.mean((1, 2, 3), keepdim=True)
    flat = jitter(images, torch.ones(5), torch.full((5,), 0.5))
    torch.testing.assert_close(flat, (mean + images) / 2, **ROUNDING)
    grey = jitter(_images(channels=3), torch.ones(5), torch.zeros(5))
    torch.testing.assert_close(grey, luma(_images(channels=3)).mean((1, 2, 3), True).expand_as(grey), **ROUNDING)


def test_grey_images_have_three_equal_channels():
    images = _images(channels=3)
    grey = Augmentation(grey_prob=1.0).apply(images, _seeded())
    expected = 0.299 * images[:, 0] + 0.587 * images[:, 1] + 0.114 * images[:, 2]
    torch.testing.assert_close(grey, expected.unsqueeze(1).expand(-1, 3, -1, -1), **ROUNDING)


def test_greying_leaves_images_of_one_channel():
    images = _images()
    torch.testing.assert_close(Augmentation(grey_prob=1.0).apply(images, _seeded()), images, rtol=0, atol=0)


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(flip_prob=0.3),
        Augmentation(stroke_prob=0.3),
        Augmentation(jitter_prob=0.3, brightness=0.5),
        Augmentation(blur_prob=0.3),
        Augmentation(solarize_prob=0.3),
    ],
)
def test_as_many_images_change_as_the_probability_says(augmentation: Augmentation):
    images = _images(2000)
    change = (augmentation.apply(images, _seeded()) - images).abs().amax((1, 2, 3))
    # A blur below about a quarter of a pixel or a factor near 1 changes little: 15 % of the chosen may look unchanged.
    share = (change > 1e-4).float().mean().item()
    assert 0.85 * 0.3 - 0.04 < share < 0.3 + 0.04


@given(rotation=st.floats(1, 180), zoom=st.floats(0.5, 1), move=st.floats(0.01, 1), seed=st.integers(0, 1000))
def test_parameters_stay_in_their_ranges_and_fill_them(rotation: float, zoom: float, move: float, seed: int):
    augmentation = Augmentation(rotation=rotation, zoom=(zoom, 1.5), translation=move, crop_area=(0.1, 0.5))
    geometry = augmentation._geometry(torch.rand(10, 500, generator=_seeded(seed)))
    for values, low, high in (
        (geometry.rotation, -rotation, rotation),
        (geometry.zoom, zoom, 1.5),
        (geometry.move_x, -move, move),
        (geometry.crop_width * geometry.crop_height, 0.1, 0.5),
    ):
        slack = 1e-5 * high
        assert low - slack <= values.min() <= low + 0.05 * (high - low)
        assert high + slack >= values.max() >= high - 0.05 * (high - low)


@given(seed=st.integers(0, 1000))
def test_a_crop_lies_within_the_image(seed: int):
    augmentation = Augmentation(crop_area=(0.08, 1.0), crop_aspect=(3 / 4, 4 / 3))
    matrices = affine_matrices(augmentation._geometry(torch.rand(10, 50, generator=_seeded(seed))))
    corners = torch.tensor([[-1.0, -1.0, 1.0], [1.0, 1.0, 1.0], [-1.0, 1.0, 1.0], [1.0, -1.0, 1.0]])
    assert (matrices @ corners.T).abs().max() <= 1 + 1e-5


NAMED = {name: augmentation for name, augmentation in AUGMENTATIONS.items() if augmentation}
each_augmentation = pytest.mark.parametrize("augmentation", NAMED.values(), ids=NAMED)


@pytest.mark.parametrize("channels", [1, 3])
@each_augmentation
def test_every_augmentation_changes_all_images_within_0_and_1_and_leaves_its_inputs(
    augmentation: Augmentation, channels: int
):
    images = torch.cat([_images(200, channels, side=28), torch.ones(200, channels, 28, 28)])
    before = images.clone()
    changed = augmentation.apply(images, _seeded())
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert (changed - images)[:200].abs().amax((1, 2, 3)).min() > 0
    torch.testing.assert_close(images, before, rtol=0, atol=0)


@each_augmentation
def test_of_every_augmentation_the_seed_decides_everything(augmentation: Augmentation):
    first, same, other = (augmentation.apply(_images(), _seeded(seed)) for seed in (0, 0, 1))
    torch.testing.assert_close(first, same, rtol=0, atol=0)
    assert (first - other).abs().max() > 0.1


@each_augmentation
def test_every_augmentation_makes_no_images_of_none(augmentation: Augmentation):
    assert augmentation.apply(torch.zeros(0, 3, 8, 8), _seeded()).shape == (0, 3, 8, 8)


def test_one_change_does_not_alter_what_another_one_draws():
    images = _images(50)
    turned = Augmentation(rotation=30.0).apply(images, _seeded())
    both = Augmentation(rotation=30.0, solarize_prob=1.0).apply(images, _seeded())
    torch.testing.assert_close(both, solarize(turned), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flip_prob": 1.1}, r"`flip_prob` from 0.0 to 1.0, a lower bound first, but got \[1.1\]"),
        ({"blur_prob": float("nan")}, "`blur_prob` from"),
        ({"rotation": -1.0}, r"`rotation` from 0.0 to 180.0"),
        ({"shear": 90.0}, r"`shear` from 0.0 to 89.0"),
        ({"zoom": (1.2, 0.8)}, r"`zoom` from 0.1 to 10.0, a lower bound first, but got \[1.2, 0.8\]"),
        ({"crop_area": (0.0, 1.0)}, "`crop_area` from 0.001 to 1.0"),
        (
            {"jitter_prob": 0.5},
            "`jitter_prob` and `brightness` or `contrast`, or none of them, but got 0.5, 0.0 and 0.0",
        ),
        ({"brightness": 0.5}, "but got 0.0, 0.5 and 0.0"),
    ],
)
def test_augmentations_that_cannot_be_are_refused(options: Any, message: str):
    with pytest.raises(ValueError, match=message):
        Augmentation(**options)
