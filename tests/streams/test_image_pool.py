"""Pools of images by class: order, conversion, rotation, subsets, bad data sets."""

import os
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hyperlearning.data.catalogue import CATALOGUE
from hyperlearning.data.images import ImageSet, load
from hyperlearning.data.prepared import split_path
from hyperlearning.streams.image_pool import ImagePool, image_pool, subset, with_rotated_classes

ROOT = os.environ.get("HYPERLEARNING_DATA", "")


def image_set(labels: list[int], *, side: int = 4, channels: int = 1, name: str = "made", **changes: Any):
    """A data set whose image number n has n in its first two pixels, as n // 256 and n % 256."""
    numbers = torch.arange(len(labels))
    images = torch.zeros(len(labels), channels, side, side, dtype=torch.uint8)
    images[:, :, 0, 0] = (numbers // 256).to(torch.uint8)[:, None]
    images[:, :, 0, 1] = (numbers % 256).to(torch.uint8)[:, None]
    settings = {
        "name": name,
        "split": "train",
        "images": images,
        "labels": torch.tensor(labels, dtype=torch.int64),
        "num_classes": max(labels, default=0) + 1,
        "class_names": (),
        "ids": MappingProxyType({}),
        "num_published": len(labels),
    }
    return ImageSet(**(settings | changes))


def _numbers(pool: ImagePool):
    pixels = pool.images[:, 0, 0, :2].long()
    return (256 * pixels[:, 0] + pixels[:, 1]).tolist()


def _of_class(pool: ImagePool, number: int):
    first = int(pool.first[number])
    return pool.images[first : first + int(pool.counts[number])]


def _seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=40).map(
    lambda drawn: [sorted(set(drawn)).index(label) for label in drawn]
)


@given(labels=LABELS)
def test_each_class_is_a_slice_of_its_images_in_their_order(labels: list[int]):
    pool = image_pool([image_set(labels)])
    expected = [number for label in range(max(labels) + 1) for number, own in enumerate(labels) if own == label]
    assert _numbers(pool) == expected
    assert pool.counts.tolist() == [labels.count(label) for label in range(max(labels) + 1)]
    assert pool.first.tolist() == [sum(pool.counts[:label].tolist()) for label in range(pool.num_classes)]


def test_classes_of_several_sets_follow_one_another_and_know_their_source():
    pool = image_pool([image_set([1, 0]), image_set([0, 1, 1, 2], name="other")])
    assert pool.num_classes == 5
    assert pool.source.tolist() == [0, 0, 1, 1, 1]
    assert pool.source_names == ("made/train", "other/train")
    assert pool.counts.tolist() == [1, 1, 1, 2, 1]
    assert _numbers(pool) == [1, 0, 0, 1, 2, 3]


def test_grey_becomes_colour_by_repeating_it():
    grey = image_set([0, 1])
    pool = image_pool([grey], channels=3)
    torch.testing.assert_close(pool.images, grey.images.repeat(1, 3, 1, 1), rtol=0, atol=0)


def test_colour_becomes_grey_by_its_luma():
    colours = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], dtype=torch.uint8)
    images = colours[:, :, None, None].repeat(1, 1, 4, 4)
    pool = image_pool([image_set([0, 0, 0, 0], images=images)], channels=1)
    assert pool.images[:, 0, 0, 0].tolist() == [76, 150, 29, 255]
    assert pool.images.shape == (4, 1, 4, 4)


def test_half_the_side_is_about_the_mean_of_four_pixels_away_from_the_border():
    images = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    images[..., 4:] = 200
    resized = image_pool([image_set([0], images=images)], side=4).images[0, 0]
    # The antialiased triangle of width 2 reaches one fourth of the way across: 1/8 of its mass lies beyond the edge.
    assert resized[1].tolist() == [0, 25, 175, 200]


@pytest.mark.parametrize("side", [3, 8, 9])
def test_a_constant_image_stays_constant_at_any_side(side: int):
    images = torch.full((2, 3, 8, 8), 77, dtype=torch.uint8)
    resized = image_pool([image_set([0, 1], images=images)], side=side).images
    assert resized.shape == (2, 3, side, side)
    assert resized.unique().tolist() == [77]


def test_rotated_classes_are_quarter_turns_of_the_originals():
    pool = image_pool([image_set([0, 1, 1])])
    rotated = with_rotated_classes(pool)
    assert rotated.num_classes == 8
    for turns in range(4):
        for number in range(2):
            expected = _of_class(pool, number).rot90(turns, (2, 3))
            torch.testing.assert_close(_of_class(rotated, turns * 2 + number), expected, rtol=0, atol=0)
    assert rotated.source.tolist() == [0] * 8


@given(labels=LABELS, seed=st.integers(0, 100))
def test_a_subset_holds_the_images_of_its_classes_in_the_order_given(labels: list[int], seed: int):
    pool = image_pool([image_set(labels)])
    classes = torch.randperm(pool.num_classes, generator=_seeded(seed))[: 1 + seed % pool.num_classes]
    chosen = subset(pool, classes)
    for place, number in enumerate(classes.tolist()):
        torch.testing.assert_close(_of_class(chosen, place), _of_class(pool, number), rtol=0, atol=0)
    assert len(chosen.images) == int(chosen.counts.sum())


@pytest.mark.parametrize("classes", [[], [0, 0], [2], [-1]])
def test_a_subset_of_what_is_not_there_is_refused(classes: list[int]):
    with pytest.raises(ValueError, match="distinct classes from 0 to 1, but got"):
        subset(image_pool([image_set([0, 1])]), torch.tensor(classes, dtype=torch.int64))


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([], "at least one data set, but got none"),
        ([image_set([])], "images in made/train, but got none"),
        ([image_set([0, 1], num_classes=1)], "labels from 0 to 0 in made/train, but got 0 to 1"),
        ([image_set([-1, 0], num_classes=1)], "labels from 0 to 0 in made/train, but got -1 to 0"),
        ([image_set([0, 2])], r"image of every class in made/train, but got none of \[1\]"),
        ([image_set([0]), image_set([0], side=5, name="big")], r"`side` to be given .* got none \(made: 4, big: 5\)"),
        ([image_set([0]), image_set([0], channels=3)], "`channels` to be given"),
        ([image_set([0], channels=2)], "1 or 3 `channels`, but got 4 and 2"),
        ([image_set([0], images=torch.zeros(1, 1, 4, 5, dtype=torch.uint8))], "square images .* but got 4 x 5"),
    ],
)
def test_bad_data_sets_are_refused(sets: list[ImageSet], message: str):
    with pytest.raises(ValueError, match=message):
        image_pool(sets)


@pytest.mark.parametrize(("side", "channels"), [(0, 1), (4, 2)])
def test_images_that_cannot_be_are_refused(side: int, channels: int):
    with pytest.raises(ValueError, match=f"but got {side} and {channels}"):
        image_pool([image_set([0])], side=side, channels=channels)


def test_colour_for_two_channels_is_refused():
    with pytest.raises(ValueError, match="1 or 3 `channels`, but got 4 and 2"):
        image_pool([image_set([0], channels=3)], channels=2)


@pytest.mark.parametrize("name", ["omniglot", "mnist", "kmnist", "fashion_mnist", "digits"])
def test_grey_sets_have_a_dark_ground(name: str):
    split = CATALOGUE[name].split_names[-1]
    if not CATALOGUE[name].is_built_in and not (ROOT and split_path(CATALOGUE[name], split, Path(ROOT)).is_file()):
        pytest.skip(f"{name}/{split}.npz is not under HYPERLEARNING_DATA")
    pool = image_pool([load(name, split, root=ROOT or None)])
    corners = pool.images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].float()
    assert corners.mean() < pool.images.float().mean() / 2
