"""The hyper step gives the same numbers through the fused kernels as through plain PyTorch."""

from functools import partial

import pytest
import torch
from tests.bounds import adams_correction, check_within, conditioned

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import Params, partition, stack_members
from hyperlearning.learners.hyper_step import HyperBatch, HyperState, make_hyper_step, outer_parameters
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import adam, sgd
from hyperlearning.learners.population import fused_unroll, population_forward
from hyperlearning.networks.dan.fused import why_not_fused
from hyperlearning.networks.dan.network import DANNetwork

MEMBERS, OUTER_LR = 3, 0.01
OPERATIONS = 100
"""On the longest way through a step: six layers there and back, sums of up to twenty terms, at most four updates."""


def make_inputs(update_every: int, dtype: torch.dtype) -> Params:
    """Parameters and the data of three steps."""
    source = torch.Generator().manual_seed(1)
    network = make_network(source).to(dtype)
    named = {f"parameter/{name}": tensor.detach() for name, tensor in network.named_parameters()}
    for step in range(3):
        named[f"x {step}"] = torch.randn(update_every, MEMBERS, 1, 1, generator=source, dtype=dtype)
        named[f"more {step}"] = torch.randn(1, MEMBERS, 20, 1, generator=source, dtype=dtype)
    return named


def make_network(source: torch.Generator) -> DANNetwork:
    return DANNetwork((1, 5, 4, 1), num_channels=4, skips=((0, 2), (1, 3)), generator=source)


def run(named: Params, backend: str, update_every: int, through: int, *, learn_start: bool) -> Params:
    dtype = named["x 0"].dtype
    network = make_network(torch.Generator()).to(dtype)
    network.load_state_dict({n.removeprefix("parameter/"): t for n, t in named.items() if n.startswith("parameter/")})
    plastic, innate = partition(network, network.is_innate)
    if backend == "kernel" and (reason := why_not_fused(network, plastic)):
        pytest.skip(reason)
    forward = population_forward(network, plastic, backend=backend)  # pyright: ignore[reportArgumentType]
    outer = adam()
    step = make_hyper_step(
        Learner(forward, mean_squared_error, sgd(), 0.1, fused_unroll(forward)),
        outer,
        update_every=update_every,
        through=through,
        learn_start=learn_start,
        max_grad_norm=0.3,
    )
    births = stack_members(plastic, MEMBERS)
    learned = outer_parameters(innate, plastic, learn_start=learn_start)
    state = HyperState(births, {}, innate, plastic, outer.init(learned))
    for now in range(3):
        x, more = named[f"x {now}"], named[f"more {now}"]
        state, losses = step(state, HyperBatch(x, x.sin(), more, more.sin()), torch.tensor(OUTER_LR, dtype=dtype))
        assert torch.isfinite(losses.hyper).all()
    return {**state.plastic, **state.innate, **{f"start.{name}": tensor for name, tensor in state.start.items()}}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    ("update_every", "through", "learn_start"),
    [(1, 0, False), (1, 1, False), (4, 2, False), (4, 4, True), (4, 0, True)],
)
def test_kernel_and_plain_pytorch_agree_after_three_hyper_steps(
    dtype: torch.dtype, update_every: int, through: int, learn_start: bool
):
    inputs = make_inputs(update_every, dtype)
    way = partial(run, update_every=update_every, through=through, learn_start=learn_start)
    own = adams_correction(dtype, rate=OUTER_LR, updates=3)
    exact, bounds = conditioned(partial(way, backend="eager"), inputs, dtype, OPERATIONS, own=own)
    check_within(way(inputs, backend="kernel"), exact, bounds)
