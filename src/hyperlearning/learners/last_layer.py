"""Linear softmax layers that learn one example at a time on fixed features: many runs side by side, in one computation.

Shape suffixes: R runs, T steps, B steps of a block, F features, C outputs, N images.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.kernels.last_layer import adam_kernel, why_no_kernel
from hyperlearning.learners.optimizers import OptimizerName

LastLayerBackend = Literal["auto", "kernel", "batched"]

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
_STEPS_PER_BLOCK = 64


class LastLayers(NamedTuple):
    """One layer a run: `logits = features @ weight + bias`.

    Attributes:
        weight: (R, F, C).
        bias: (R, C).
    """

    weight: Float[Tensor, "runs features outputs"]
    bias: Float[Tensor, "runs outputs"]


def draw_last_layers(
    num_runs: int,
    num_features: int,
    num_outputs: int,
    generator: torch.Generator,
    *,
    dtype: torch.dtype = torch.float32,
) -> LastLayers:
    """Draws layers as a meta-test begins with: Kaiming-normal weights (standard deviation sqrt(2 / F)) and no bias.

    Runs are drawn one after another: the first of many are those of a few.

    Args:
        num_runs: Layers, R.
        num_features: Features, F.
        num_outputs: Outputs, C.
        generator: Source of the weights; the layers are on its device.
        dtype: Precision.

    Raises:
        ValueError: If a number is not positive.
    """
    if min(num_runs, num_features, num_outputs) < 1:
        raise ValueError(f"Expected positive sizes, but got {num_runs} x {num_features} x {num_outputs}.")
    shape, device = (num_features, num_outputs), generator.device
    draws = [torch.randn(shape, generator=generator, device=device, dtype=dtype) for _ in range(num_runs)]
    weight = torch.stack(draws).mul_((2 / num_features) ** 0.5)
    return LastLayers(weight, torch.zeros(num_runs, num_outputs, device=device, dtype=dtype))


def learn_one_by_one(
    layers: LastLayers,
    features: Float[Tensor, "images features"],
    order: Int64[Tensor, "runs steps"],
    labels: Int64[Tensor, "runs steps"],
    *,
    lrs: Float[Tensor, " runs"],
    optimizer: OptimizerName = "adam",
    backend: LastLayerBackend = "auto",
) -> LastLayers:
    """Trains every run's layer on its examples, one update each, by the cross-entropy over all outputs.

    The numbers are those of a plain loop with a batch of one, up to rounding. Adam runs as a compiled kernel where there
    is a compiler, each run in its own thread: the gradient is an outer product that is never formed, and weights of
    features that are zero are left alone until they are needed (see `last_layer.cpp`). "batched" is plain PyTorch for
    everywhere else, such as GPUs. With SGD the updates of a block of steps enter the next logits through inner products of
    the features alone, so that nearly all work is large matrix products:
    `logits_t = W^T f_t - lr sum_{s<t} (f_s . f_t) e_s` with errors `e_s = softmax(logits_s) - onehot_s`.

    Args:
        layers: Layers before; not modified.
        features: Features of all images, shared by all runs.
        order: The image of every step.
        labels: The output that is right for it.
        lrs: Learning rate of every run.
        optimizer: "adam" (decays .9 and .999, eps 1e-8) or "sgd".
        backend: How Adam is computed; "auto" takes the kernel where it fits.

    Returns:
        Layers after the last step.

    Raises:
        ValueError: If shapes, images or labels do not belong together, or the kernel is asked for and does not fit.
    """
    _check(layers, features, order, labels, lrs)
    if optimizer == "sgd":
        return _sgd(layers, features, order, labels, lrs)
    if optimizer != "adam":
        raise ValueError(f"Expected an optimizer among ['adam', 'sgd'], but got '{optimizer}'.")
    reason = why_no_kernel(features)
    if backend == "kernel" and reason is not None:
        raise ValueError(f"Expected features that the kernel takes, but {reason}.")
    if backend == "batched" or reason is not None:
        return _batched_adam(layers, features, order, labels, lrs)
    weight, bias = (tensor.clone(memory_format=torch.contiguous_format) for tensor in layers)
    adam_kernel(weight, bias, features, order, labels, lrs, beta1=BETA1, beta2=BETA2, eps=EPS)
    return LastLayers(weight, bias)


def _batched_adam(layers: LastLayers, features: Tensor, order: Tensor, labels: Tensor, lrs: Tensor) -> LastLayers:
    weight, features = _with_bias(layers, features)
    first, second = torch.zeros_like(weight), torch.zeros_like(weight)
    rates = lrs.to(weight)[:, None, None]
    for step in range(order.shape[1]):
        inputs_RF = features[order[:, step]]
        errors_RC = _errors((inputs_RF[:, None] @ weight)[:, 0], labels[:, step])
        gradient = inputs_RF[:, :, None] * errors_RC[:, None, :]
        first.mul_(BETA1).add_(gradient, alpha=1 - BETA1)
        second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        denominator = second.sqrt().div_((1 - BETA2 ** (step + 1)) ** 0.5).add_(EPS)
        weight.addcdiv_(first * (rates / (1 - BETA1 ** (step + 1))), denominator, value=-1)
    return LastLayers(weight[:, :-1].contiguous(), weight[:, -1].contiguous())


def _sgd(layers: LastLayers, features: Tensor, order: Tensor, labels: Tensor, lrs: Tensor) -> LastLayers:
    weight, features = _with_bias(layers, features)
    rates = lrs.to(weight)[:, None]
    for some, wanted in zip(order.split(_STEPS_PER_BLOCK, 1), labels.split(_STEPS_PER_BLOCK, 1), strict=True):
        inputs_RBF = features[some]
        logits_RBC = inputs_RBF @ weight
        products_RBB = inputs_RBF @ inputs_RBF.mT
        moves_RBC = torch.empty_like(logits_RBC)
        for i in range(some.shape[1]):
            changes = products_RBB[:, i, None, :i] @ moves_RBC[:, :i]
            moves_RBC[:, i] = _errors(logits_RBC[:, i] - changes[:, 0], wanted[:, i]) * rates
        weight.baddbmm_(inputs_RBF.mT, moves_RBC, alpha=-1)
    return LastLayers(weight[:, :-1].contiguous(), weight[:, -1].contiguous())


def _with_bias(layers: LastLayers, features: Tensor) -> tuple[Tensor, Tensor]:
    """The bias as weights of one more feature, which is always 1."""
    ones = torch.ones_like(features[:, :1])
    return torch.cat([layers.weight, layers.bias[:, None]], dim=1), torch.cat([features, ones], dim=1)


def _errors(logits: Tensor, labels: Tensor) -> Tensor:
    errors = logits.softmax(-1)
    errors[torch.arange(len(labels), device=labels.device), labels] -= 1
    return errors


def _check(layers: LastLayers, features: Tensor, order: Tensor, labels: Tensor, lrs: Tensor) -> None:
    num_runs, num_features, num_outputs = layers.weight.shape
    if features.shape[1] != num_features or features.dtype != layers.weight.dtype:
        raise ValueError(
            f"Expected {num_features} features of {layers.weight.dtype}, but got {features.shape[1]} of {features.dtype}."
        )
    for name, values in (("order", order), ("labels", labels), ("lrs", lrs)):
        if len(values) != num_runs:
            raise ValueError(f"Expected `{name}` for {num_runs} runs, but got {len(values)}.")
    for name, values, end in (("order", order, len(features)), ("labels", labels, num_outputs)):
        if values.numel() and not 0 <= int(values.min()) <= int(values.max()) < end:
            raise ValueError(
                f"Expected `{name}` among 0 to {end - 1}, but got {int(values.min())} to {int(values.max())}."
            )
    if not bool((lrs > 0).all()):
        raise ValueError(f"Expected positive learning rates, but got {lrs.min().item()}.")
