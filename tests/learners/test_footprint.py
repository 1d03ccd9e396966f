"""Memory told before it is taken: against what the allocator counts in a real step, arithmetic, refusals."""

from functools import partial
from typing import Any

import pytest
import torch
from tests.networks.dan import classifiers
from torch import nn
from torch.profiler import ProfilerActivity, profile

from hyperlearning.core.params import partition, stack_members
from hyperlearning.learners.footprint import (
    Footprint,
    check_footprint,
    population_footprint,
)
from hyperlearning.learners.hyper_step import HyperBatch, HyperState, make_hyper_step
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import adam, optimizer
from hyperlearning.learners.population import split_forward
from hyperlearning.networks.dan.warp import matched_warp
from hyperlearning.networks.parameter_counts import without_allocating
from hyperlearning.networks.trunk import TrunkNetwork

FACTOR = 1.1  # the work memory of the convolutions differs from processor to processor
IMAGE = (1, 28, 28)


def _estimate(network: TrunkNetwork, **options: Any):
    settings: dict[str, Any] = {"population": 3, "batch": 5, "hyper_batch": 20, "input_shape": IMAGE}
    return population_footprint(network, network.is_innate, **(settings | options))


def _real_peak(network: TrunkNetwork, *, inner_optimizer: Any, update_every: int, through: int):
    """State and data of a real step, and the most that the CPU allocator gave at once while it ran."""
    start, innate = partition(network, network.is_innate)
    plastic = stack_members(start, 3)
    inner, outer = optimizer(inner_optimizer), adam()
    prepare, forward = split_forward(network, plastic, input_ndim=3, second_order=through > 0)
    learner = Learner(forward, lambda y, _: y.square().flatten(1).mean(1), inner, 0.01, prepare=prepare)
    step = make_hyper_step(learner, outer, update_every=update_every, through=through)
    state = HyperState(plastic, inner.init(plastic), innate, start, outer.init(innate))
    inputs, hyper_inputs = torch.randn(update_every, 3, 5, *IMAGE), torch.randn(1, 3, 20, *IMAGE)
    data = HyperBatch(inputs, torch.zeros(update_every, 3, 5), hyper_inputs, torch.zeros(1, 3, 20))
    held = [tensor for params in state for tensor in params.values()] + [inputs, hyper_inputs]
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = step(state, data, torch.tensor(0.01))
    assert result is not None
    peak = alive = 0
    for event in sorted(profiler.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            alive += event.nbytes()
            peak = max(peak, alive)
    return sum(tensor.nbytes for tensor in held) + peak


@pytest.mark.parametrize("kind", ["conv", "mlp", "warp"])
@pytest.mark.parametrize(
    "options",
    [
        {"inner_optimizer": "adam", "update_every": 1, "through": 0},
        {"inner_optimizer": "sgd", "update_every": 2, "through": 0},
        {"inner_optimizer": "adam", "update_every": 2, "through": 2},
    ],
)
def test_the_estimate_is_near_what_a_real_step_allocates(kind: str, options: dict[str, Any]):
    network = classifiers.classifier(phenotype="mlp" if kind == "mlp" else "conv")
    network = matched_warp(network) if kind == "warp" else network
    real, estimate = _real_peak(network, **options), _estimate(network, **options).total
    assert real / FACTOR < estimate < real * FACTOR


def test_a_linear_network_takes_what_arithmetic_says():
    network, members = nn.Linear(1000, 1000), 4
    estimate = population_footprint(
        network,
        lambda name: name == "bias",
        population=members,
        batch=1,
        hyper_batch=1,
        input_shape=(1000,),
        inner_optimizer="adam",
    )
    plastic = members * 1_000_000 * 4
    assert estimate.gradients == plastic
    assert estimate.parameters == plastic + 1_000_000 * 4 + 4000
    assert estimate.moments == 2 * plastic + 4 + 2 * 4000 + 4
    # New values, two new moments, and at most three tensors between.
    assert 3 * plastic < estimate.working < 6.1 * plastic


def test_200_million_parameters_times_5_are_estimated_in_tens_of_gigabytes_and_refused_with_the_figure():
    network = without_allocating(classifiers.large)
    estimate = _estimate(network, population=5)
    assert 20e9 < estimate.total < 60e9
    with pytest.raises(ValueError, match=rf"fits into the 16\.0 GB .* needs {estimate.total / 1e9:.1f} GB .*bfloat16"):
        check_footprint(estimate, device="cpu", limit=16_000_000_000)


def test_what_fits_is_not_refused():
    check_footprint(Footprint(10, 20, 30, 40), device="cpu", limit=100)
    with pytest.raises(ValueError, match="100 bytes"):
        check_footprint(Footprint(10, 20, 30, 40), device="cpu", limit=99)


@pytest.mark.parametrize(
    ("options", "at_most"),
    [({"dtype": torch.bfloat16}, 0.51), ({"population": 1}, 0.5), ({"inner_optimizer": "sgd"}, 0.7)],
)
def test_an_option_that_shrinks_memory_does(options: dict[str, Any], at_most: float):
    network = without_allocating(classifiers.medium)
    assert _estimate(network, **options).total < at_most * _estimate(network).total


def test_checkpointing_shrinks_what_many_large_images_take():
    sizes = [
        _estimate(without_allocating(partial(classifiers.classifier, checkpoint=checkpoint)), hyper_batch=500).total
        for checkpoint in (False, True)
    ]
    assert sizes[1] < 0.95 * sizes[0]


def test_the_network_keeps_its_values():
    network = classifiers.classifier()
    before = [tensor.clone() for tensor in network.parameters()]
    _estimate(network)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_an_unknown_device_is_not_judged():
    check_footprint(Footprint(10**18, 0, 0, 0), device="meta")


def test_a_population_of_none_is_refused():
    with pytest.raises(ValueError, match="`population`"):
        _estimate(without_allocating(classifiers.classifier), population=0)
