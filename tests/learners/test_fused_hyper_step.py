"""The hyper step gives the same numbers through the fused kernels as through plain PyTorch."""

import pytest
import torch

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import Params, partition, stack_members
from hyperlearning.learners.hyper_step import HyperBatch, HyperState, make_hyper_step, outer_parameters
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import adam, sgd
from hyperlearning.learners.population import fused_unroll, population_forward
from hyperlearning.networks.dan.fused import why_not_fused
from hyperlearning.networks.dan.network import DANNetwork

MEMBERS = 3


def run(backend: str, dtype: torch.dtype, update_every: int, through: int, *, learn_start: bool) -> Params:
    source = torch.Generator().manual_seed(1)
    network = DANNetwork((1, 5, 4, 1), num_channels=4, skips=((0, 2), (1, 3)), generator=source).to(dtype)
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
    for _ in range(3):
        x, more = (
            torch.randn(n, MEMBERS, b, 1, generator=source, dtype=dtype) for n, b in ((update_every, 1), (1, 20))
        )
        state, losses = step(state, HyperBatch(x, x.sin(), more, more.sin()), torch.tensor(0.01, dtype=dtype))
        assert torch.isfinite(losses.hyper).all()
    return {**state.plastic, **state.innate, **{f"start.{name}": tensor for name, tensor in state.start.items()}}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 2e-5)])
@pytest.mark.parametrize(
    ("update_every", "through", "learn_start"),
    [(1, 0, False), (1, 1, False), (4, 2, False), (4, 4, True), (4, 0, True)],
)
def test_kernel_and_plain_pytorch_agree_after_three_hyper_steps(
    dtype: torch.dtype, tolerance: float, update_every: int, through: int, learn_start: bool
):
    plain = run("eager", dtype, update_every, through, learn_start=learn_start)
    fused = run("kernel", dtype, update_every, through, learn_start=learn_start)
    assert plain.keys() == fused.keys()
    for name, tensor in plain.items():
        torch.testing.assert_close(
            fused[name], tensor, rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )
