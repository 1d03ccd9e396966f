"""Few-shot learners of functions, in double precision, against formulas written out."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from hyperlearning.core.seeding import generator
from hyperlearning.learners.few_shot.functions import (
    DescendingFunction,
    KnowingFunction,
    SolvingFunction,
    WrittenFunction,
    solved,
    squared_errors,
)
from hyperlearning.streams.sine_episodes import FunctionEpisodes, draw_sine_episodes

HIDDEN = (7, 6)


def source() -> torch.Generator:
    return generator(0, "function tests")


def episodes(num_shots: int = 5) -> FunctionEpisodes:
    drawn = draw_sine_episodes(source(), num_episodes=3, num_shots=num_shots, num_queries=4)
    return FunctionEpisodes(*(tensor.double() for tensor in drawn))


LEARNERS: dict[str, Callable[[], nn.Module]] = {
    "maml": lambda: DescendingFunction(HIDDEN, num_steps=2, lr=0.01, generator=source()),
    "anil": lambda: DescendingFunction(HIDDEN, num_steps=2, lr=0.01, last_alone=True, generator=source()),
    "solving": lambda: SolvingFunction(HIDDEN, generator=source()),
    "written": lambda: WrittenFunction(HIDDEN, generator=source()),
    "written, adapted": lambda: WrittenFunction(HIDDEN, num_steps=2, generator=source()),
    "knowing": KnowingFunction,
}


def run(learner: nn.Module, some: FunctionEpisodes) -> Tensor:
    return learner(some.support_x, some.support_y, some.query_x)


@pytest.mark.parametrize("name", LEARNERS)
def test_episodes_in_one_call_are_episodes_one_by_one(name: str):
    learner, some = LEARNERS[name]().double(), episodes()
    alone = [run(learner, FunctionEpisodes(*(tensor[i : i + 1] for tensor in some))) for i in range(3)]
    torch.testing.assert_close(run(learner, some), torch.cat(alone), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", LEARNERS)
def test_the_order_of_the_support_does_not_matter(name: str):
    learner, some, order = LEARNERS[name]().double(), episodes(), torch.tensor([3, 1, 4, 0, 2])
    turned = some._replace(support_x=some.support_x[:, order], support_y=some.support_y[:, order])
    torch.testing.assert_close(run(learner, turned), run(learner, some), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["maml", "anil", "solving", "written"])
def test_gradients_of_weights_are_finite_differences(name: str):
    some, own = episodes(), source()
    learner = LEARNERS[name]().double()
    loss = squared_errors(run(learner, some), some.query_y).sum()
    params = list(learner.parameters())
    grads = torch.autograd.grad(loss, params, allow_unused=True, materialize_grads=True)
    direction = [torch.randn(p.shape, generator=own, dtype=torch.float64) for p in params]
    along = sum(float((g * d).sum()) for g, d in zip(grads, direction, strict=True))
    moved = []
    for sign in (1, -1):
        with torch.no_grad():
            for parameter, step in zip(params, direction, strict=True):
                parameter += sign * 1e-7 * step
        moved.append(squared_errors(run(learner, some), some.query_y).sum().item())
        with torch.no_grad():
            for parameter, step in zip(params, direction, strict=True):
                parameter -= sign * 1e-7 * step
    assert (moved[0] - moved[1]) / 2e-7 == pytest.approx(along, rel=1e-4)


def test_anil_moves_its_last_layer_alone():
    assert LEARNERS["anil"]().moving == ["5.weight", "5.bias"]
    assert len(LEARNERS["maml"]().moving) == 6


def test_a_solved_readout_is_the_normal_equations():
    own = source()
    support, query = (torch.randn(2, n, 3, generator=own, dtype=torch.float64) for n in (5, 4))
    values = torch.randn(2, 5, 1, generator=own, dtype=torch.float64)
    found = solved(support, values, query, torch.tensor(0.3, dtype=torch.float64))
    left = support.transpose(1, 2) @ support + 0.3 * torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(found, query @ torch.linalg.solve(left, support.transpose(1, 2) @ values))


def test_who_knows_the_family_makes_no_error():
    some = episodes()
    assert squared_errors(run(KnowingFunction(), some), some.query_y).max() < 1e-6


def test_points_and_waves_are_within_their_bounds_and_follow_from_the_source():
    drawn = draw_sine_episodes(source(), num_episodes=2000, num_shots=3, num_queries=5)
    assert -5 <= drawn.support_x.min() < -4.9 < 4.9 < drawn.query_x.max() <= 5
    assert 4.9 < drawn.query_y.abs().max() <= 5
    again = draw_sine_episodes(source(), num_episodes=2000, num_shots=3, num_queries=5)
    assert torch.equal(drawn.query_y, again.query_y)


def test_episodes_without_points_are_refused():
    with pytest.raises(ValueError, match="Expected episodes, shots and queries of each, but got 2, 0 and 5"):
        draw_sine_episodes(source(), num_episodes=2, num_shots=0, num_queries=5)
