"""What the Python sides of kernels share: checks of tensors, and how tensors reach C++."""

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def expect(condition: bool, name: str, wanted: str, got: Any) -> None:
    """Raises a ValueError that names an argument, what it should have been and what it was, unless `condition` holds."""
    if not condition:
        raise ValueError(f"Expected `{name}` to be {wanted}, but got {got}.")


def expect_kind(name: str, dtype: torch.dtype, *tensors: Tensor) -> None:
    """Raises a ValueError unless all tensors are of this type and on the CPU."""
    for tensor in tensors:
        if tensor.dtype != dtype or not tensor.is_cpu:
            expect(False, name, f"{dtype} on cpu", f"{tensor.dtype} on {tensor.device}")


def check_data(name: str, dtype: torch.dtype, fits: bool, shape: str, tensor: Tensor) -> None:
    """Raises a ValueError unless data `fits` the shape that is wanted, is of this type, and requires no gradient."""
    expect(fits, name, f"of shape {shape}", tuple(tensor.shape))
    expect_kind(name, dtype, tensor)
    expect(not tensor.requires_grad, name, "constant", "a tensor that requires a gradient")


def wants_gradient(tensors: Sequence[Tensor]) -> bool:
    """Says whether a gradient will be asked for with respect to any of these tensors."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def expect_shapes(name: str, shapes: Sequence[Sequence[int]], tensors: Sequence[Tensor]) -> None:
    """Raises a ValueError unless there are as many tensors as shapes, and of these shapes."""
    expect(len(tensors) == len(shapes), name, f"{len(shapes)} tensors", len(tensors))
    for tensor, shape in zip(tensors, shapes, strict=True):
        expect_shape(name, shape, tensor)


def expect_shape(name: str, shape: Sequence[int], tensor: Tensor) -> None:
    """Raises a ValueError unless a tensor is of this shape."""
    if tensor.shape != shape:
        expect(False, name, f"of shape {tuple(shape)}", tuple(tensor.shape))


def contiguous(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors, copied where they are not contiguous. They must outlive the call that gets their addresses."""
    return [tensor.contiguous() for tensor in tensors]


def address(tensor: Tensor | None) -> int | None:
    """Where a tensor's numbers are; none stays none."""
    return None if tensor is None else tensor.data_ptr()


def pointers(tensors: Sequence[Tensor] | None) -> ctypes.Array[ctypes.c_void_p] | None:
    """An array of the addresses of contiguous tensors; none stays none."""
    return None if tensors is None else (ctypes.c_void_p * len(tensors))(*[tensor.data_ptr() for tensor in tensors])


def check_memory(failed: int) -> None:
    """Raises a MemoryError if a kernel could not allocate its working memory."""
    if failed:
        raise MemoryError("The kernel could not allocate its working memory.")


def split_last(rows: Tensor | None, shapes: Sequence[torch.Size]) -> list[Tensor | None]:
    """Cuts the last row, the sum of partial gradients, into views of these shapes; nothing into as many nothings."""
    if rows is None:
        return [None] * len(shapes)
    parts = rows[-1].split([shape.numel() for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


def only_wanted(gradients: Sequence[Tensor | None], wanted: Sequence[bool]) -> list[Tensor | None]:
    """Replaces gradients that nobody asked for by none."""
    return [gradient if want else None for gradient, want in zip(gradients, wanted, strict=True)]
