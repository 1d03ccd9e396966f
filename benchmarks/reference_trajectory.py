"""OML's and ANML's meta-step as common code has it: images one by one, gradients with respect to everything.

What the fast learner must agree with, and what its speed is measured against. It is written with PyTorch's own layers
and shares no code with the library.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d, cross_entropy, linear, max_pool2d

Params = dict[str, Tensor]
Predict = Callable[[Params, Tensor], Tensor]
"""Maps all parameters and one image (1, C, H, W) to logits (1, classes)."""


class MetaStep(NamedTuple):
    """What one meta-step finds: the loss after the trajectory, and its gradient with respect to every initial value."""

    loss: Tensor
    gradient: Params


def anml_predict(params: Params, image: Tensor) -> Tensor:
    """Runs ANML with batch normalization on a batch of one, as its authors do."""
    gate = torch.sigmoid(_linear(params, "neuromodulator.last", _convolutions(params, "neuromodulator.", image)))
    return _linear(params, "predictor.last", gate * _convolutions(params, "predictor.", image))


def meta_step(
    predict: Predict,
    params: Params,
    is_plastic: Callable[[str], bool],
    images: Tensor,
    labels: Tensor,
    remembered: Tensor,
    remembered_labels: Tensor,
    *,
    inner_lr: float,
    first_order: bool = False,
) -> MetaStep:
    """Makes one meta-step without its outer update.

    Args:
        predict: The network.
        params: All parameters by name.
        is_plastic: Says of each name whether the inner loop changes it.
        images: The trajectory, (k, C, H, W).
        labels: Its labels, (k,).
        remembered: Images of the remember set.
        remembered_labels: Their labels.
        inner_lr: Rate of the inner updates.
        first_order: Whether inner gradients are taken without a graph.
    """
    start = {name: tensor.detach().clone().requires_grad_() for name, tensor in params.items()}
    now = dict(start)
    for image, label in zip(images.split(1), labels.split(1), strict=True):
        loss = cross_entropy(predict(now, image), label)
        grads = torch.autograd.grad(loss, list(now.values()), create_graph=not first_order)
        for (name, tensor), grad in zip(now.items(), grads, strict=True):
            if is_plastic(name):
                now[name] = tensor - inner_lr * grad
    pairs = [*zip(images.split(1), labels.split(1), strict=True)]
    pairs += zip(remembered.split(1), remembered_labels.split(1), strict=True)
    outer = torch.stack([cross_entropy(predict(now, image), label) for image, label in pairs]).mean()
    grads = torch.autograd.grad(outer, list(start.values()))
    return MetaStep(outer.detach(), dict(zip(start, grads, strict=True)))


def _convolutions(params: Params, prefix: str, image: Tensor) -> Tensor:
    for layer in range(3):
        name = f"{prefix}convolutions.{layer}"
        image = conv2d(image, params[f"{name}.weight"], params[f"{name}.bias"])
        image = batch_norm(
            image, None, None, params[f"{prefix}norms.{layer}.weight"], params[f"{prefix}norms.{layer}.bias"], True
        )
        image = torch.relu(image)
        if layer < 2:
            image = max_pool2d(image, 2)
    return image.flatten(1)


def _linear(params: Params, name: str, inputs: Tensor) -> Tensor:
    return linear(inputs, params[f"{name}.weight"], params[f"{name}.bias"])
