"""3 x 3 convolutions of batches with a third of the multiplications, by Winograd's minimal filtering.

A tile of m x m results needs `(m + 2)**2` products instead of `9 m**2`: with a short polynomial product written as
interpolation, `y = A' [(G w) * (B x)]`, A, G and B being small constant matrices. Tiles of all images share each of the
`(m + 2)**2` weights, so that the products are as many matrix products. Both gradients are the same product with another
of its three factors left open, and are computed with the transposes. In double precision results are those of a plain
convolution to 13 digits; in single precision the error is about 1e-6 of the results' size, where a plain one has 2e-7.

Images are rows of channels (`row_convolution`). Nothing here carries a graph.

Shape suffixes: B images, C channels in, O channels out, T tiles, P points (the products of a tile, `(m + 2)**2`).

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", sections 4 and 5.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.kernels import rows as row_kernel

FEWEST_IMAGES = 16
"""With fewer images the weights' transformation takes longer than what it saves."""
FEWEST_CHANNELS = 64
"""With fewer channels the images' transformation does."""

_KERNEL = 3
_POINTS = {3: (0.0, 1.0, -1.0, 2.0), 4: (0.0, 1.0, -1.0, 0.5, -2.0)}
"""Where polynomials are evaluated, besides infinity, by the side of a tile; small numbers keep rounding small."""
_CHUNK = 2**21
"""Numbers in the tiles made at once: they stay in the cache."""


def worthwhile(images: Tensor, weight: Tensor) -> bool:
    """Says whether a convolution of these images (B, H, W, C) with this weight (O, 3, 3, C), or a gradient, is faster here.

    Args:
        images: What is convolved, or what the gradient is of.
        weight: The weight, or what the gradient is of.
    """
    channels = min(weight.shape[0], weight.shape[-1])
    enough = len(images) >= FEWEST_IMAGES and channels >= FEWEST_CHANNELS
    return enough and row_kernel.fits(images, channels)


def correlate(
    images: Float[Tensor, "batch height width channels"], weight: Float[Tensor, "maps 3 3 channels"]
) -> Float[Tensor, "batch new_height new_width maps"]:
    """Convolves without padding, as `row_convolution.correlate` does."""
    maps, plan = len(weight), _plan(images.shape)
    matrices = _matrices(plan.side, images.dtype)
    weight_PCO = matrices.weight(weight).transpose(1, 2)
    out = images.new_empty(len(images), *plan.out_sizes, maps)
    of_images, of_results = _Points(plan, images.shape[-1], images), _Points(plan, maps, images)
    for part in plan.parts():
        some = images[part]
        torch.bmm(of_images.filled(matrices.images, some), weight_PCO, out=of_results.of(len(some)))
        of_results.emptied(matrices.results, out[part], add=False)
    return out


def input_gradient(
    grad: Float[Tensor, "batch height width maps"], weight: Float[Tensor, "maps 3 3 channels"]
) -> Float[Tensor, "batch old_height old_width channels"]:
    """Computes the gradient of `sum(grad * correlate(x, weight))` with respect to the images x."""
    batch, rows, columns, _ = grad.shape
    channels = weight.shape[-1]
    out = grad.new_empty(batch, rows + _KERNEL - 1, columns + _KERNEL - 1, channels)
    plan = _plan(out.shape)
    matrices = _matrices(plan.side, grad.dtype)
    weight_POC = matrices.weight(weight)
    of_results, of_images = _Points(plan, grad.shape[-1], grad), _Points(plan, channels, grad)
    for part in plan.parts():
        some = grad[part]
        torch.bmm(of_results.filled(matrices.results, some), weight_POC, out=of_images.of(len(some)))
        # Tiles of images overlap.
        of_images.emptied(matrices.images, out[part], add=True)
    return out


def weight_gradient(
    grad: Float[Tensor, "batch new_height new_width maps"], images: Float[Tensor, "batch height width channels"]
) -> Float[Tensor, "maps 3 3 channels"]:
    """Computes the gradient of `sum(grad * correlate(images, w))` with respect to the weight w."""
    plan, maps, channels = _plan(images.shape), grad.shape[-1], images.shape[-1]
    matrices = _matrices(plan.side, grad.dtype)
    sum_POC = grad.new_empty((plan.side + _KERNEL - 1) ** 2, maps, channels)
    of_results, of_images = _Points(plan, maps, grad), _Points(plan, channels, grad)
    for number, part in enumerate(plan.parts()):
        grad_POT = of_results.filled(matrices.results, grad[part]).transpose(1, 2)
        image_PTC = of_images.filled(matrices.images, images[part])
        # Zero times what memory held before is not zero if that was not a number: the first product is written.
        if number == 0:
            torch.bmm(grad_POT, image_PTC, out=sum_POC)
        else:
            sum_POC.baddbmm_(grad_POT, image_PTC)
    return matrices.weight_back(sum_POC)


class _Plan(NamedTuple):
    """How images are cut into tiles.

    Attributes:
        batch: Images.
        out_sizes: Rows and columns of results.
        side: Those of one tile.
        tiles: Rows and columns of tiles.
        at_once: Images that are gone through at once.
    """

    batch: int
    out_sizes: tuple[int, int]
    side: int
    tiles: tuple[int, int]
    at_once: int

    def parts(self) -> Iterator[slice]:
        yield from (slice(first, first + self.at_once) for first in range(0, self.batch, self.at_once))


def _plan(shape: Sequence[int]) -> _Plan:
    batch, height, width, channels = shape
    sizes = height - _KERNEL + 1, width - _KERNEL + 1

    def products(side: int) -> int:
        return -(-sizes[0] // side) * -(-sizes[1] // side) * (side + _KERNEL - 1) ** 2

    side = min(_POINTS, key=products)
    most = max(1, _CHUNK // (products(side) * channels))
    # Parts of about equal size.
    at_once = -(-batch // -(-batch // most))
    return _Plan(batch, sizes, side, (-(-sizes[0] // side), -(-sizes[1] // side)), at_once)


class _Matrices(NamedTuple):
    """The constant matrices for one axis: rows are points; columns are results, taps or positions of a tile."""

    results: Tensor
    taps: Tensor
    images: Tensor

    def weight(self, weight: Tensor) -> Tensor:
        """Transforms a weight (O, 3, 3, C) into one (O, C) per point."""
        flat = torch.kron(self.taps, self.taps) @ weight.permute(1, 2, 0, 3).reshape(_KERNEL**2, -1)
        return flat.view(-1, weight.shape[0], weight.shape[-1])

    def weight_back(self, points_POC: Tensor) -> Tensor:
        """Does the transpose of `weight`."""
        _, maps, channels = points_POC.shape
        flat = torch.kron(self.taps, self.taps).t() @ points_POC.flatten(1)
        return flat.view(_KERNEL, _KERNEL, maps, channels).permute(2, 0, 1, 3).contiguous()


@functools.cache
def _matrices(side: int, dtype: torch.dtype) -> _Matrices:
    points = torch.tensor(_POINTS[side], dtype=torch.float64)
    apart = points[:, None] - points + torch.eye(len(points), dtype=torch.float64)
    at_infinity = torch.eye(side + _KERNEL - 1, dtype=torch.float64)[-1:]

    def powers(count: int) -> Tensor:
        rows = points[:, None] ** torch.arange(count)
        return torch.cat((rows, at_infinity[:, -count:]))

    taps = powers(_KERNEL)
    taps[:-1] /= apart.prod(1, keepdim=True)
    others = [[*_coefficients([*_POINTS[side][:j], *_POINTS[side][j + 1 :]]), 0.0] for j in range(len(points))]
    images = torch.tensor([*others, _coefficients(_POINTS[side])], dtype=torch.float64)
    return _Matrices(*(matrix.to(dtype) for matrix in (powers(side), taps, images)))


def _coefficients(roots: Sequence[float]) -> list[float]:
    """Coefficients of the polynomial with these roots, the constant one first."""
    found = [1.0]
    for root in roots:
        found = [a - root * b for a, b in zip([0.0, *found], [*found, 0.0], strict=True)]
    return found


class _Points:
    """The points of some images' tiles, (P, T, C), in memory that every part uses anew: fresh memory costs more than the work.

    Args:
        plan: How images are cut.
        channels: Their channels.
        like: What gives type and device.
    """

    def __init__(self, plan: _Plan, channels: int, like: Tensor) -> None:
        self.plan, self.channels = plan, channels
        self.extent = plan.side + _KERNEL - 1
        down, across = plan.tiles
        self.room = like.new_empty(self.extent**2 * plan.at_once * down * across * channels)

    def of(self, images: int) -> Tensor:
        """Hands out the memory for so many images, at most those of a part."""
        down, across = self.plan.tiles
        sizes = self.extent**2, images * down * across, self.channels
        return self.room[: sizes[0] * sizes[1] * sizes[2]].view(sizes)

    def filled(self, matrix: Tensor, images: Tensor) -> Tensor:
        """Transforms images, or what has the shape of results, into points."""
        points, images = self.of(len(images)), images.contiguous()
        sizes = [*self._sizes(len(images)), *self._image_strides(images), *self._point_strides(points)]
        row_kernel.transform(matrix, images, points, add=False, sizes=sizes)
        return points

    def emptied(self, matrix: Tensor, out: Tensor, *, add: bool) -> None:
        """Transforms points into images or results by the transpose of a matrix."""
        points = self.of(len(out))
        sizes = [*self._sizes(len(out)), *self._point_strides(points), *self._image_strides(out)]
        row_kernel.transform(matrix.t().contiguous(), points, out, add=add, sizes=sizes)

    def _sizes(self, images: int) -> tuple[int, ...]:
        return images, *self.plan.tiles, self.channels

    def _image_strides(self, images: Tensor) -> tuple[int, ...]:
        image, row, column, _ = images.stride()
        side = self.plan.side
        return image, side * row, side * column, row, column, images.shape[1], images.shape[2], side

    def _point_strides(self, points: Tensor) -> tuple[int, ...]:
        (down, across), point = self.plan.tiles, points.stride(0)
        tile = self.channels
        return down * across * tile, across * tile, tile, self.extent * point, point, self.extent, self.extent, 0
