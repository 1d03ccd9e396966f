"""Bytes of a meta-step told before they are taken: against what the graph of a real one keeps."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.learners.test_trajectory import LR, STEPS, make_problem
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from hyperlearning.learners.inner_loop import inner_steps
from hyperlearning.learners.trajectory import trajectory_learner
from hyperlearning.learners.trajectory_footprint import check_trajectory_footprint, trajectory_footprint
from hyperlearning.networks.gated.anml import ANMLNetwork


def kept_bytes(action: Callable[[], object]) -> int:
    """What the graph of an action keeps, counted on real tensors."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept.setdefault(tensor.untyped_storage()._cdata, tensor)
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        action()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def test_bytes_are_estimated_as_real_tensors_take_it():
    problem = make_problem()
    learner = trajectory_learner(problem.network, inner_lr=LR)
    innate, plastic = (
        {n: t.detach().requires_grad_() for n, t in part.items()} for part in (problem.innate, problem.plastic)
    )

    def window() -> None:
        inputs = learner.prepared(innate, problem.batch.inputs)
        inner_steps(learner, plastic, {}, innate, inputs, problem.batch.targets, create_graph=True)

    expected = trajectory_footprint(problem.network, (1, 28, 28), through=STEPS, outer_batch_size=5)
    assert expected.inner_graph == pytest.approx(kept_bytes(window), rel=0.1)


def test_bytes_grow_with_the_window_and_shrink_with_each_option():
    network = ANMLNetwork(5, width=1 / 8)

    def total(network: ANMLNetwork = network, through: int = 6, **options: Any) -> int:
        return trajectory_footprint(network, (1, 28, 28), through=through, outer_batch_size=8, **options).total

    assert total(through=0) < total(through=3) < total()
    assert total(checkpoint=True) < total()
    assert total(ANMLNetwork(5, width=1 / 16)) < total()
    assert total() < total(population=2)


def test_a_graph_that_cannot_fit_is_refused_with_its_size_and_what_shrinks_it():
    footprint = trajectory_footprint(ANMLNetwork(), (1, 28, 28), through=20, outer_batch_size=84)
    check_trajectory_footprint(footprint, available=footprint.total)
    with pytest.raises(ValueError, match=r"fits in 0.10 GB.*`through`.*`checkpoint`.*`width`"):
        check_trajectory_footprint(footprint, available=10**8)


def test_bytes_are_estimated_with_random_gates_too_and_they_need_none_of_their_gradients():
    sizes = {
        gates: trajectory_footprint(
            ANMLNetwork(5, width=1 / 16, gates=gates), (1, 28, 28), through=2, outer_batch_size=3
        ).total
        for gates in ("learned", "random")
    }
    assert 0 < sizes["random"] < sizes["learned"]
