"""Streams of image tasks: the same pixels in other orders, a class against four, classes in groups, a part held out."""

import pytest
import torch

from hyperlearning.data.images import load
from hyperlearning.streams.image_tasks import class_groups, held_out, of_classes, one_against_four, permuted


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_permuted_images_have_the_same_pixels_all_in_one_order():
    images = torch.arange(2 * 3 * 4 * 4).float().reshape(2, 3, 4, 4)
    moved = permuted(images, source())
    assert torch.equal(moved.flatten(1).sort(1).values, images.flatten(1))
    assert torch.equal(moved[1] - moved[0], images[1] - images[0])
    assert not torch.equal(moved, permuted(images, source(1)))


def test_every_class_stands_once_against_four_others():
    tasks = one_against_four(10)
    assert [task.positive for task in tasks] == list(range(10))
    assert tasks[5].negatives == (6, 7, 8, 9)
    assert tasks[6].negatives == (1, 2, 3, 4)
    assert all(task.positive not in task.negatives and len(task.negatives) == 4 for task in tasks)
    with pytest.raises(ValueError, match="at least 9 classes, but got 8"):
        one_against_four(8)


def test_groups_share_no_class_and_are_equally_large():
    groups = class_groups(100, 10, source())
    assert sorted(label for group in groups for label in group) == list(range(100))
    assert class_groups(10, 3, source()) == class_groups(10, 3, source())
    assert {len(group) for group in class_groups(10, 3, source())} == {3}
    with pytest.raises(ValueError, match="at most 5 tasks of two classes or more, of 10 classes, but got 6"):
        class_groups(10, 6, source())


def test_labels_of_a_group_are_places_in_it_and_classes_have_as_many_images_each():
    digits = load("digits", "train")
    own = of_classes(digits, (7, 2), most=20)
    assert torch.bincount(own.labels).tolist() == [10, 10]
    first_seven = digits.images[digits.labels == 7][0]
    assert torch.equal(own.images[own.labels == 0][0], first_seven)


def test_what_is_held_out_is_no_part_of_what_is_learned_from():
    digits = load("digits", "train")
    train, test = held_out(digits)
    assert len(train) + len(test) == len(digits)
    assert len(test) == len(digits) // 6
    assert torch.equal(test.images[0], digits.images[5])
