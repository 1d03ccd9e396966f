"""Minimal filtering gives what a plain convolution and its gradients do."""

import pytest
import torch
from tests.bounds import rounding
from torch import Tensor
from torch.nn.functional import conv2d

from hyperlearning.kernels import rows as row_kernel
from hyperlearning.kernels import winograd
from hyperlearning.kernels.row_convolution import correlate

pytestmark = pytest.mark.skipif(row_kernel.library_for(torch.float64) is None, reason="no kernel can be built here")

# Sums over 64 channels and 9 taps, or 11 x 11 positions of 16 images, in the second derivative twice; filtering loses two digits.
BOUND = 100 * rounding(torch.float64, 2 * (9 * 64 + 16 * 11 * 11))


def data(sizes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    """Images, a weight, and a gradient at their convolution; sizes are batch, height, width, channels and maps."""
    batch, height, width, channels, maps = sizes
    source = torch.Generator().manual_seed(0)
    shapes = (batch, height, width, channels), (maps, 3, 3, channels), (batch, height - 2, width - 2, maps)
    return tuple(torch.randn(shape, generator=source, dtype=dtype) for shape in shapes)


def plain(images: Tensor, weight: Tensor, grad: Tensor) -> list[Tensor]:
    """A convolution of PyTorch's own, and its gradients with respect to images and weight."""
    leaves = [images.clone().requires_grad_(), weight.clone().requires_grad_()]
    out = conv2d(leaves[0].permute(0, 3, 1, 2), leaves[1].permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    return [out.detach(), *torch.autograd.grad(out, leaves, grad)]


def filtered(images: Tensor, weight: Tensor, grad: Tensor) -> list[Tensor]:
    return [
        winograd.correlate(images, weight),
        winograd.input_gradient(grad, weight),
        winograd.weight_gradient(grad, images),
    ]


@pytest.mark.parametrize("numbers", [1, 2**21], ids=["image by image", "all at once"])
@pytest.mark.parametrize("sizes", [(5, 13, 13, 19, 17), (3, 5, 5, 8, 33), (2, 8, 11, 24, 20), (4, 3, 4, 1, 3)])
def test_convolution_and_gradients_are_those_of_pytorch(
    sizes: tuple[int, ...], numbers: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(winograd, "_CHUNK", numbers)
    images, weight, grad = data(sizes)
    torch.testing.assert_close(filtered(images, weight, grad), plain(images, weight, grad), rtol=BOUND, atol=BOUND)


def test_the_error_in_single_precision_is_a_few_millionths():
    tensors = data((4, 13, 13, 128, 128), torch.float32)
    exact = plain(*(tensor.double() for tensor in tensors))
    for found, expected in zip(filtered(*tensors), exact, strict=True):
        assert (found - expected).square().mean().sqrt() < 4e-6 * expected.square().mean().sqrt()


def test_derivatives_of_batches_are_those_without_filtering_to_the_second_order(monkeypatch: pytest.MonkeyPatch):
    images, weight, grad = data((winograd.FEWEST_IMAGES, 6, 5, winograd.FEWEST_CHANNELS, winograd.FEWEST_CHANNELS))
    assert winograd.worthwhile(images, weight)

    def derivatives() -> list[Tensor]:
        leaves = [images.clone().requires_grad_(), weight.clone().requires_grad_()]
        first = torch.autograd.grad(correlate(*leaves).square(), leaves, grad, create_graph=True)
        return [*first, *torch.autograd.grad(torch.cat([g.flatten() for g in first]).square().sum(), leaves)]

    found = derivatives()
    monkeypatch.setattr(winograd, "FEWEST_IMAGES", 2**30)
    expected = derivatives()
    for tensor, other in zip(found, expected, strict=True):
        torch.testing.assert_close(tensor, other, rtol=0, atol=BOUND * float(other.detach().abs().max()))


@pytest.mark.parametrize("sizes", [(2, 13, 13, 64, 64), (64, 13, 13, 28, 64), (64, 13, 13, 64, 28)])
def test_few_images_or_channels_are_convolved_as_they_are(sizes: tuple[int, ...]):
    images, weight, _ = data(sizes)
    assert not winograd.worthwhile(images, weight)
