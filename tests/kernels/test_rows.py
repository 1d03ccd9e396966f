"""Compiled kernels give what PyTorch's operations do; `test_row_convolution.py` has their derivatives."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hyperlearning.kernels import rows as row_kernel
from hyperlearning.kernels.row_convolution import correlate, pool, pooled_first_block, standardize

pytestmark = pytest.mark.skipif(row_kernel._library_for(torch.float64) is None, reason="no kernel can be built here")

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-11}
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
    images = randn(3, 9, 8, 2)
    return lambda weight, scale: pooled_first_block(images, weight, scale), [randn(MAPS, 3, 3, 2), randn(MAPS)]


def values_and_derivatives(name: str, dtype: torch.dtype) -> list[Tensor]:
    function, tensors = make(name, dtype)
    leaves = [tensor.requires_grad_() for tensor in tensors]
    out = function(*leaves)
    grads = torch.autograd.grad(out.sin().sum(), leaves, create_graph=True)
    plain = torch.autograd.grad(function(*leaves).sin().sum(), leaves)
    return [out.detach(), *plain, *torch.autograd.grad(torch.cat([g.flatten() for g in grads]).square().sum(), leaves)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["correlate", "standardize", "first block"])
def test_values_and_derivatives_are_those_of_plain_operations(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
):
    assert row_kernel.fits(torch.empty(0, dtype=dtype), MAPS)
    found = values_and_derivatives(name, dtype)
    monkeypatch.setattr(row_kernel, "FEWEST_MAPS", 2**30)
    expected = values_and_derivatives(name, dtype)
    for tensor, other in zip(found, expected, strict=True):
        size = float(other.abs().max())
        torch.testing.assert_close(tensor, other, rtol=0, atol=TOLERANCE[dtype] * size)


def kernels() -> list[Tensor]:
    """What kernels without a matrix product make of some images."""
    source = torch.Generator().manual_seed(0)
    images, patches = torch.randn(5, 6, 4, MAPS, generator=source), torch.randn(5, 24, 9, generator=source)
    folded, out = torch.randn(5, MAPS, 9, generator=source), torch.empty(5, 8, 6, 9)
    standard, inverse = row_kernel.standardize(images, 1e-5)
    largest, which = row_kernel.largest_products(patches, folded, 6, 4)
    row_kernel.add_patches(torch.randn(5 * 24, 81, generator=source), out)
    back = row_kernel.largest_products_gradient(largest, patches, which, 6, 4)
    return [standard, row_kernel.standardize_gradient(images, inverse, standard, inverse), largest, which, back, out]


def test_the_number_of_threads_changes_nothing_to_the_bit():
    threads, results = torch.get_num_threads(), []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            results.append(kernels())
    finally:
        torch.set_num_threads(threads)
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_what_is_not_a_number_is_not_hidden_by_pooling():
    function, (weight, scale) = make("first block", torch.float64)
    weight[3] = torch.nan
    out = function(weight, scale)
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
