"""Elastic weight consolidation against its formula on a problem small enough to do by hand."""

import pytest
import torch
from torch import nn

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import partition, stack_members
from hyperlearning.learners.ewc import live_with_ewc
from hyperlearning.learners.inner_loop import Learner, live
from hyperlearning.learners.optimizers import sgd
from hyperlearning.learners.population import population_forward


def line(lr: float = 0.1) -> tuple[Learner, dict[str, torch.Tensor]]:
    network = nn.Linear(1, 1, bias=False).double()
    plastic, _ = partition(network, lambda name: False)
    return Learner(population_forward(network, plastic), mean_squared_error, sgd(), lr), stack_members(plastic, 1)


def data(*points: tuple[float, float]) -> tuple[torch.Tensor, torch.Tensor]:
    values = torch.tensor(points, dtype=torch.float64)
    return values[:, 0].view(-1, 1, 1, 1), values[:, 1].view(-1, 1, 1, 1)


def test_the_second_tasks_update_carries_the_penaltys_gradient():
    learner, births = line()
    inputs, targets = data((1.0, 2.0), (2.0, 1.0), (1.0, -1.0), (1.0, -1.0))
    *_, last = live_with_ewc(learner, births, {}, inputs, targets, num_tasks=2, strength=0.7)
    w = births["weight"].item()
    for x, y in ((1.0, 2.0), (2.0, 1.0)):
        w -= 0.1 * 2 * x * (w * x - y)
    anchor, fisher = w, ((2 * (w - 2)) ** 2 + (2 * 2 * (2 * w - 1)) ** 2) / 2
    for _ in range(2):
        w -= 0.1 * (2 * (w + 1) + 0.7 * fisher * (w - anchor))
    assert last["weight"].item() == pytest.approx(w, rel=1e-12)


def test_without_strength_it_is_plain_finetuning_to_the_bit():
    learner, births = line()
    inputs, targets = data((1.0, 2.0), (2.0, 1.0), (1.0, -1.0), (0.5, 3.0))
    plain = list(live(learner, births, {}, inputs, targets))
    held = list(live_with_ewc(learner, births, {}, inputs, targets, num_tasks=2, strength=0.0))
    assert len(plain) == len(held) == 5
    assert all(torch.equal(a["weight"], b["weight"]) for a, b in zip(plain, held, strict=True))


def test_a_great_strength_keeps_an_important_parameter_where_it_was():
    learner, births = line(lr=1e-4)
    inputs, targets = data((1.0, 2.0), (1.0, -5.0))
    lives = list(live_with_ewc(learner, births, {}, inputs, targets, num_tasks=2, strength=100.0))
    free = list(live(learner, births, {}, inputs, targets))
    assert abs((lives[2]["weight"] - lives[1]["weight"]).item()) <= abs((free[2]["weight"] - free[1]["weight"]).item())


def test_senseless_arguments_are_refused():
    learner, births = line()
    inputs, targets = data((1.0, 2.0), (1.0, 1.0), (2.0, 1.0))
    with pytest.raises(ValueError, match="strength"):
        next(live_with_ewc(learner, births, {}, inputs, targets, num_tasks=1, strength=-1.0))
    with pytest.raises(ValueError, match="num_tasks"):
        next(live_with_ewc(learner, births, {}, inputs, targets, num_tasks=2, strength=1.0))
