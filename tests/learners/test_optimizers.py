"""Optimizers: what every one of them keeps to, and clipping."""

import inspect
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.bounds import rounding
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.learners.lars import lars
from hyperlearning.learners.optimizers import Optimizer, adam, clamped, clip_by_global_norm, optimizer, sgd

BOUND = 0.5


class PlainLars(torch.optim.Optimizer):
    """As published, a parameter at a time and in place."""

    def __init__(self, leaves: list[Tensor], lr: float) -> None:
        super().__init__(leaves, {"lr": lr})

    @torch.no_grad()
    def step(self):  # pyright: ignore[reportIncompatibleMethodOverride]
        for leaf in self.param_groups[0]["params"]:
            grad = leaf.grad.clone()
            if leaf.ndim > 1:
                grad += 1e-6 * leaf
                own, of_grad = float(leaf.pow(2).sum()) ** 0.5, float(grad.pow(2).sum()) ** 0.5
                grad *= 0.001 * own / of_grad if own and of_grad else 1.0
            sums = self.state[leaf].setdefault("sums", torch.zeros_like(leaf))
            sums.mul_(0.9).add_(grad)
            leaf.add_(sums, alpha=-self.param_groups[0]["lr"])


class Case(NamedTuple):
    """An optimizer, PyTorch's of the same rule, and what is done to gradients before."""

    ours: Callable[[], Optimizer]
    theirs: type[torch.optim.Optimizer]
    bounded: bool


OPTIMIZERS = {
    "sgd": Case(sgd, torch.optim.SGD, bounded=False),
    "adam": Case(adam, torch.optim.Adam, bounded=False),
    "lars": Case(lars, PlainLars, bounded=False),
    "clamped sgd": Case(lambda: clamped(sgd(), BOUND), torch.optim.SGD, bounded=True),
    "clamped adam": Case(lambda: clamped(adam(), BOUND), torch.optim.Adam, bounded=True),
}
"""Every optimizer: being listed here is passing the contract below."""

each_optimizer = pytest.mark.parametrize("case", OPTIMIZERS.values(), ids=OPTIMIZERS)


def draw(seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Params, list[list[Tensor]]]:
    """Parameters, and gradients for twenty updates."""
    source = torch.Generator().manual_seed(seed)
    params = {"a": torch.randn(3, 4, generator=source).to(dtype), "b": torch.randn(5, generator=source).to(dtype)}
    return params, [[torch.randn(p.shape, generator=source).to(dtype) for p in params.values()] for _ in range(20)]


def updated(
    rule: Optimizer, params: Params, grads: Sequence[Sequence[Tensor]], lr: float | Tensor = 0.03
) -> tuple[Params, Params]:
    moments = rule.init(params)
    for some in grads:
        params, moments = rule.update(params, some, moments, lr)
    return params, moments


@each_optimizer
@pytest.mark.parametrize("scale", [1e-9, 1e-4, 1.0, 1e3])
def test_every_optimizer_makes_the_steps_of_torch_optim(case: Case, scale: float):
    params, grads = draw()
    leaves = [tensor.clone().requires_grad_() for tensor in params.values()]
    theirs = case.theirs(leaves, lr=0.03)  # pyright: ignore[reportCallIssue]
    for some in grads:
        for leaf, grad in zip(leaves, some, strict=True):
            leaf.grad = (scale * grad).clamp(-BOUND, BOUND) if case.bounded else scale * grad
        theirs.step()
    found, _ = updated(case.ours(), params, [[scale * grad for grad in some] for some in grads])
    # Twenty updates of ten operations, and `1 - beta2**t` is a difference of numbers a thousand times larger.
    bound = rounding(torch.float64, 20 * 10 * 1000)
    torch.testing.assert_close(list(found.values()), [leaf.detach() for leaf in leaves], rtol=bound, atol=bound)


@each_optimizer
def test_every_optimizer_leaves_its_inputs_as_they_were_and_gives_the_same_numbers_twice(case: Case):
    rule, (params, grads) = case.ours(), draw()
    moments = rule.init(params)
    results = [rule.update(params, grads[0], moments, 0.1) for _ in range(2)]
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)
    fresh, same = draw()
    torch.testing.assert_close((params, grads[0], moments), (fresh, same[0], rule.init(fresh)), rtol=0, atol=0)


@each_optimizer
def test_every_optimizer_takes_its_rate_as_a_number_or_a_tensor(case: Case):
    params, grads = draw()
    rates = (0.03, torch.tensor(0.03, dtype=torch.float64))
    one, other = (updated(case.ours(), params, grads, rate) for rate in rates)
    bound = rounding(torch.float64, 20 * 10)
    torch.testing.assert_close(one, other, rtol=bound, atol=bound)


@each_optimizer
def test_every_optimizer_keeps_names_shapes_and_type(case: Case):
    params, grads = draw(dtype=torch.float32)
    after, moments = updated(case.ours(), params, grads)
    assert {n: (t.shape, t.dtype) for n, t in after.items()} == {n: (t.shape, t.dtype) for n, t in params.items()}
    assert moments.keys() == case.ours().init(params).keys()
    assert all(tensor.dtype == torch.float32 for tensor in moments.values())


@each_optimizer
def test_an_outer_gradient_passes_through_every_optimizer(case: Case):
    params, grads = draw()
    # Away from the bound, where clamping has a kink.
    grads = [[0.4 * BOUND * grad.sign() + 0.1 * BOUND * grad.sin() for grad in some] for some in grads[:2]]

    def after(*leaves: Tensor) -> tuple[Tensor, ...]:
        rates = [[grad * (1 + leaf) for grad, leaf in zip(some, leaves, strict=True)] for some in grads]
        return tuple(updated(case.ours(), dict(zip(params, leaves, strict=True)), rates)[0].values())

    leaves = tuple((0.1 * tensor).requires_grad_() for tensor in params.values())
    assert torch.autograd.gradcheck(after, leaves)


@each_optimizer
def test_gradients_through_every_optimizer_stay_finite_where_a_gradient_is_zero(case: Case):
    rule = case.ours()
    w = torch.zeros(2, requires_grad=True)
    params, _ = rule.update({"w": w}, [w * torch.tensor([0.0, 1.0])], rule.init({"w": w}), 0.1)
    (slope,) = torch.autograd.grad(params["w"].sum(), w)
    assert torch.isfinite(slope).all()


def test_an_unknown_optimizer_is_refused_by_name():
    with pytest.raises(ValueError, match="among \\['adam', 'sgd'\\], but got 'rmsprop'"):
        inspect.unwrap(optimizer)("rmsprop")


@pytest.mark.parametrize("bound", [0.0, -1.0, float("nan")])
def test_a_bound_that_is_not_positive_is_refused(bound: float):
    with pytest.raises(ValueError, match="Expected `bound` to be positive"):
        clamped(sgd(), bound)


@given(norm=st.floats(1e-3, 1e3), bound=st.floats(1e-3, 1e3))
def test_clipping_keeps_the_direction_and_bounds_the_joint_norm(norm: float, bound: float):
    unit = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    grads = clip_by_global_norm([norm * unit[:1], norm * unit[1:]], bound)
    torch.testing.assert_close(torch.cat(grads), min(norm, bound) * unit, rtol=1e-8, atol=0)
