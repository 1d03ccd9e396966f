"""Compiled CPU kernels for what stands around the matrix products of convolutions on rows of channels.

Cutting tiles, pooling and normalizing read and write far more than they compute; with PyTorch's operations each of several
passes goes to memory. Here each is one pass. Nothing here carries a graph.

Shape suffixes: B images, N positions, P patch (9 times channels in), O channels out.
"""

import ctypes
import functools
from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from hyperlearning.kernels import toolchain
from hyperlearning.kernels.tensors import expect_kind, expect_shape
from hyperlearning.kernels.toolchain import DOUBLE, INT, LONG, POINTER, Source

# Smaller networks are over before anything would have been compiled.
FEWEST_MAPS = 16
_TAPS = 9
_SOURCE = Source(
    name="rows",
    what="convolutions on rows of channels",
    seconds=4,
    functions={
        "row_transform": (INT, *[INT] * 4, *[POINTER] * 4),
        "row_add_patches": (None, *[INT] * 2, *[LONG] * 3, *[POINTER] * 2),
        "row_largest": (None, INT, *[POINTER] * 5),
        "row_picked": (None, INT, *[POINTER] * 5),
        "row_largest_gradient": (None, INT, *[POINTER] * 5),
        "row_standardize": (None, *[INT] * 2, *[LONG] * 2, DOUBLE, *[POINTER] * 3),
        "row_unstandardize": (None, *[INT] * 2, *[LONG] * 2, *[POINTER] * 5),
    },
)


def fits(tensor: Tensor, maps: int) -> bool:
    """Says whether kernels can be used for tensors of this kind, and are worth it.

    Args:
        tensor: One of them, for type, precision and device.
        maps: Size of their last axis.
    """
    plain = type(tensor) in (Tensor, torch.nn.Parameter) and tensor.is_cpu and tensor.dtype in toolchain.REALS
    if not plain or torch.compiler.is_compiling() or maps < FEWEST_MAPS:
        return False
    return library_for(tensor.dtype) is not None


def transform(
    matrix: Float[Tensor, "to from"], source: Tensor, target: Tensor, *, add: bool, sizes: Sequence[int]
) -> None:
    """Computes `matrix @ tile @ matrix'` for every tile of every image and channel.

    Args:
        matrix: 5 or 6 numbers from or to 3 to 6.
        source: What the tiles are read from.
        target: What the results are written to.
        add: Whether targets overlap: all of the target is written, and results that meet are added up.
        sizes: Images, rows and columns of tiles, channels; then for source and target each: strides from image to image, to
            the next row and column of tiles, to the next row and column of a tile, rows and columns there are, and how many
            of these a tile moves on.
    """
    assert source.is_contiguous()
    assert target.is_contiguous()
    to, come = matrix.shape
    known = _call("row_transform", matrix.dtype, come, to, add, (LONG * len(sizes))(*sizes), matrix, source, target)
    assert known


def add_patches(patches: Float[Tensor, "positions patch"], out: Float[Tensor, "batch height width maps"]) -> None:
    """Writes into images the sums of all patches that lie on a pixel, one patch for each position of a 3 x 3 kernel."""
    batch, height, width, maps = out.shape
    _expect("patches", patches, (batch * (height - 2) * (width - 2), _TAPS * maps), out.dtype)
    assert patches.is_contiguous()
    assert out.is_contiguous()
    _call("row_add_patches", out.dtype, batch, height - 2, width - 2, maps, patches, out)


def largest_products(
    patches_BNP: Tensor, folded_BOP: Tensor, rows: int, columns: int
) -> tuple[Float[Tensor, "batch new_height new_width maps"], UInt8[Tensor, "batch new_height new_width maps"]]:
    """Computes the largest product `patch @ weight` of each 2 x 2 window, and which of the four it was."""
    maps, dtype = folded_BOP.shape[1], folded_BOP.dtype
    _expect("patches_BNP", patches_BNP, (len(folded_BOP), rows * columns, folded_BOP.shape[2]), dtype)
    weights_BPO, patches_BNP = folded_BOP.transpose(1, 2).contiguous(), patches_BNP.contiguous()
    largest = patches_BNP.new_empty(len(patches_BNP), rows // 2, columns // 2, maps)
    which = torch.empty_like(largest, dtype=torch.uint8)
    block = _block(patches_BNP, rows, columns, maps)
    _call("row_largest", dtype, block, patches_BNP, weights_BPO, largest, which)
    return largest, which


def picked_products(
    patches_BNP: Tensor, folded_BOP: Tensor, which: Tensor, rows: int, columns: int
) -> Float[Tensor, "batch new_height new_width maps"]:
    """Computes the product `patch @ weight` of one position of each window."""
    (batch, maps, patch), dtype = folded_BOP.shape, folded_BOP.dtype
    _expect("patches_BNP", patches_BNP, (batch, rows * columns, patch), dtype)
    _expect("which", which, (batch, rows // 2, columns // 2, maps), torch.uint8)
    weights_BPO, patches_BNP = folded_BOP.transpose(1, 2).contiguous(), patches_BNP.contiguous()
    picked = torch.empty_like(which, dtype=patches_BNP.dtype)
    block = _block(patches_BNP, rows, columns, maps)
    _call("row_picked", dtype, block, patches_BNP, weights_BPO, which, picked)
    return picked


def largest_products_gradient(
    grad: Tensor, patches_BNP: Tensor, which: Tensor, rows: int, columns: int
) -> Float[Tensor, "batch maps patch"]:
    """Sums `grad * patch` over windows, the patch being that of the position named by `which`."""
    batch, _, patch = patches_BNP.shape
    _expect("which", which, (batch, rows // 2, columns // 2, which.shape[-1]), torch.uint8)
    _expect("grad", grad, which.shape, patches_BNP.dtype)
    _expect("patches_BNP", patches_BNP, (batch, rows * columns, patch), grad.dtype)
    patches_BNP, grad = patches_BNP.contiguous(), grad.contiguous()
    out_BPO = grad.new_empty(len(grad), patches_BNP.shape[2], grad.shape[-1])
    block = _block(patches_BNP, rows, columns, grad.shape[-1])
    _call("row_largest_gradient", grad.dtype, block, patches_BNP, grad, which, out_BPO)
    return out_BPO.transpose(1, 2)


def standardize(
    images: Float[Tensor, "batch height width maps"], eps: float
) -> tuple[Float[Tensor, "batch height width maps"], Float[Tensor, "batch 1 1 maps"]]:
    """Normalizes each image's maps to mean 0 and variance 1; returns the factors too, `1 / sqrt(var + eps)`."""
    images = images.contiguous()
    standard, inverse = torch.empty_like(images), images.new_empty(len(images), 1, 1, images.shape[-1])
    _call("row_standardize", images.dtype, *_image_sizes(images), eps, images, standard, inverse)
    return standard, inverse


def standardize_gradient(
    grad: Tensor, grad_inverse: Tensor, standard: Tensor, inverse: Tensor
) -> Float[Tensor, "batch height width maps"]:
    """Computes the gradient of `standardize` with respect to the images from those of both its results."""
    for name, tensor, like in (("grad", grad, standard), ("inverse", inverse, grad_inverse)):
        _expect(name, tensor, like.shape, standard.dtype)
    out = torch.empty_like(standard)
    tensors = grad.contiguous(), grad_inverse.contiguous(), standard.contiguous(), inverse.contiguous(), out
    _call("row_unstandardize", grad.dtype, *_image_sizes(standard), *tensors)
    return out


def _expect(name: str, tensor: Tensor, shape: Sequence[int], dtype: torch.dtype) -> None:
    expect_shape(name, shape, tensor)
    expect_kind(name, dtype, tensor)


def _block(patches_BNP: Tensor, rows: int, columns: int, maps: int) -> ctypes.Array[ctypes.c_long]:
    return (LONG * 5)(len(patches_BNP), rows, columns, patches_BNP.shape[2], maps)


def _image_sizes(images: Tensor) -> tuple[int, int, int]:
    batch, height, width, maps = images.shape
    return batch, height * width, maps


def _call(name: str, dtype: torch.dtype, *args: object) -> int | None:
    library = library_for(dtype)
    assert library is not None, f"{dtype} without a kernel: ask `fits`"
    given = [arg.data_ptr() if isinstance(arg, Tensor) else arg for arg in args]
    return getattr(library, name)(torch.get_num_threads(), *given)


@functools.cache
def library_for(dtype: torch.dtype) -> ctypes.CDLL | None:
    """The kernels for numbers of this type; nothing where none can be built."""
    return toolchain.load_or_warn(_SOURCE, dtype, without="compiled convolutions, slower")
