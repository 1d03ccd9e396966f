"""BatchBALD against the joint entropy by hand, one answer after another, and against a choice that looks at every image."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from hyperlearning.acquisition.batch_bald import batch_bald
from hyperlearning.acquisition.query import Views


def drawn(num_draws: int, pool: int, classes: int, seed: int) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(num_draws, pool, classes, dtype=torch.float64, generator=source)).softmax(-1)


def informative(probabilities: Tensor, batch: list[int]) -> float:
    """Mutual information of the labels of a batch and the draw, summed over all labels in plain Python."""
    num_draws, _, classes = probabilities.shape
    joint = alone = 0.0
    for labels in itertools.product(range(classes), repeat=len(batch)):
        each = [
            math.prod(float(probabilities[draw, place, label]) for place, label in zip(batch, labels, strict=True))
            for draw in range(num_draws)
        ]
        mean = sum(each) / num_draws
        joint -= mean * math.log(mean)
        alone -= sum(own * math.log(own) for own in each) / num_draws
    return joint - alone


def greedy(probabilities: Tensor, num: int) -> list[int]:
    chosen: list[int] = []
    for _ in range(num):
        rest = [place for place in range(probabilities.shape[1]) if place not in chosen]
        chosen.append(max(rest, key=lambda place: informative(probabilities, [*chosen, place])))
    return chosen


@pytest.mark.parametrize("seed", range(5))
def test_the_batch_is_that_of_greedy_choice_by_the_exact_joint_entropy(seed: int):
    probabilities = drawn(4, 12, 3, seed)
    found = batch_bald()(Views(probabilities_KNC=probabilities), 3, torch.Generator().manual_seed(0))
    assert found.indices_B.tolist() == greedy(probabilities, 3)
    assert float(found.scores_B.sum()) == pytest.approx(informative(probabilities, found.indices_B.tolist()))


def test_nothing_is_lost_by_looking_at_few_images_again():
    probabilities = drawn(6, 400, 3, 1)
    found = batch_bald()(Views(probabilities_KNC=probabilities), 4, torch.Generator().manual_seed(0))
    added = []
    for place in range(400):
        if place not in found.indices_B[:3].tolist():
            added.append((informative(probabilities, [*found.indices_B[:3].tolist(), place]), place))
    assert max(added)[1] == int(found.indices_B[3])


def test_drawn_answers_say_nearly_what_all_of_them_do():
    probabilities = drawn(5, 30, 3, 2)
    found = batch_bald(most_answers=3000)(Views(probabilities_KNC=probabilities), 9, torch.Generator().manual_seed(0))
    wanted = informative(probabilities, found.indices_B.tolist())
    assert float(found.scores_B.sum()) == pytest.approx(wanted, rel=0.02)


def test_a_copy_of_what_is_chosen_waits_behind_what_says_something_new():
    first, second = drawn(3, 2, 4, 3).unbind(1)
    probabilities = torch.stack([first] * 5 + [second], 1)
    found = batch_bald()(Views(probabilities_KNC=probabilities), 2, torch.Generator().manual_seed(0))
    assert 5 in found.indices_B.tolist()


def test_certain_draws_and_all_of_a_pool_are_no_trouble():
    probabilities = torch.nn.functional.one_hot(torch.tensor([[0, 1, 1], [0, 0, 1]]), 2).double()
    found = batch_bald()(Views(probabilities_KNC=probabilities), 3, torch.Generator().manual_seed(0))
    assert int(found.indices_B[0]) == 1
    assert found.scores_B.tolist() == pytest.approx([math.log(2), 0.0, 0.0])
