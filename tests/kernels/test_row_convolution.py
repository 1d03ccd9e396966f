"""Convolutions, pooling and normalization of rows of channels against PyTorch's own and finite differences."""

import pytest
import torch
from tests.bounds import rounding
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import batch_norm, conv2d, max_pool2d

from hyperlearning.kernels import rows as row_kernel
from hyperlearning.kernels import winograd
from hyperlearning.kernels.row_convolution import correlate, pooled_first_block, standardize

needs_kernel = pytest.mark.skipif(row_kernel.library_for(torch.float64) is None, reason="no kernel can be built here")


# Sums of at most 18 terms or 42 positions, and three roots and divisions. Minimal filtering loses two digits beside that.
BOUND = 100 * rounding(torch.float64, 18 + 42 + 3)


@pytest.fixture(
    params=["plain", pytest.param("compiled", marks=needs_kernel), pytest.param("filtered", marks=needs_kernel)],
    autouse=True,
)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How it is computed: with PyTorch's operations alone, with kernels, and with minimal filtering too."""
    monkeypatch.setattr(row_kernel, "FEWEST_MAPS", 1 if request.param != "plain" else 2**30)
    if request.param == "filtered":
        monkeypatch.setattr(winograd, "FEWEST_IMAGES", 1)
        monkeypatch.setattr(winograd, "FEWEST_CHANNELS", 1)
    return request.param


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=seeded(), dtype=torch.float64)


def test_instance_normalization_is_batch_normalization_of_one_image():
    image = randn(1, 4, 5, 3)
    expected = batch_norm(image.permute(0, 3, 1, 2), None, None, training=True).permute(0, 2, 3, 1)
    torch.testing.assert_close(standardize(image), expected, rtol=BOUND, atol=BOUND)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_convolution_is_that_of_pytorch(batch: int):
    images, weight = randn(batch, 6, 5, 2), randn(4, 3, 3, 2)
    expected = conv2d(images.permute(0, 3, 1, 2), weight.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(correlate(images, weight), expected, rtol=BOUND, atol=BOUND)


def test_convolving_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    images, weight = randn(5, 6, 6, 2), randn(4, 3, 3, 2)

    def everything() -> list[Tensor]:
        leaves = [images.clone().requires_grad_(), weight.clone().requires_grad_()]
        out = correlate(*leaves)
        return [out, *torch.autograd.grad(out.square().sum(), leaves)]

    whole = everything()
    monkeypatch.setattr("hyperlearning.kernels.row_convolution._CHUNK", 1)
    torch.testing.assert_close(everything(), whole, rtol=BOUND, atol=BOUND)


def test_first_and_second_derivatives_of_a_convolution_are_those_of_finite_differences():
    leaves = (randn(2, 4, 5, 2).requires_grad_(), randn(2, 3, 3, 2).requires_grad_())
    assert gradcheck(correlate, leaves)
    assert gradgradcheck(correlate, leaves)


def test_first_and_second_derivatives_of_normalization_are_those_of_finite_differences():
    leaves = (randn(2, 2, 3, 2).requires_grad_(),)
    assert gradcheck(standardize, leaves)
    assert gradgradcheck(standardize, leaves)


@pytest.mark.parametrize("side", [6, 7])
def test_the_first_block_is_a_convolution_normalized_scaled_and_pooled(side: int):
    images, weight, scale = randn(3, side, side, 2), randn(4, 3, 3, 2), randn(4)
    blocks = standardize(correlate(images, weight)) * scale
    expected = max_pool2d(blocks.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    torch.testing.assert_close(pooled_first_block(images, weight, scale), expected, rtol=BOUND, atol=BOUND)


def test_first_and_second_derivatives_of_the_first_block_are_those_of_finite_differences():
    images = randn(2, 6, 6, 1)
    leaves = (randn(2, 3, 3, 1).requires_grad_(), randn(2).requires_grad_())

    def block(weight: Tensor, scale: Tensor) -> Tensor:
        return pooled_first_block(images, weight, scale)

    assert gradcheck(block, leaves)
    assert gradgradcheck(block, leaves)
