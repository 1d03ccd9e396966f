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
    known = images.is_cpu and images.dtype in (torch.float32, torch.float64)
    return known and len(images) >= FEWEST_IMAGES and channels >= FEWEST_CHANNELS


def correlate(
    images: Float[Tensor, "batch height width channels"], weight: Float[Tensor, "maps 3 3 channels"]
) -> Float[Tensor, "batch new_height new_width maps"]:
    """Convolves without padding, as `row_convolution.correlate` does."""
    maps, plan = len(weight), _plan(images.shape)
    matrices = _matrices(plan.side, images.dtype)
    weight_PCO = matrices.weight(weight).transpose(1, 2)
    out = images.new_empty(len(images), *plan.out_sizes, maps)
    rooms = _Rooms(plan, images)
    for part in plan.parts():
        image_PTC = rooms.image_points(matrices, images[part])
        product_PTO = torch.bmm(image_PTC, weight_PCO, out=rooms.take("products", *image_PTC.shape[:2], maps))
        rooms.from_points(matrices, product_PTO, out[part])
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
    rooms = _Rooms(plan, grad)
    for part in plan.parts():
        grad_PTO = rooms.result_points(matrices, grad[part])
        product_PTC = torch.bmm(grad_PTO, weight_POC, out=rooms.take("products", *grad_PTO.shape[:2], channels))
        rooms.add_tiles(matrices, product_PTC, out[part])
    return out


def weight_gradient(
    grad: Float[Tensor, "batch new_height new_width maps"], images: Float[Tensor, "batch height width channels"]
) -> Float[Tensor, "maps 3 3 channels"]:
    """Computes the gradient of `sum(grad * correlate(images, w))` with respect to the weight w."""
    plan, maps, channels = _plan(images.shape), grad.shape[-1], images.shape[-1]
    matrices = _matrices(plan.side, grad.dtype)
    sum_POC = grad.new_empty((plan.side + _KERNEL - 1) ** 2, maps, channels)
    of_grad, of_images = _Rooms(plan, grad), _Rooms(plan, images)
    for number, part in enumerate(plan.parts()):
        grad_POT = of_grad.result_points(matrices, grad[part]).transpose(1, 2)
        image_PTC = of_images.image_points(matrices, images[part])
        # Zero times what memory held before is not zero if that was not a number: the first product is written.
        if number == 0:
            torch.bmm(grad_POT, image_PTC, out=sum_POC)
        else:
            sum_POC.baddbmm_(grad_POT, image_PTC)
    flat = matrices.weight_P9.t() @ sum_POC.flatten(1)
    return flat.view(_KERNEL, _KERNEL, maps, channels).permute(2, 0, 1, 3).contiguous()


class _Plan(NamedTuple):
    """How images are cut into tiles: the results' sizes, a tile's side, rows and columns of tiles, images at once."""

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
    """The constant matrices for two axes at once: rows are points, columns positions in a tile."""

    result_PM: Tensor
    weight_P9: Tensor
    image_PP: Tensor

    def weight(self, weight: Tensor) -> Tensor:
        """Transforms a weight (O, 3, 3, C) into one (O, C) per point."""
        flat = self.weight_P9 @ weight.permute(1, 2, 0, 3).reshape(_KERNEL**2, -1)
        return flat.view(-1, weight.shape[0], weight.shape[-1])


@functools.cache
def _matrices(side: int, dtype: torch.dtype) -> _Matrices:
    points = torch.tensor(_POINTS[side], dtype=torch.float64)
    apart = points[:, None] - points + torch.eye(len(points), dtype=torch.float64)
    at_infinity = torch.eye(side + _KERNEL - 1, dtype=torch.float64)[-1:]

    def powers(count: int) -> Tensor:
        rows = points[:, None] ** torch.arange(count)
        return torch.cat((rows, at_infinity[:, -count:]))

    weight = powers(_KERNEL)
    weight[:-1] /= apart.prod(1, keepdim=True)
    others = [_coefficients([*_POINTS[side][:j], *_POINTS[side][j + 1 :]]) + [0.0] for j in range(len(points))]
    image = torch.tensor([*others, _coefficients(_POINTS[side])], dtype=torch.float64)
    return _Matrices(*(torch.kron(m, m).to(dtype) for m in (powers(side), weight, image)))


def _coefficients(roots: Sequence[float]) -> list[float]:
    """Coefficients of the polynomial with these roots, the constant one first."""
    found = [1.0]
    for root in roots:
        found = [a - root * b for a, b in zip([0.0, *found], [*found, 0.0], strict=True)]
    return found


class _Rooms:
    """Memory that every part uses anew: fresh memory costs more than the arithmetic."""

    def __init__(self, plan: _Plan, like: Tensor) -> None:
        self.plan, self.like = plan, like
        self.rooms: dict[str, Tensor] = {}

    def take(self, name: str, *sizes: int) -> Tensor:
        """Hands out memory of these sizes; the first call under a name must be the largest."""
        count = torch.Size(sizes).numel()
        if name not in self.rooms:
            self.rooms[name] = self.like.new_empty(count)
        return self.rooms[name][:count].view(sizes)

    def padded(self, tensor: Tensor, margin: int) -> Tensor:
        """Copies results or images into whole tiles with zeros behind."""
        side, (down, across) = self.plan.side, self.plan.tiles
        sizes = len(tensor), down * side + margin, across * side + margin, tensor.shape[-1]
        first = "padded" not in self.rooms
        room = self.take("padded", *sizes)
        if first:
            room.zero_()
        room[:, : tensor.shape[1], : tensor.shape[2]] = tensor
        return room

    def cut(self, padded: Tensor, extent: int) -> Tensor:
        """Cuts windows of this extent, one for each tile: one row of numbers (tiles and channels) per position."""
        side, (down, across) = self.plan.side, self.plan.tiles
        image, line, column, _ = padded.stride()
        sizes = extent, extent, len(padded), down, across, padded.shape[-1]
        windows = padded.as_strided(sizes, (line, column, image, side * line, side * column, 1))
        return self.take("tiles", *sizes).copy_(windows).view(extent**2, -1)

    def image_points(self, matrices: _Matrices, images: Tensor) -> Tensor:
        """Transforms images (B, H, W, C) to (P, T, C)."""
        tiles = self.cut(self.padded(images, _KERNEL - 1), self.plan.side + _KERNEL - 1)
        return self._points(matrices.image_PP, tiles, images.shape[-1])

    def result_points(self, matrices: _Matrices, results: Tensor) -> Tensor:
        """Transforms what has the shape of results (B, H', W', O) to (P, T, O)."""
        tiles = self.cut(self.padded(results, 0), self.plan.side)
        return self._points(matrices.result_PM, tiles, results.shape[-1])

    def _points(self, matrix: Tensor, tiles: Tensor, channels: int) -> Tensor:
        room = self.take("points", len(matrix), tiles.shape[1])
        return torch.mm(matrix, tiles, out=room).view(len(matrix), -1, channels)

    def from_points(self, matrices: _Matrices, points_PTO: Tensor, out: Tensor) -> None:
        """Writes the results that products (P, T, O) make."""
        side, (down, across) = self.plan.side, self.plan.tiles
        flat = points_PTO.flatten(1)
        tiles = torch.mm(matrices.result_PM.t(), flat, out=self.take("results", side**2, flat.shape[1]))
        whole = self.take("whole", len(out), down, side, across, side, out.shape[-1])
        whole.copy_(tiles.view(side, side, len(out), down, across, -1).permute(2, 3, 0, 4, 1, 5))
        out.copy_(whole.flatten(3, 4).flatten(1, 2)[:, : out.shape[1], : out.shape[2]])

    def add_tiles(self, matrices: _Matrices, points_PTC: Tensor, out: Tensor) -> None:
        """Writes the images whose overlapping tiles these products (P, T, C) make."""
        side, (down, across) = self.plan.side, self.plan.tiles
        extent, flat = side + _KERNEL - 1, points_PTC.flatten(1)
        tiles = torch.mm(matrices.image_PP.t(), flat, out=self.take("results", len(points_PTC), flat.shape[1]))
        tiles = tiles.view(extent, extent, len(out), down, across, -1)
        whole = self.take("whole", len(out), down * side + _KERNEL - 1, across * side + _KERNEL - 1, out.shape[-1])
        whole.zero_()
        for i in range(extent):
            for j in range(extent):
                whole[:, i : i + down * side : side, j : j + across * side : side] += tiles[i, j]
        out.copy_(whole[:, : out.shape[1], : out.shape[2]])
