"""Tasks of one class against a few: all different, their examples of the right classes and shares."""

import pytest
import torch

from hyperlearning.data.images import load
from hyperlearning.streams.binary_tasks import BinaryTask, draw_binary_tasks, examples_of


def test_tasks_are_different_and_follow_from_the_source():
    drawn = draw_binary_tasks(50, torch.Generator().manual_seed(0))
    assert len(set(drawn)) == 50
    assert drawn == draw_binary_tasks(50, torch.Generator().manual_seed(0))
    assert drawn != draw_binary_tasks(50, torch.Generator().manual_seed(1))
    assert all(task.positive not in task.negatives and len(set(task.negatives)) == 2 for task in drawn)


def test_every_task_can_be_drawn_and_no_more():
    assert len(set(draw_binary_tasks(360, torch.Generator()))) == 360
    with pytest.raises(ValueError, match="Expected 1 to 360 tasks of one class against 2 of the other 9, but got 361"):
        draw_binary_tasks(361, torch.Generator())


def test_examples_are_all_of_the_positive_class_and_a_share_of_each_negative_one():
    digits = load("digits", "train")
    data = examples_of(digits, BinaryTask(3, (1, 8)), negative_share=0.5)
    count = torch.bincount(digits.labels)
    assert int(data.labels.sum()) == int(count[3])
    assert len(data.labels) == int(count[3]) + int(count[1]) // 2 + int(count[8]) // 2
    assert 0 <= float(data.images.min()) < float(data.images.max()) <= 1
    positives = digits.images[digits.labels == 3].float() / 255
    assert torch.equal(data.images[data.labels == 1], positives)
