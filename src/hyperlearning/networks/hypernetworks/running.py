"""Runs target networks with emitted weights: one, or many in one batched call.

Shape suffixes: B networks.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from hyperlearning.core.params import Params
from hyperlearning.networks.hypernetworks.chains import is_chain, run_chain


def run_one(target: nn.Module, weights: Params, buffers: Params, inputs: Tensor) -> Tensor:
    """Runs one network.

    Args:
        target: What says how; its own numbers are not used.
        weights: All its parameters.
        buffers: All its buffers; those that it moves are moved in place.
        inputs: What it takes.
    """
    return functional_call(target, {**weights, **buffers}, (inputs,))


def run_many(
    target: nn.Module, weights: Params, buffers: Params, inputs: Tensor, *, same_inputs: bool, own_buffers: bool
) -> Tensor:
    """Runs B networks of one architecture in one batched call.

    Args:
        target: What says how; its own numbers are not used.
        weights: All its parameters, (B, ...) each.
        buffers: All its buffers, (B, ...) each if each network has its own; those are moved in place.
        inputs: What they take: (B, batch, ...), or (batch, ...) if the same for all.
        same_inputs: Whether they are.
        own_buffers: Whether each network has its own buffers.

    Returns:
        Outputs, (B, batch, ...).

    Raises:
        ValueError: If inputs are not those of B networks, or they would move buffers that they share.
    """
    num_networks = len(next(iter(weights.values())))
    if not same_inputs and (inputs.ndim < 2 or len(inputs) != num_networks):
        raise ValueError(f"Expected inputs of {num_networks} networks, but got shape {tuple(inputs.shape)}.")
    if not own_buffers:
        check_buffers_rest(target)
    if isinstance(target, nn.Sequential) and is_chain(target):
        return run_chain(target, weights, buffers, inputs, same_inputs=same_inputs)

    def one(own: Params, moved: Params, given: Tensor) -> Tensor:
        return functional_call(target, {**own, **moved}, (given,))

    in_dims = (0, 0 if own_buffers else None, None if same_inputs else 0)
    return torch.vmap(one, in_dims=in_dims, randomness="different")(weights, buffers, inputs)


def check_buffers_rest(target: nn.Module) -> None:
    """Refuses a network that moves running statistics, where many networks would share them.

    Raises:
        ValueError: If so; the message names the layer.
    """
    for name, layer in target.named_modules():
        if isinstance(layer, _BatchNorm) and layer.training and layer.track_running_stats:
            raise ValueError(
                f"Expected networks that run side by side not to move the same running statistics, but {name!r} would: "
                "give each condition its own (`own_buffers`), or run them in evaluation mode."
            )
