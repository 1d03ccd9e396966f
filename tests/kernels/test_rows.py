"""Compiled kernels give what PyTorch's operations do; `test_row_convolution.py` has their derivatives."""

from collections.abc import Callable, Sequence

import pytest
import torch
from tests.bounds import check_within, conditioned
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.kernels import rows as row_kernel
from hyperlearning.kernels.row_convolution import correlate, pool, pooled_first_block, standardize

pytestmark = pytest.mark.skipif(row_kernel.library_for(torch.float64) is None, reason="no kernel can be built here")

MAPS = 19


def make(name: str, dtype: torch.dtype) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """A function and what it takes; the sizes leave an incomplete vector of maps."""
    source = torch.Generator().manual_seed(0)

    def randn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=source, dtype=dtype)

    if name == "correlate":
        return correlate, [randn(3, 6, 7, MAPS), randn(20, 3, 3, MAPS)]
    if name == "standardize":
        return standardize, [randn(3, 6, 7, MAPS)]
    return pooled_first_block, [randn(3, 9, 8, 2), randn(MAPS, 3, 3, 2), randn(MAPS)]


def values_and_derivatives(name: str, tensors: Sequence[Tensor]) -> Params:
    """To the second order, with respect to all that a gradient reaches."""
    (function, _), given = make(name, tensors[0].dtype), [tensor.detach() for tensor in tensors]
    leaves = [tensor.requires_grad_() for tensor in (given[1:] if name == "first block" else given)]
    out = function(*given)
    grads = torch.autograd.grad(out.sin().sum(), leaves, create_graph=True)
    plain = torch.autograd.grad(function(*given).sin().sum(), leaves)
    second = torch.autograd.grad(torch.cat([g.flatten() for g in grads]).square().sum(), leaves)
    return {str(i): tensor.detach() for i, tensor in enumerate([out, *plain, *second])}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["correlate", "standardize", "first block"])
def test_values_and_derivatives_are_those_of_plain_operations(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
):
    assert row_kernel.fits(torch.empty(0, dtype=dtype), MAPS)
    _, tensors = make(name, dtype)
    found = values_and_derivatives(name, tensors)
    monkeypatch.setattr(row_kernel, "FEWEST_MAPS", 2**30)
    # A sum over a patch or over all positions, there, back, and both again.
    operations = 4 * (9 * MAPS + 3 * 6 * 7)
    inputs = {str(i): tensor for i, tensor in enumerate(tensors)}
    exact, bounds = conditioned(
        lambda others: values_and_derivatives(name, [*others.values()]), inputs, dtype, operations
    )
    check_within(found, exact, bounds)


def test_what_is_not_a_number_is_not_hidden_by_pooling():
    function, (images, weight, scale) = make("first block", torch.float64)
    weight[3] = torch.nan
    out = function(images, weight, scale)
    assert out[..., 3].isnan().all()
    assert not out[..., :3].isnan().any()


def test_the_first_of_equal_products_is_taken():
    patches, folded = torch.ones(1, 4, 9), torch.ones(1, MAPS, 9)
    largest, which = row_kernel.largest_products(patches, folded, 2, 2)
    assert torch.equal(which, torch.zeros_like(which))
    assert torch.equal(largest, torch.full_like(largest, 9.0))


def test_pooling_takes_whole_windows_alone():
    images = torch.arange(25.0).view(1, 5, 5, 1)
    assert pool(images).flatten().tolist() == [6.0, 8.0, 16.0, 18.0]


@pytest.mark.parametrize("unfit", [torch.empty(4, dtype=torch.float16), torch.empty(4, device="meta")])
def test_other_kinds_of_tensors_go_without(unfit: Tensor):
    assert not row_kernel.fits(unfit, 256)
    assert not row_kernel.fits(torch.empty(4), 1)
