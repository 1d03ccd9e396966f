"""Convolutions, pooling and normalization of images laid out as rows of channels, differentiable to any order.

A convolution is two bilinear maps and their adjoint away from itself: with the trilinear form `t(x, w, g) = <corr(x, w), g>`,
each of `corr(x, w)`, the gradient of x and the gradient of w is t with one argument left open. So three functions that name
one another as gradients are exact to any order, and each is one matrix product on patches. Patches are copied out for a few
images at a time, which is cheap as channels lie together, and never kept.

Shape suffixes: B images, H height, W width, C channels in, O channels out, N positions, P patch (3 * 3 * C).
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import max_pool2d

from hyperlearning.kernels import rows as row_kernel
from hyperlearning.kernels import winograd

EPS = 1e-5
"""Added to the variance by instance normalization, as PyTorch's layers do."""

_SIDE = 3
_unpool = torch.ops.aten.max_pool2d_with_indices_backward
_CHUNK = 2**21
"""Numbers in the patches made at once: they stay in the cache."""


def correlate(
    images: Float[Tensor, "batch height width channels"], weight: Float[Tensor, "maps 3 3 channels"]
) -> Float[Tensor, "batch new_height new_width maps"]:
    """Convolves with 3 x 3 kernels, without padding: `y[h, w, o] = sum_ijc x[h+i, w+j, c] * weight[o, i, j, c]`."""
    return _Correlate.apply(images, weight)


def standardize(images: Float[Tensor, "batch height width maps"]) -> Float[Tensor, "batch height width maps"]:
    """Instance normalization without its affine part: `(y - mean) / sqrt(var + eps)` over each image's positions.

    On one image this is what batch normalization does in training with a batch of one.
    """
    return _Standardize.apply(images)[0]


def pool(images: Float[Tensor, "batch height width maps"]) -> Float[Tensor, "batch new_height new_width maps"]:
    """Takes the maximum of every 2 x 2 window; a last odd row or column is left out."""
    return max_pool2d(images.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


def pooled_first_block(
    images: Float[Tensor, "batch height width channels"],
    weight: Float[Tensor, "maps 3 3 channels"],
    scale: Float[Tensor, " maps"],
) -> Float[Tensor, "batch new_height new_width maps"]:
    """Convolves data, standardizes, scales and pools, as `pool(standardize(correlate(x, w)) * scale)` would.

    Mean and variance of a convolution follow from those of its patches: `var_o = w_o' Cov(patches) w_o`. With few input
    channels the covariance is small, so normalization becomes part of the weights, and neither the large maps before
    pooling nor anything of their size is kept. No gradient reaches the images.
    """
    batch, height, width, _ = images.shape
    rows, columns = height - _SIDE + 1, width - _SIDE + 1
    patches = _patches(images.detach()).view(batch, rows * columns, -1)
    patches = patches - patches.mean(1, keepdim=True)
    covariance = patches.transpose(1, 2) @ patches / (rows * columns)
    flat = weight.flatten(1)
    variance = ((flat @ covariance) * flat).sum(-1)
    folded_BOP = flat * ((variance + EPS).rsqrt() * scale)[..., None]
    return _PooledProduct.apply(patches, folded_BOP, rows, columns)


class _Correlate(Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(images, weight)
        if winograd.worthwhile(images, weight):
            return winograd.correlate(images, weight)
        (batch, rows, columns), flat = _out_sizes(images), weight.flatten(1).t()
        out = images.new_empty(batch, rows, columns, len(weight))
        scratch = _scratch(images)
        for part in _parts(images):
            torch.mm(_patches(images[part], scratch), flat, out=out[part].view(-1, len(weight)))
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        images, weight = ctx.saved_tensors
        of_images, of_weight = ctx.needs_input_grad
        return (
            _InputGradient.apply(grad, weight) if of_images else None,
            _WeightGradient.apply(grad, images) if of_weight else None,
        )


class _InputGradient(Function):
    @staticmethod
    def forward(ctx: Any, grad: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(grad, weight)
        if winograd.worthwhile(grad, weight):
            return winograd.input_gradient(grad, weight)
        batch, rows, columns, maps = grad.shape
        out = grad.new_empty(batch, rows + _SIDE - 1, columns + _SIDE - 1, weight.shape[-1])
        flat, scratch = weight.flatten(1), _scratch(out)
        for part in _parts(out):
            lines = grad[part].reshape(-1, maps)
            _add_patches(torch.mm(lines, flat, out=scratch[: len(lines)]), out[part])
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        outer, weight = ctx.saved_tensors
        of_outer, of_weight = ctx.needs_input_grad
        return (
            _Correlate.apply(grad, weight) if of_outer else None,
            _WeightGradient.apply(outer, grad) if of_weight else None,
        )


class _WeightGradient(Function):
    @staticmethod
    def forward(ctx: Any, grad: Tensor, images: Tensor) -> Tensor:
        ctx.save_for_backward(grad, images)
        maps = grad.shape[-1]
        out = grad.new_empty(maps, _SIDE, _SIDE, images.shape[-1])
        if winograd.worthwhile(images, out):
            return winograd.weight_gradient(grad, images)
        flat = out.flatten(1)
        scratch = _scratch(images)
        for number, part in enumerate(_parts(images)):
            rows, patches = grad[part].reshape(-1, maps).t(), _patches(images[part], scratch)
            if number == 0:
                torch.mm(rows, patches, out=flat)
            else:
                flat.addmm_(rows, patches)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        outer, images = ctx.saved_tensors
        of_outer, of_images = ctx.needs_input_grad
        return (
            _Correlate.apply(images, grad) if of_outer else None,
            _InputGradient.apply(outer, grad) if of_images else None,
        )


class _Standardize(Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor) -> tuple[Tensor, Tensor]:
        if row_kernel.fits(images, images.shape[-1]):
            standard, inverse = row_kernel.standardize(images, EPS)
            ctx.save_for_backward(standard, inverse)
            return standard, inverse
        centred = images - images.mean((1, 2), keepdim=True)
        inverse = (centred.square().mean((1, 2), keepdim=True) + EPS).rsqrt()
        centred *= inverse
        # Saved results belong to the graph, so that what `backward` makes of them can be differentiated again.
        ctx.save_for_backward(centred, inverse)
        return centred, inverse

    @staticmethod
    def backward(ctx: Any, grad: Tensor, grad_inverse: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        standard, inverse = ctx.saved_tensors
        if not torch.is_grad_enabled() and row_kernel.fits(standard, standard.shape[-1]):
            return row_kernel.standardize_gradient(grad, grad_inverse, standard, inverse)
        along = (grad * standard).mean((1, 2), keepdim=True)
        positions = grad.shape[1] * grad.shape[2]
        along = along + inverse * grad_inverse / positions
        return inverse * torch.addcmul(grad - grad.mean((1, 2), keepdim=True), standard, along, value=-1)


class _PooledProduct(Function):
    """The largest product `patch @ weight` of each window."""

    @staticmethod
    def forward(ctx: Any, patches_BNP: Tensor, folded_BOP: Tensor, rows: int, columns: int) -> Tensor:
        ctx.sizes = (rows, columns)
        if row_kernel.fits(folded_BOP, folded_BOP.shape[1]):
            largest, where = row_kernel.largest_products(patches_BNP, folded_BOP, rows, columns)
            ctx.save_for_backward(patches_BNP, where)
            return largest
        maps, pooled = folded_BOP.shape[1], (rows // 2, columns // 2)
        largest = patches_BNP.new_empty(len(patches_BNP), *pooled, maps)
        # Positions within one image: two bytes are enough, PyTorch has eight.
        where = largest.new_empty(largest.shape, dtype=torch.int16)
        for image, patches in enumerate(patches_BNP):
            products = (patches @ folded_BOP[image].t()).view(1, rows, columns, maps)
            values, indices = max_pool2d(products.permute(0, 3, 1, 2), 2, return_indices=True)
            largest[image] = values[0].permute(1, 2, 0)
            where[image] = indices[0].permute(1, 2, 0)
        ctx.save_for_backward(patches_BNP, where)
        return largest

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return None, _PooledProductGradient.apply(grad, *ctx.saved_tensors, ctx.sizes), None, None


class _PooledProductGradient(Function):
    """Sums over windows of `grad * patch`, the patch being that of the window's largest product."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, patches_BNP: Tensor, where: Tensor, sizes: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(patches_BNP, where)
        ctx.sizes = sizes
        if where.dtype == torch.uint8:
            return row_kernel.largest_products_gradient(grad, patches_BNP, where, *sizes)
        grad = grad.contiguous()
        (batch, _, _, maps), shape_only = grad.shape, grad.new_empty(1, *sizes, grad.shape[-1]).permute(0, 3, 1, 2)
        out = grad.new_empty(batch, maps, patches_BNP.shape[2])
        for image, patches in enumerate(patches_BNP):
            own, at = (tensor[image, None].permute(0, 3, 1, 2) for tensor in (grad, where))
            spread = _unpool(own, shape_only, (2, 2), (2, 2), (0, 0), (1, 1), False, at.long())
            # Product and transposition in this order: several times faster than the other.
            out[image] = (patches.t() @ spread.permute(0, 2, 3, 1).view(-1, maps)).t()
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _PickedProduct.apply(grad, *ctx.saved_tensors, ctx.sizes), None, None, None


class _PickedProduct(Function):
    """The products `patch @ weight` where each window's largest was."""

    @staticmethod
    def forward(ctx: Any, folded_BOP: Tensor, patches_BNP: Tensor, where: Tensor, sizes: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(patches_BNP, where)
        ctx.sizes = sizes
        if where.dtype == torch.uint8:
            return row_kernel.picked_products(patches_BNP, folded_BOP, where, *sizes)
        products = patches_BNP @ folded_BOP.transpose(1, 2)
        return products.gather(1, where.flatten(1, 2).long()).view(where.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _PooledProductGradient.apply(grad, *ctx.saved_tensors, ctx.sizes), None, None, None


def _out_sizes(images: Tensor) -> tuple[int, int, int]:
    batch, height, width, _ = images.shape
    return batch, height - _SIDE + 1, width - _SIDE + 1


def _patches(images: Tensor, scratch: Tensor | None = None) -> Tensor:
    """Copies out the patch of every position, into the first rows of `scratch` if given: (B, H, W, C) to (B * N, P)."""
    images = images.contiguous()
    (batch, rows, columns), (_, _, width, channels) = _out_sizes(images), images.shape
    line = width * channels
    views = images.as_strided(
        (batch, rows, columns, _SIDE, _SIDE * channels),
        (images.shape[1] * line, line, channels, line, 1),
    )
    if scratch is None:
        return views.reshape(batch * rows * columns, _SIDE**2 * channels)
    patches = scratch[: batch * rows * columns]
    patches.view(views.shape).copy_(views)
    return patches


def _add_patches(patches: Tensor, out: Tensor) -> None:
    """Does the transpose of `_patches`: writes the sums of all patches that lie on a pixel."""
    if row_kernel.fits(out, out.shape[-1]):
        row_kernel.add_patches(patches, out)
        return
    (batch, rows, columns), channels = _out_sizes(out), out.shape[-1]
    patches = patches.view(batch, rows, columns, _SIDE, _SIDE, channels)
    out.zero_()
    for i in range(_SIDE):
        for j in range(_SIDE):
            out[:, i : i + rows, j : j + columns] += patches[:, :, :, i, j]


def _scratch(images: Tensor) -> Tensor:
    """Makes room for the patches of any of the parts: memory that is fresh for every part costs more than the copy."""
    batch, rows, columns = _out_sizes(images)
    return images.new_empty(min(batch, _part_size(images)) * rows * columns, _SIDE**2 * images.shape[-1])


def _parts(images: Tensor) -> Iterator[slice]:
    size = _part_size(images)
    yield from (slice(first, first + size) for first in range(0, len(images), size))


def _part_size(images: Tensor) -> int:
    _, rows, columns = _out_sizes(images)
    return max(1, _CHUNK // (rows * columns * _SIDE**2 * images.shape[-1]))
