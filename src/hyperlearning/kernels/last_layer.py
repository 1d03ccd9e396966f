"""Compiled CPU kernel for Adam on a linear softmax layer, one example at a time, many runs side by side."""

import ctypes
import functools
import pathlib
import sys

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.kernels.dan import COMPILERS, FLAGS, REALS, _check_memory, _compiler, library_of

SOURCE = pathlib.Path(__file__).with_name("last_layer.cpp")


def why_no_kernel(features: Tensor) -> str | None:
    """Says why the kernel does not fit, or nothing if it does.

    Args:
        features: What the layer is trained on, for precision and device.
    """
    if features.dtype not in REALS:
        return f"dtype {features.dtype} is neither float32 nor float64"
    if not features.is_cpu:
        return f"the features are on {features.device}"
    if sys.platform == "win32":
        return "kernels need a POSIX system"
    if _compiler() is None:
        return f"no C++ compiler found (looked for CXX and {', '.join(COMPILERS)})"
    return None


def adam_kernel(
    weight: Float[Tensor, "runs features outputs"],
    bias: Float[Tensor, "runs outputs"],
    features: Float[Tensor, "images features"],
    order: Int64[Tensor, "runs steps"],
    labels: Int64[Tensor, "runs steps"],
    lrs: Float[Tensor, " runs"],
    *,
    beta1: float,
    beta2: float,
    eps: float,
) -> None:
    """Trains every run's layer in place; a thread takes one run at a time, and results do not depend on how many there are.

    Args:
        weight: Weights, changed in place. Contiguous.
        bias: Biases, changed in place. Contiguous.
        features: Features of all images.
        order: The image of every step.
        labels: Its output.
        lrs: Learning rates.
        beta1: Decay of the first moment.
        beta2: Decay of the second moment.
        eps: Added to the root of the second moment.

    Raises:
        MemoryError: If the moments of one run a thread do not fit into memory.
        RuntimeError: If the compiler fails; the message is the compiler's.
    """
    assert weight.is_contiguous()
    assert bias.is_contiguous()
    features, order, labels, lrs = features.contiguous(), order.contiguous(), labels.contiguous(), lrs.double()
    runs, num_features, outputs = weight.shape
    failed = _build(features.dtype).last_layer_adam(
        runs,
        order.shape[1],
        num_features,
        outputs,
        torch.get_num_threads(),
        features.data_ptr(),
        order.data_ptr(),
        labels.data_ptr(),
        lrs.data_ptr(),
        beta1,
        beta2,
        eps,
        weight.data_ptr(),
        bias.data_ptr(),
    )
    _check_memory(failed)


@functools.cache
def _build(dtype: torch.dtype) -> ctypes.CDLL:
    command = [*(_compiler() or []), *FLAGS, f"-DLAST_LAYER_REAL={REALS[dtype]}", str(SOURCE)]
    library = ctypes.CDLL(str(library_of(command)))
    number, real, pointer = ctypes.c_int, ctypes.c_double, ctypes.c_void_p
    library.last_layer_adam.argtypes = [*[number] * 5, *[pointer] * 4, *[real] * 3, *[pointer] * 2]
    library.last_layer_adam.restype = number
    return library
