"""Accuracy of lives, by hand."""

import pytest
import torch

from hyperlearning.evaluation.accuracy import among_own, forgetting, life_accuracy, recognised
from hyperlearning.evaluation.reconstruction import forward_transfer, unseen_error

LOGITS = torch.tensor([[[0.0, 3.0, 1.0, 9.0], [5.0, 0.0, 0.0, 0.0], [0.0, 0.0, 2.0, 1.0], [0.0, 4.0, 0.0, 0.0]]])
LABELS = torch.tensor([[1, 2]])


def test_an_image_is_recognised_if_its_tasks_label_has_the_largest_logit():
    assert recognised(LOGITS, LABELS).tolist() == [[[0.0, 0.0], [1.0, 0.0]]]


def test_among_its_own_labels_a_life_chooses_no_other():
    assert recognised(among_own(LOGITS, LABELS), LABELS).tolist() == [[[1.0, 1.0], [1.0, 0.0]]]


def test_the_first_images_of_a_task_are_memory_and_the_others_generalization():
    looks = torch.tensor([[[[1.0, 0.0, 1.0, 1.0]], [[0.0, 0.0, 0.0, 1.0]]]])
    lives = life_accuracy(looks, looks[:, -1], num_learned=2)
    assert lives.memory.flatten().tolist() == [0.5, 0.0]
    assert lives.generalization.flatten().tolist() == [1.0, 0.5]
    assert (lives.memory_of_life.item(), lives.generalization_of_life.item()) == (0.0, 0.5)


MATRIX = torch.tensor([[[0.1, 0.2, 0.3], [0.9, 0.3, 0.3], [0.7, 0.8, 0.5], [0.6, 0.4, 1.0]]], dtype=torch.float64)


def test_forgetting_is_what_was_lost_since_each_class_was_learned_the_last_one_among_them():
    assert forgetting(MATRIX).item() == pytest.approx(((0.9 - 0.6) + (0.8 - 0.4) + 0.0) / 3)


def test_what_is_unseen_is_scored_just_before_it_is_met_and_transfer_is_the_difference_from_birth():
    assert unseen_error(MATRIX).item() == pytest.approx((0.3 + 0.5) / 2)
    assert forward_transfer(MATRIX).item() == pytest.approx(((0.2 - 0.3) + (0.3 - 0.5)) / 2)
