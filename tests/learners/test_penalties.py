"""Continual penalties: what every one of them keeps to, and elastic weight consolidation by hand."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import Params, partition
from hyperlearning.learners.ewc import elastic_weight_consolidation
from hyperlearning.learners.inner_loop import Learner, live
from hyperlearning.learners.optimizers import OptimizerName, optimizer, sgd
from hyperlearning.learners.penalties import Penalty, live_with_penalty
from hyperlearning.learners.population import population_forward

PENALTIES = {"ewc": elastic_weight_consolidation}
"""Every penalty, made of its strength: being listed here is passing the contract below."""

MEMBERS, STEPS = 3, 4


class Problem(NamedTuple):
    """Members that differ, and one task's data."""

    learner: Learner
    plastic: Params
    inputs: Tensor
    targets: Tensor


def problem(inner: OptimizerName = "sgd", lr: float = 0.05) -> Problem:
    source = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    plastic, _ = partition(network, lambda name: False)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=source, dtype=torch.float64)

    learner = Learner(population_forward(network, plastic), mean_squared_error, optimizer(inner), lr)
    births = {name: draw(MEMBERS, *tensor.shape) for name, tensor in plastic.items()}
    return Problem(learner, births, draw(STEPS, MEMBERS, 5, 2), draw(STEPS, MEMBERS, 5, 1))


def consolidated(penalty: Penalty, made: Problem) -> Params:
    state = penalty.init(made.plastic)
    return penalty.consolidate(state, made.learner, made.plastic, {}, made.inputs, made.targets)


def moved(plastic: Params, seed: int = 1) -> Params:
    source = torch.Generator().manual_seed(seed)
    return {n: t + torch.randn(t.shape, generator=source, dtype=t.dtype) for n, t in plastic.items()}


each_penalty = pytest.mark.parametrize("make", PENALTIES.values(), ids=PENALTIES)


@each_penalty
def test_every_penalty_is_one_number_a_member_that_no_other_member_enters(make: Callable[[float], Penalty]):
    made, penalty = problem(), make(0.7)
    state, elsewhere = consolidated(penalty, made), moved(made.plastic)
    together = penalty.penalty(state, elsewhere)
    assert together.shape == (MEMBERS,)
    others = {name: torch.cat([tensor[:1], moved(elsewhere)[name][1:]]) for name, tensor in elsewhere.items()}
    assert penalty.penalty(state, others)[0] == together[0]


@each_penalty
def test_every_penalty_grows_with_the_way_from_where_a_task_ended(make: Callable[[float], Penalty]):
    made, penalty = problem(), make(0.7)
    state, direction = consolidated(penalty, made), moved(made.plastic)
    ways = [
        penalty.penalty(state, {n: t + way * (direction[n] - t) for n, t in made.plastic.items()})
        for way in (0.0, 0.5, 1.0)
    ]
    assert (ways[0] <= ways[1]).all()
    assert (ways[1] < ways[2]).all()


@each_penalty
def test_every_penaltys_gradient_is_the_finite_difference(make: Callable[[float], Penalty]):
    made, penalty = problem(), make(0.7)
    state, elsewhere = consolidated(penalty, made), moved(made.plastic)
    names = list(elsewhere)

    def of(*tensors: Tensor) -> Tensor:
        return penalty.penalty(state, dict(zip(names, tensors, strict=True)))

    assert torch.autograd.gradcheck(of, tuple(tensor.requires_grad_() for tensor in elsewhere.values()))


@each_penalty
def test_every_gradient_in_closed_form_is_that_of_autograd(make: Callable[[float], Penalty]):
    made, penalty = problem("adam"), make(0.7)
    lives = [
        [*live_with_penalty(*made[:2], {}, *made[2:], penalty=each, num_tasks=2)]
        for each in (penalty, penalty._replace(gradient=None))
    ]
    torch.testing.assert_close(lives[0], lives[1], rtol=1e-12, atol=1e-12)


@each_penalty
def test_every_penalty_is_in_proportion_to_its_strength_and_without_it_a_life_is_plain(
    make: Callable[[float], Penalty],
):
    made = problem("adam")
    elsewhere = moved(made.plastic)
    one, two = (make(strength).penalty(consolidated(make(strength), made), elsewhere) for strength in (0.3, 0.6))
    torch.testing.assert_close(two, 2 * one)
    data = made.inputs, made.targets
    held = [*live_with_penalty(made.learner, made.plastic, {}, *data, penalty=make(0.0), num_tasks=1)]
    torch.testing.assert_close(held, [*live(made.learner, made.plastic, {}, *data)], rtol=0, atol=0)


@each_penalty
def test_every_penalty_leaves_what_it_is_given_as_it_is_and_keeps_named_tensors_without_a_graph(
    make: Callable[[float], Penalty],
):
    made, penalty = problem(), make(0.7)
    before = {name: tensor.clone() for name, tensor in made.plastic.items()}
    first = penalty.init(made.plastic)
    copy = {name: tensor.clone() for name, tensor in first.items()}
    second = penalty.consolidate(first, made.learner, made.plastic, {}, made.inputs, made.targets)
    torch.testing.assert_close((made.plastic, first), (before, copy), rtol=0, atol=0)
    assert first.keys() == second.keys()
    assert not any(tensor.requires_grad for tensor in second.values())


@each_penalty
def test_a_great_strength_keeps_every_member_nearer_to_where_the_first_task_ended(make: Callable[[float], Penalty]):
    made = problem(lr=1e-3)
    ways = []
    for strength in (0.0, 100.0):
        steps = [*live_with_penalty(*made[:2], {}, *made[2:], penalty=make(strength), num_tasks=2)]
        ways.append(sum((steps[-1][n] - steps[STEPS // 2][n]).square().flatten(1).sum(1) for n in made.plastic))
    assert (ways[1] < ways[0]).all()


@each_penalty
def test_every_penalty_refuses_a_negative_strength(make: Callable[[float], Penalty]):
    with pytest.raises(ValueError, match=r"`strength` to be non-negative, but got -1\.0"):
        make(-1.0)


@pytest.mark.parametrize("num_tasks", [0, 3])
def test_tasks_that_do_not_divide_a_life_are_refused(num_tasks: int):
    made = problem()
    with pytest.raises(ValueError, match=f"`num_tasks` to divide 4 steps, but got {num_tasks}"):
        next(
            live_with_penalty(*made[:2], {}, *made[2:], penalty=elastic_weight_consolidation(1.0), num_tasks=num_tasks)
        )


def test_elastic_weight_consolidation_by_hand():
    network = nn.Linear(1, 1, bias=False).double()
    births = {"weight": network.weight.detach().clone()[None]}
    learner = Learner(population_forward(network, {"weight": births["weight"][0]}), mean_squared_error, sgd(), 0.1)
    points = torch.tensor([(1.0, 2.0), (2.0, 1.0), (1.0, -1.0), (1.0, -1.0)], dtype=torch.float64)
    data = points[:, 0].view(-1, 1, 1, 1), points[:, 1].view(-1, 1, 1, 1)
    penalty = elastic_weight_consolidation(0.7)
    *_, last = live_with_penalty(learner, births, {}, *data, penalty=penalty, num_tasks=2)
    w = births["weight"].item()
    for x, y in ((1.0, 2.0), (2.0, 1.0)):
        w -= 0.1 * 2 * x * (w * x - y)
    anchor, fisher = w, ((2 * (w - 2)) ** 2 + (2 * 2 * (2 * w - 1)) ** 2) / 2
    for _ in range(2):
        w -= 0.1 * (2 * (w + 1) + 0.7 * fisher * (w - anchor))
    assert last["weight"].item() == pytest.approx(w, rel=1e-12)
