"""Compiled CPU kernel for Adam on a linear softmax layer, one example at a time, many runs side by side."""

import ctypes
import functools

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.kernels import toolchain
from hyperlearning.kernels.tensors import check_memory, contiguous, expect, expect_kind, expect_shape
from hyperlearning.kernels.toolchain import DOUBLE, INT, POINTER, Source

_SOURCE = Source(
    name="last_layer",
    what="last layers that learn one by one",
    seconds=2,
    functions={"last_layer_adam": (INT, *[INT] * 5, *[POINTER] * 4, *[DOUBLE] * 3, *[POINTER] * 2)},
)


def why_no_kernel(features: Tensor) -> str | None:
    """Says why the kernel does not fit, or nothing if it does.

    Args:
        features: What the layer is trained on, for precision and device.
    """
    reason = toolchain.why_missing(features.dtype)
    if reason is None and not features.is_cpu:
        return f"the features are on {features.device}"
    return reason


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
        ValueError: If a tensor does not fit the others.
        MemoryError: If the moments of one run a thread do not fit into memory.
        RuntimeError: If the compiler fails; the message is the compiler's.
    """
    _check(weight, bias, features, order, labels, lrs)
    features, order, labels, lrs = contiguous((features, order, labels, lrs.double()))
    runs, num_features, outputs = weight.shape
    sizes = (runs, order.shape[1], num_features, outputs, torch.get_num_threads())
    data = (tensor.data_ptr() for tensor in (features, order, labels, lrs))
    places = (weight.data_ptr(), bias.data_ptr())
    check_memory(_build(features.dtype).last_layer_adam(*sizes, *data, beta1, beta2, eps, *places))


def _check(weight: Tensor, bias: Tensor, features: Tensor, order: Tensor, labels: Tensor, lrs: Tensor) -> None:
    (runs, num_features, outputs), (images, _) = weight.shape, features.shape
    for name, tensor, shape in (("bias", bias, (runs, outputs)), ("features", features, (images, num_features))):
        expect_shape(name, shape, tensor)
        expect_kind(name, weight.dtype, tensor)
    for name, tensor, count in (("order", order, images), ("labels", labels, outputs)):
        expect_shape(name, (runs, order.shape[1]), tensor)
        expect_kind(name, torch.int64, tensor)
        fits = tensor.numel() == 0 or 0 <= int(tensor.min()) <= int(tensor.max()) < count
        expect(fits, name, f"from 0 to {count - 1}", "others")
    expect_shape("lrs", (runs,), lrs)
    for name, tensor in (("weight", weight), ("bias", bias)):
        expect(tensor.is_contiguous(), name, "contiguous", "a view that is not")


@functools.cache
def _build(dtype: torch.dtype) -> ctypes.CDLL:
    return toolchain.load(_SOURCE, dtype)
