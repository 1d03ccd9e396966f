"""The compiled Adam gives the same as PyTorch's operations."""

import pytest
import torch
from tests.bounds import rounding
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.kernels import adam as adam_kernel
from hyperlearning.learners.optimizers import adam

needs_kernel = pytest.mark.skipif(adam_kernel.library_for(torch.float32) is None, reason="no kernel can be built here")


def make_params(dtype: torch.dtype) -> Params:
    source = torch.Generator().manual_seed(0)
    shapes = {"synapses": (3, 70, 300), "bias": (17,), "scalar": (), "none": (0, 4)}
    return {name: torch.randn(shape, generator=source, dtype=dtype) for name, shape in shapes.items()}


def gradients(params: Params, step: int) -> list[Tensor]:
    source = torch.Generator().manual_seed(1 + step)
    grads = [torch.randn(t.shape, generator=source, dtype=t.dtype) * 10.0 ** (-4 * step) for t in params.values()]
    return [0 * grad if step == 2 else grad for grad in grads]


def updates(dtype: torch.dtype) -> tuple[Params, Params]:
    rule, params = adam(), make_params(dtype)
    moments = rule.init(params)
    with torch.no_grad():
        for step in range(4):
            params, moments = rule.update(params, gradients(params, step), moments, 1e-3)
    return params, moments


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the kernel was used, update by update."""
    answers, fits = [], adam_kernel.fits
    monkeypatch.setattr(adam_kernel, "fits", lambda tensors: answers.append(fits(tensors)) or answers[-1])
    return answers


@needs_kernel
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_match_plain_pytorch_and_moments_do_to_the_bit(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, used: list[bool]
):
    params, moments = updates(dtype)
    assert used == [True] * 4
    monkeypatch.setattr(adam_kernel, "fits", lambda _: False)
    expected_params, expected_moments = updates(dtype)
    assert params.keys() == expected_params.keys()
    assert moments.keys() == expected_moments.keys()
    # From equal moments on: two divisions, two sums, a root and two products, in each of four updates.
    bound = rounding(dtype, 4 * 7)
    for name, tensor in expected_params.items():
        torch.testing.assert_close(params[name], tensor, rtol=bound, atol=bound)
    assert all(torch.equal(moments[name], tensor) for name, tensor in expected_moments.items())


@needs_kernel
def test_inputs_are_left_as_they_are_and_need_not_be_contiguous(used: list[bool]):
    rule, params = adam(), make_params(torch.float32)
    params["synapses"] = params["synapses"].transpose(1, 2)
    moments, grads = rule.init(params), gradients(params, 0)
    before = [tensor.clone() for tensor in (*params.values(), *moments.values(), *grads)]
    with torch.no_grad():
        new, _ = rule.update(params, grads, moments, torch.tensor(0.1))
    assert used == [True]
    assert all(torch.equal(a, b) for a, b in zip(before, (*params.values(), *moments.values(), *grads), strict=True))
    assert new["synapses"].shape == params["synapses"].shape
    # Adam's first step is the rate times the gradient's sign.
    expected = params["synapses"] - 0.1 * grads[0].sign()
    torch.testing.assert_close(new["synapses"], expected, rtol=1e-4, atol=1e-4)


def test_the_kernel_is_not_used_where_a_graph_is_wanted_or_compiling_would_not_pay(used: list[bool]):
    rule, params = adam(), make_params(torch.float32)
    leaf = params["synapses"].requires_grad_()
    new, _ = rule.update(params, gradients(params, 0), rule.init(params), 1e-3)
    assert leaf.requires_grad
    assert new["synapses"].requires_grad
    small = {"bias": params["bias"]}
    with torch.no_grad():
        rule.update(small, [torch.ones(17)], rule.init(small), 1e-3)
    assert used == [False, False]
