"""Many convolutional networks side by side, as one network whose convolutions have a group for each.

What `torch.vmap` makes of convolutions moves maps back and forth between its layout and theirs, and pools them in the slow one. A
chain of plain layers needs neither: from the first convolution to where maps are flattened, images of all networks lie as
(batch, B * C, H, W), channels last.

Shape suffixes: B networks, N batch, C channels, F features.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d

from hyperlearning.core.params import Params

_ALIKE = (
    nn.ReLU,
    nn.LeakyReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Tanh,
    nn.Sigmoid,
    nn.Identity,
    nn.Dropout,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
)
"""Layers that treat every map, or every number, by itself."""


def is_chain(target: nn.Module) -> bool:
    """Says whether a network is a sequence of layers that can be run so: images in, and flattened before the first dense layer.

    Args:
        target: Any module.
    """
    if not isinstance(target, nn.Sequential) or not any(isinstance(layer, nn.Conv2d) for layer in target):
        return False
    flat = False
    for layer in target:
        if isinstance(layer, nn.Flatten):
            if flat or (layer.start_dim, layer.end_dim) != (1, -1):
                return False
            flat = True
        elif not _fits(layer, flat=flat):
            return False
    return True


def _fits(layer: nn.Module, *, flat: bool) -> bool:
    if isinstance(layer, nn.Linear):
        return flat
    if isinstance(layer, nn.Conv2d):
        return not flat and layer.groups == 1 and layer.padding_mode == "zeros"
    if isinstance(layer, nn.BatchNorm2d):
        return not flat and not (layer.training and layer.track_running_stats)
    return type(layer) in _ALIKE


def run_chain(target: nn.Sequential, weights: Params, buffers: Params, inputs: Tensor, *, same_inputs: bool) -> Tensor:
    """Runs networks side by side.

    Args:
        target: A chain; its own numbers are not used.
        weights: All its parameters, (B, ...) each.
        buffers: All its buffers, (B, ...) each, or (...) where all networks have the same.
        inputs: Images, (B, N, C, H, W), or (N, C, H, W) if the same for all.
        same_inputs: Whether they are.

    Returns:
        Outputs, (B, N, ...).
    """
    num = len(next(iter(weights.values())))
    maps = inputs.repeat(1, num, 1, 1) if same_inputs else inputs.transpose(0, 1).flatten(1, 2)
    maps = maps.contiguous(memory_format=torch.channels_last)
    flat_BNF: Tensor | None = None
    for place, layer in enumerate(target):
        own = {name.rpartition(".")[2]: made for name, made in weights.items() if name.startswith(f"{place}.")}
        if isinstance(layer, nn.Flatten):
            flat_BNF = maps.unflatten(1, (num, -1)).flatten(2).transpose(0, 1)
        elif isinstance(layer, nn.Linear):
            assert flat_BNF is not None
            flat_BNF = _dense(flat_BNF, own)
        elif isinstance(layer, nn.Conv2d):
            maps = _convolved(maps, layer, own)
        elif isinstance(layer, nn.BatchNorm2d):
            maps = _normalised(maps, layer, own, _statistics(buffers, place, num))
        elif flat_BNF is None:
            maps = layer(maps)
        else:
            flat_BNF = layer(flat_BNF)
    return maps.unflatten(1, (num, -1)).transpose(0, 1) if flat_BNF is None else flat_BNF


def _dense(inputs_BNF: Tensor, own: Params) -> Tensor:
    turned = own["weight"].transpose(1, 2)
    return torch.baddbmm(own["bias"][:, None], inputs_BNF, turned) if "bias" in own else inputs_BNF @ turned


def _convolved(maps: Tensor, layer: nn.Conv2d, own: Params) -> Tensor:
    weight = own["weight"].flatten(0, 1).contiguous(memory_format=torch.channels_last)
    bias = own["bias"].flatten() if "bias" in own else None
    assert not isinstance(layer.padding, str) or layer.padding in ("same", "valid")
    return conv2d(maps, weight, bias, layer.stride, layer.padding, layer.dilation, groups=len(own["weight"]))


def _normalised(maps: Tensor, layer: nn.BatchNorm2d, own: Params, statistics: tuple[Tensor, Tensor] | None) -> Tensor:
    scale, shift = (own[name].flatten() if name in own else None for name in ("weight", "bias"))
    mean, variance = statistics or (None, None)
    return batch_norm(maps, mean, variance, scale, shift, training=statistics is None, eps=layer.eps)


def _statistics(buffers: Params, place: int, num: int) -> tuple[Tensor, Tensor] | None:
    """Running means and variances, (B * C,) each, if a layer has some."""
    names = [f"{place}.{which}" for which in ("running_mean", "running_var")]
    if names[0] not in buffers:
        return None
    mean, variance = (buffers[name] for name in names)
    return (mean.repeat(num), variance.repeat(num)) if mean.ndim == 1 else (mean.flatten(), variance.flatten())
