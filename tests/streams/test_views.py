"""Views: each change against its closed form, what is off changes nothing, ranges, determinism."""

import colorsys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.bounds import rounding
from torch import Tensor

from hyperlearning.streams import views
from hyperlearning.streams.augmentation import blur, luma, solarize
from hyperlearning.streams.views import (
    BARLOW_TWINS,
    CHARACTERS,
    SMALL_PHOTOS,
    Boxes,
    Distortion,
    ShiftAndFlip,
    change_colours,
    crop_and_resize,
    fitting_sizes,
    pad_and_crop,
    place_boxes,
    solarize_some,
    turn_hue,
    two_views,
)

ROUNDING = {"rtol": 0.0, "atol": rounding(torch.float32, 50)}
NOTHING = Distortion(
    crop_area=(1.0, 1.0), crop_aspect=(1.0, 1.0), flip_prob=0.0, jitter_prob=0.0, brightness=0.0, contrast=0.0, saturation=0.0,
    hue=0.0, grey_prob=0.0,
)  # fmt: skip
Apply = Callable[[Tensor, torch.Generator], Tensor]
EVERY: dict[str, Distortion | ShiftAndFlip] = {
    "first of the authors": BARLOW_TWINS[0],
    "second of the authors": BARLOW_TWINS[1],
    "first of small photos": SMALL_PHOTOS[0],
    "second of small photos": SMALL_PHOTOS[1],
    "first of characters": CHARACTERS[0],
    "second of characters": CHARACTERS[1],
    "shift and flip": ShiftAndFlip(),
    "shift": ShiftAndFlip(padding=3, flip_prob=0.0),
}
"""Every way to change images: being listed here is passing the contract below."""

each = pytest.mark.parametrize("way", EVERY.values(), ids=EVERY)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(num: int = 5, channels: int = 3, side: int = 8) -> Tensor:
    return torch.rand(num, channels, side, side, generator=seeded(99))


def flags(*values: bool) -> Tensor:
    return torch.tensor(values)


@each
def test_the_same_generator_gives_the_same_views_and_another_gives_others(way: Distortion | ShiftAndFlip):
    images = drawn(16)
    first, same, other = (way.apply(images, seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@each
def test_every_image_is_changed_in_its_own_way(way: Distortion | ShiftAndFlip):
    changed = way.apply(drawn(1).expand(12, -1, -1, -1), seeded())
    assert len(changed.flatten(1).unique(dim=0)) > 6


@each
@pytest.mark.parametrize("channels", [1, 3])
def test_views_keep_shape_and_range_and_leave_their_images_as_they_were(way: Distortion | ShiftAndFlip, channels: int):
    images = drawn(20, channels)
    kept = images.clone()
    changed = way.apply(images, seeded())
    assert torch.equal(images, kept)
    assert changed.shape == images.shape
    assert 0 <= float(changed.min()) < float(changed.max()) <= 1


@each
def test_no_images_have_no_views(way: Distortion | ShiftAndFlip):
    assert way.apply(drawn(0), seeded()).shape == (0, 3, 8, 8)


@pytest.mark.parametrize("way", [BARLOW_TWINS[1], SMALL_PHOTOS[1], CHARACTERS[1]])
def test_how_many_are_changed_at_a_time_alters_no_bit(way: Distortion, monkeypatch: pytest.MonkeyPatch):
    images = drawn(23)
    together = way.apply(images, seeded())
    monkeypatch.setattr(views, "_PIECE", 5 * images[0].numel())
    assert torch.equal(way.apply(images, seeded()), together)


def test_what_is_off_changes_nothing():
    torch.testing.assert_close(NOTHING.apply(drawn(), seeded()), drawn(), **ROUNDING)
    assert torch.equal(ShiftAndFlip(padding=0, flip_prob=0.0).apply(drawn(), seeded()), drawn())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"flip_prob": 1.0}, lambda images: images.flip(3)),
        ({"grey_prob": 1.0}, luma),
        ({"solarize_prob": 1.0}, solarize),
        ({"blur_prob": 1.0, "blur_sigma": (0.7, 0.7)}, lambda images: blur(images, torch.full((5,), 0.7))),
    ],
)
def test_what_is_certain_happens_to_every_image(changes: dict[str, Any], expected: Callable[[Tensor], Tensor]):
    changed = replace(NOTHING, **changes).apply(drawn(), seeded())
    torch.testing.assert_close(changed, expected(drawn()).expand(5, 3, 8, 8), **ROUNDING)


def test_a_change_is_made_as_often_as_its_probability_says_and_alters_no_other():
    images = drawn(1, side=2).expand(4000, -1, -1, -1)
    flipped = replace(NOTHING, flip_prob=0.3).apply(images, seeded())
    is_flipped = (flipped - images.flip(3)).abs().amax((1, 2, 3)) < 1e-5
    assert 0.3 == pytest.approx(float(is_flipped.float().mean()), abs=0.03)
    both = replace(NOTHING, flip_prob=0.3, grey_prob=0.5).apply(images, seeded())
    torch.testing.assert_close(luma(both), luma(flipped), **ROUNDING)


def test_two_views_are_of_the_same_images_and_independent():
    images = drawn(40)
    first, second = two_views(images, seeded(), (SMALL_PHOTOS[0], SMALL_PHOTOS[0]))
    assert torch.equal(first, SMALL_PHOTOS[0].apply(images, seeded()))
    assert (first - second).abs().amax((1, 2, 3)).gt(1e-3).sum() > 30


def test_a_shift_moves_rows_and_columns_and_leaves_black_behind():
    images = drawn()
    shifts = torch.tensor([2, 3, 1, 2, 4])
    moved = pad_and_crop(images, shifts, torch.full((5,), 2), padding=2, is_flipped=flags(False).expand(5))
    assert torch.equal(moved[0], images[0])
    assert torch.equal(moved[1, :, :, :-1], images[1, :, :, 1:])
    assert float(moved[1, :, :, -1].abs().max()) == 0
    assert torch.equal(moved[2, :, :, 1:], images[2, :, :, :-1])
    assert torch.equal(moved[4, :, :, :-2], images[4, :, :, 2:])


def test_a_shift_is_flipped_afterwards():
    left, top = torch.tensor([0, 1, 2, 3, 4]), torch.tensor([4, 3, 2, 1, 0])
    as_is, mirrored = (
        pad_and_crop(drawn(), left, top, padding=2, is_flipped=flags(way).expand(5)) for way in (False, True)
    )
    assert torch.equal(mirrored, as_is.flip(3))


def test_shifts_are_of_every_size_up_to_the_padding_and_equally_likely():
    images = torch.zeros(9000, 1, 5, 5)
    images[:, :, 2, 2] = 1
    moved = ShiftAndFlip(padding=1, flip_prob=0.0).apply(images, seeded()).mean((0, 1))
    torch.testing.assert_close(moved[1:4, 1:4], torch.full((3, 3), 1 / 9), rtol=0, atol=0.02)


def test_the_whole_image_as_a_box_is_the_image():
    whole = Boxes(torch.zeros(5), torch.zeros(5), torch.full((5,), 8.0), torch.full((5,), 8.0))
    torch.testing.assert_close(crop_and_resize(drawn(), whole, is_flipped=flags(False).expand(5)), drawn(), **ROUNDING)


def test_a_box_is_resized_as_if_it_stood_alone():
    left, top, width, height = (
        [float(v) for v in row] for row in ((0, 3, 5, 1, 7), (2, 0, 4, 7, 0), (8, 5, 3, 2, 1), (6, 8, 4, 1, 2))
    )
    boxes = Boxes(*(torch.tensor(row) for row in (left, top, width, height)))
    is_flipped = flags(False, True, False, True, False)
    for index, found in enumerate(crop_and_resize(drawn(), boxes, is_flipped=is_flipped)):
        x, y, w, h = (int(row[index]) for row in (left, top, width, height))
        crop = drawn()[index : index + 1, :, y : y + h, x : x + w]
        expected = torch.nn.functional.interpolate(crop, (8, 8), mode="bilinear", align_corners=False)[0]
        torch.testing.assert_close(found, expected.flip(2) if is_flipped[index] else expected, **ROUNDING)


@given(
    st.integers(1, 40),
    st.tuples(st.floats(0.01, 1.0), st.floats(0.01, 1.0)).map(sorted),
    st.tuples(st.floats(0.2, 5.0), st.floats(0.2, 5.0)).map(sorted),
)
def test_boxes_are_within_their_images(side: int, area: list[float], aspect: list[float]):
    source = seeded()
    sizes = fitting_sizes(torch.rand(2, 10, 50, generator=source), (area[0], area[1]), (aspect[0], aspect[1]), side)
    corners = torch.rand(2, 50, generator=source)
    corners[:, 0], corners[:, 1] = 0.0, 1.0
    boxes = place_boxes(*sizes, corners[0], corners[1], side)
    assert all(bool((value == value.round()).all()) for value in boxes)
    assert float(torch.stack([boxes.left, boxes.top]).min()) >= 0
    assert float(torch.stack([boxes.width, boxes.height]).min()) >= 1
    assert float(torch.stack([boxes.left + boxes.width, boxes.top + boxes.height]).max()) <= side


def test_sizes_have_the_areas_and_aspects_asked_for():
    side = 1000
    width, height = fitting_sizes(torch.rand(2, 10, 4000, generator=seeded()), (0.1, 0.5), (0.5, 2.0), side)
    areas, aspects = width * height / side**2, width / height
    assert 0.1 == pytest.approx(float(areas.min()), abs=0.005)
    assert 0.5 == pytest.approx(float(areas.max()), abs=0.005)
    assert 0.5 == pytest.approx(float(aspects.min()), abs=0.01)
    assert 2.0 == pytest.approx(float(aspects.max()), abs=0.03)
    assert 0.0 == pytest.approx(float(aspects.log().mean()), abs=0.03)


def test_a_box_that_never_fits_is_the_whole_image():
    width, height = fitting_sizes(torch.rand(2, 10, 7, generator=seeded()), (1.0, 1.0), (2.0, 3.0), 8)
    assert width.tolist() == height.tolist() == [8.0] * 7


def test_the_first_try_that_fits_is_taken():
    tries = torch.tensor([[[1.0], [0.0], [0.5]], [[1.0], [0.0], [0.5]]])
    width, height = fitting_sizes(tries, (0.25, 1.0), (1.0, 4.0), 8)
    assert (width.tolist(), height.tolist()) == ([4.0], [4.0])


def test_factors_of_one_change_no_colour():
    one = torch.ones(5)
    torch.testing.assert_close(change_colours(drawn(), one, one, one, 0 * one), drawn(), **ROUNDING)


def test_colours_change_in_their_closed_forms():
    one, factors = torch.ones(5), torch.tensor([0.0, 0.5, 1.0, 1.3, 2.0])
    spread, images = factors[:, None, None, None], drawn()
    bright = change_colours(images, factors, one, one, 0 * one)
    torch.testing.assert_close(bright, (images * spread).clamp(0, 1), **ROUNDING)
    mean, grey = luma(images).mean((1, 2, 3), keepdim=True), luma(images)
    contrasty = change_colours(images, one, factors, one, 0 * one)
    torch.testing.assert_close(contrasty, (mean + spread * (images - mean)).clamp(0, 1), **ROUNDING)
    saturated = change_colours(images, one, one, factors, 0 * one)
    torch.testing.assert_close(saturated, (grey + spread * (images - grey)).clamp(0, 1), **ROUNDING)


def test_grey_images_have_neither_saturation_nor_hue():
    one = torch.ones(5)
    images = drawn(channels=1)
    torch.testing.assert_close(change_colours(images, one, one, 0 * one, 0.3 * one), images, **ROUNDING)


@given(
    st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3),
    st.floats(-1, 1, width=32),
)
def test_a_turned_hue_is_that_of_the_standard_library(pixel: list[float], turns: float):
    hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
    expected = colorsys.hsv_to_rgb((hue + turns) % 1.0, saturation, value)
    image = torch.tensor(pixel, dtype=torch.float64)[None, :, None, None]
    found = turn_hue(image, torch.tensor([turns], dtype=torch.float64)).flatten()
    assert found.tolist() == pytest.approx(list(expected), abs=1e-12)


def test_hues_turn_all_the_way_round_and_thirds_of_a_turn_exchange_channels():
    images = drawn()
    torch.testing.assert_close(turn_hue(images, torch.ones(5)), images, **ROUNDING)
    torch.testing.assert_close(turn_hue(images, torch.full((5,), 1 / 3)), images.roll(1, 1), **ROUNDING)


def test_black_white_and_grey_have_no_hue_to_turn():
    images = torch.tensor([0.0, 1.0, 0.5, 1e-30])[:, None, None, None].expand(4, 3, 2, 2).contiguous()
    assert torch.equal(turn_hue(images, torch.full((4,), 0.4)), images)


def test_only_chosen_images_are_solarized():
    images = torch.cat([drawn(), torch.tensor([0.0, 0.5, 1.0])[:, None, None, None].expand(3, 3, 8, 8)])
    chosen = flags(True, False, True, False, True, True, True, True)
    found = solarize_some(images, chosen)
    torch.testing.assert_close(found[chosen], solarize(images[chosen]), rtol=0, atol=0)
    torch.testing.assert_close(found[~chosen], images[~chosen], **ROUNDING)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop_area": (0.5, 0.2)}, "`crop_area` to begin with its lower bound"),
        ({"crop_area": (0.0, 0.2)}, "`crop_area` to be from 0.001 to 1 throughout"),
        ({"crop_aspect": (0.0, 1.0)}, "`crop_aspect` to be positive"),
        ({"blur_sigma": (2.0, 1.0)}, "`blur_sigma` to begin"),
        ({"hue": 0.6}, "`hue` to be from 0 to 0.5"),
        ({"solarize_prob": 1.1}, "`solarize_prob` to be from 0 to 1"),
        ({"jitter_prob": 0.0}, "Expected `jitter_prob` and some of"),
        ({"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}, "Expected `jitter_prob` and some of"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        Distortion(**settings)


def test_a_shift_by_less_than_nothing_is_refused():
    with pytest.raises(ValueError, match="`padding` to be non-negative"):
        ShiftAndFlip(padding=-1)
