"""Deployment: one network living one life, its innate parameters fixed."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NoReturn

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from hyperlearning.core.losses import LossFn, cross_entropy, cross_entropy_of_one, mean_squared_error
from hyperlearning.core.params import Params, partition
from hyperlearning.core.tensor_files import TensorFile, load_tensors, save_tensors
from hyperlearning.learners.batches import all_finite, check_batch, check_inputs, check_tensor, type_name, unfit
from hyperlearning.learners.chain_rule import Gradients, chain_gradients
from hyperlearning.learners.optimizers import OptimizerName, optimizer
from hyperlearning.learners.population import fused_unroll, population_forward, why_no_kernel

_UNFIT = (RuntimeError, TypeError, IndexError, AttributeError)
"""What PyTorch raises where a batch does not suit a network."""

_ALL = "all"
"""Name of the tensor that holds all plastic parameters, as the optimizer sees it."""


class Deployment:
    """A network that keeps learning from a stream it need not keep: only plastic parameters ever change.

    Args:
        network: Any module. Its plastic parameters begin at its own values; it is copied, and never modified.
        innate: The innate parameters by name, as hyper-training left them. Every other parameter is plastic. They are
            copied, and nothing here writes to them.
        inner_lr: Rate of plain backpropagation, the papers' alpha.
        inner_optimizer: "sgd" or "adam".
        loss_fn: Maps predictions and targets with a member axis to one loss per member.
        shown_loss_fn: What `observe` returns, likewise; the loss itself if absent.
        dropout: Whether dropout is on while an example is learned; it is off in `predict`.
        batch_norm: "innate": running statistics stay as they are, and batches of any size are normalized by them. "plastic":
            they follow the stream, and a batch is normalized by its own, so that it must hold two values or more a channel.

    Raises:
        ValueError: If an innate name or shape is not the network's, a parameter holds a NaN or an infinity, plastic parameters
            are of several types, the rate is not positive, or batch norm keeps no running statistics to go by.
        TypeError: If `innate` does not map names to tensors.

    Example:
        >>> network = nn.Linear(1, 1)
        >>> deployment = Deployment(network, {"bias": torch.zeros(1)}, inner_lr=0.1)
        >>> for _ in range(100):
        ...     loss = deployment.observe(torch.ones(1, 1), torch.ones(1, 1))
        >>> bool((deployment.predict(torch.ones(1, 1)) - 1).abs() < 1e-3)
        True
    """

    def __init__(
        self,
        network: nn.Module,
        innate: Mapping[str, Tensor],
        *,
        inner_lr: float = 0.01,
        inner_optimizer: OptimizerName = "sgd",
        loss_fn: LossFn = mean_squared_error,
        shown_loss_fn: LossFn | None = None,
        dropout: bool = False,
        batch_norm: Literal["innate", "plastic"] = "innate",
    ) -> None:
        if not 0 < inner_lr < math.inf:
            raise ValueError(f"Expected `inner_lr` to be positive, but got {inner_lr}.")
        plastic, own = partition(network, lambda name: name in innate)
        _check_innate(own, innate)
        _check_plastic(plastic)
        self._network = copy.deepcopy(network).eval()
        named = dict(self._network.named_parameters())
        self._flat = torch.cat([named[name].detach().flatten() for name in plastic])
        for name, part in _parts(self._flat, plastic).items():
            named[name].data = part  # One tensor to update, whose parts are the parameters.
        self._plastic = {name: named[name].requires_grad_() for name in plastic}
        self._innate = {name: named[name].requires_grad_(False) for name in own}
        self._buffers = dict(self._network.named_buffers())
        with torch.no_grad():
            for name, tensor in self._innate.items():
                tensor.copy_(innate[name])
        self._awake = _awake_in_learning(self._network, dropout=dropout, batch_norm=batch_norm)
        self._inner_lr, self._loss_fn, self._shown_loss_fn = inner_lr, loss_fn, shown_loss_fn
        self._optimizer = optimizer(inner_optimizer)
        self._plain_sgd = inner_optimizer == "sgd"
        self._moments = self._optimizer.init({_ALL: self._flat})
        self._chain = chain_gradients(self._network, plastic) if loss_fn is mean_squared_error else None
        fits = self._plain_sgd and loss_fn is mean_squared_error and why_no_kernel(network, plastic) is None
        self._unroll = fused_unroll(population_forward(network, plastic, backend="auto")) if fits else None
        self._num_updates = 0

    @property
    def innate(self) -> Mapping[str, Tensor]:
        """Copies of the innate parameters: changing one changes nothing here."""
        return MappingProxyType({name: tensor.detach().clone() for name, tensor in self._innate.items()})

    @property
    def plastic(self) -> Mapping[str, Tensor]:
        """Copies of the plastic parameters as they are now."""
        return MappingProxyType({name: tensor.detach().clone() for name, tensor in self._plastic.items()})

    @property
    def num_updates(self) -> int:
        """Updates made so far."""
        return self._num_updates

    @property
    def num_stored(self) -> int:
        """Numbers that change in life and have to be kept: plastic parameters and the optimizer's moments."""
        return sum(tensor.numel() for tensor in (*self._plastic.values(), *self._moments.values()))

    def observe(self, inputs: Float[Tensor, "batch *inputs"], targets: Shaped[Tensor, "batch *targets"]) -> float:
        """Makes one update from one batch, which may be a single example, and forgets the batch.

        Works inside `torch.no_grad()` and `torch.inference_mode()` too.

        Args:
            inputs: (B, ...).
            targets: (B, ...), as the network's outputs.

        Returns:
            The loss before the update.

        Raises:
            ValueError: If the batch is empty or does not suit the network or its loss, the data hold a NaN or an infinity, or the
                loss is not finite; nothing has changed then.
            TypeError: If inputs or targets are no tensors.
        """
        inputs, targets = _checked(inputs, targets)
        try:
            if self._unroll is not None:
                return float(self._update_fused(inputs[None], targets[None]))
            if torch.is_grad_enabled() and not (inputs.is_inference() or targets.is_inference()):
                return self._update(inputs, targets)
            with torch.inference_mode(mode=False), torch.enable_grad():
                return self._update(inputs.clone(), targets.clone())
        except _UNFIT as error:
            raise unfit(error, inputs, targets, like=self._flat) from error

    def observe_each(
        self, inputs: Float[Tensor, "examples *inputs"], targets: Shaped[Tensor, "examples *targets"]
    ) -> Float[Tensor, " examples"]:
        """Makes one update from each example, in order, as `observe` does one after another.

        Returns:
            The loss of each example before its update.

        Raises:
            ValueError: As `observe`. Examples before the one that it is about have been learned, unless the message names none.
            TypeError: As `observe`.
        """
        inputs, targets = _checked(inputs, targets)
        try:
            if self._unroll is not None:
                return self._update_fused(inputs[:, None], targets[:, None]).double()
            with torch.inference_mode(mode=False), torch.enable_grad():
                pairs = zip(inputs.clone().split(1), targets.clone().split(1), strict=True)
                return torch.tensor([self._update(x, y) for x, y in pairs], dtype=torch.float64)
        except _UNFIT as error:
            raise unfit(error, inputs, targets, like=self._flat) from error

    def _update(self, inputs: Tensor, targets: Tensor) -> float:
        """One update by autograd."""
        if self._chain is not None and inputs.ndim == targets.ndim == 2:
            return self._update_by_hand(self._chain, inputs, targets)
        outputs, loss = self._loss_of(inputs, targets)
        leaves = list(self._plastic.values())
        grads = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
        self._num_updates += 1
        with torch.no_grad():
            shown = float(loss if self._shown_loss_fn is None else self._shown_loss_fn(outputs[None], targets[None]))
            self._move(grads)
        return shown

    @torch.no_grad()
    def _update_by_hand(self, gradients: Gradients, inputs: Tensor, targets: Tensor) -> float:
        """One update by gradients that are written out."""
        outputs, grads = gradients(inputs, targets)
        loss = self._loss(outputs, targets)
        self._check(shown := float(loss))
        if self._shown_loss_fn is not None:
            shown = float(self._shown_loss_fn(outputs[None], targets[None]))
        self._num_updates += 1
        self._move(grads)
        return shown

    def _move(self, grads: Sequence[Tensor]) -> None:
        grads_flat = torch.cat([grad.flatten() for grad in grads]) if len(grads) > 1 else grads[0].flatten()
        if self._plain_sgd:
            self._flat.add_(grads_flat, alpha=-self._inner_lr)
            return
        moved, self._moments = self._optimizer.update({_ALL: self._flat}, [grads_flat], self._moments, self._inner_lr)
        self._flat.copy_(moved[_ALL])

    def _loss_of(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """What the network gives while it learns, and the loss of that; raises if it is not finite, statistics as they were."""
        if not self._awake:
            outputs = self._network(inputs)
            loss = self._loss(outputs, targets)
            self._check(float(loss.detach()))
            return outputs, loss
        before = {name: tensor.clone() for name, tensor in self._buffers.items()}
        try:
            with self._learning():
                outputs = self._network(inputs)
            loss = self._loss(outputs, targets)
            self._check(float(loss.detach()))
        except (ValueError, *_UNFIT):
            for name, tensor in before.items():
                self._buffers[name].copy_(tensor)
            raise
        return outputs, loss

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self._loss_fn is mean_squared_error:
            if outputs.shape != targets.shape:
                raise ValueError(
                    f"Expected targets of the predictions' shape {tuple(outputs.shape)}, but got {tuple(targets.shape)}."
                )
            return mse_loss(outputs, targets)  # The same in one operation, there and back.
        if self._loss_fn is cross_entropy and outputs.shape[:-1] == targets.shape and outputs.ndim == 2:
            return cross_entropy_of_one(outputs, targets)
        losses = self._loss_fn(outputs[None], targets[None])
        if losses.shape != (1,):
            raise ValueError(
                "Expected `loss_fn` to map predictions and targets with a member axis to one loss a member, shape (1,), but got "
                f"{tuple(losses.shape)}."
            )
        return losses[0]

    def _update_fused(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Updates from batches, one after another, by the compiled kernel that hyper-training uses too; returns their losses."""
        assert self._unroll is not None
        with torch.no_grad():
            plastic = {name: tensor.detach()[None] for name, tensor in self._plastic.items()}
            try:
                moved, losses = self._unroll(plastic, self._innate, inputs[:, None], targets[:, None], self._inner_lr)
            except ValueError as error:  # It speaks of axes of updates and members, which nobody gave.
                raise TypeError(str(error)) from error
            self._check(float(losses.sum()))
            for name, tensor in self._plastic.items():
                tensor.copy_(moved[name][0])
        self._num_updates += len(inputs)
        return losses[:, 0]

    def _check(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise ValueError(f"Expected a finite loss, but got {loss} at update {self._num_updates}. Lower `inner_lr`.")

    @contextmanager
    def _learning(self) -> Iterator[None]:
        for module in self._awake:
            module.training = True
        try:
            yield
        finally:
            for module in self._awake:
                module.training = False

    def predict(self, inputs: Float[Tensor, "batch *inputs"]) -> Float[Tensor, "batch *outputs"]:
        """Runs the network as it is now. Nothing changes.

        Raises:
            ValueError: If the inputs hold a NaN or an infinity, or do not suit the network.
            TypeError: If they are no tensor.
        """
        check_inputs(inputs)
        try:
            with torch.no_grad():
                return self._network(inputs)
        except _UNFIT as error:
            raise unfit(error, inputs, like=self._flat) from error

    def save(self, path: str | Path, *, facts: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Writes plastic and innate parameters, buffers and the optimizer's moments to one safetensors file.

        Args:
            path: Where.
            facts: JSON values to keep beside them, which `load_tensors` gives back and `load` does not look at.
        """
        save_tensors(Path(path), self._state(), {**facts, "num_updates": self._num_updates})

    def load(self, path: str | Path) -> None:
        """Goes on where a saved deployment of the same network stood.

        Raises:
            FileError: If the file is missing, truncated or altered.
            ValueError: If it was saved from a network of another shape or precision, or with another inner optimizer.
        """
        here, file = self._state(), load_tensors(Path(path))
        saved = _without_member_axis(file, here)
        if (found := _shapes(saved)) != (wanted := _shapes(here)):
            raise ValueError(
                "Expected a deployment of the same network, precision and optimizer, "
                f"but {path} differs in {_first_difference(found, wanted)}."
            )
        with torch.no_grad():
            for name, tensor in here.items():
                tensor.copy_(saved[name])
        self._num_updates = file.facts["num_updates"]

    def _state(self) -> Params:
        moments = {}
        for name, moment in self._moments.items():
            parts = _parts(moment, self._plastic) if name.endswith(_ALL) else {"": moment}
            moments |= {f"{name.removesuffix(_ALL)}{part}": tensor for part, tensor in parts.items()}
        groups = {"plastic": self._plastic, "innate": self._innate, "moments": moments, "buffers": self._buffers}
        return {f"{group}/{name}": tensor for group, params in groups.items() for name, tensor in params.items()}

    def __reduce__(self) -> NoReturn:
        raise TypeError("Expected a life to be kept by `save` and `load`: it cannot be pickled.")


def _parts(flat: Tensor, like: Mapping[str, Tensor]) -> Params:
    """Views of one tensor, in the shapes of others that it holds one after another."""
    pieces = flat.split([tensor.numel() for tensor in like.values()])
    return {name: piece.view(tensor.shape) for piece, (name, tensor) in zip(pieces, like.items(), strict=True)}


def _awake_in_learning(
    network: nn.Module, *, dropout: bool, batch_norm: Literal["innate", "plastic"]
) -> list[nn.Module]:
    """Which modules behave as in training while an example is learned."""
    norms = {name: module for name, module in network.named_modules() if isinstance(module, BatchNorm)}
    for name, module in norms.items():
        if batch_norm == "innate" and module.running_mean is None:
            raise ValueError(
                f"Expected batch norm '{name}' to keep running statistics to go by in life, but it keeps none. "
                'Let it normalize by the batch with `batch_norm="plastic"`.'
            )
    others = [module for module in network.modules() if not isinstance(module, BatchNorm)]
    return [*(others if dropout else ()), *(norms.values() if batch_norm == "plastic" else ())]


def _checked(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """A batch to learn from, without a past of its own, or an error by name."""
    check_batch(inputs, targets)
    if inputs.requires_grad or targets.requires_grad:
        inputs, targets = inputs.detach(), targets.detach()
    if not (all_finite(inputs) and all_finite(targets)):
        raise ValueError("Expected finite inputs and targets, but got a NaN or an infinity.")
    return inputs, targets


def _check_innate(own: Params, innate: Mapping[str, Tensor]) -> None:
    if not isinstance(innate, Mapping):
        raise TypeError(f"Expected `innate` to map names to tensors, but got {type(innate).__name__}.")
    unknown = sorted(set(innate) - set(own))
    if unknown:
        raise ValueError(f"Expected `innate` to name parameters of the network, but got {unknown}.")
    for name, tensor in own.items():
        check_tensor(f"innate['{name}']", innate[name])
        if tensor.shape != innate[name].shape:
            raise ValueError(
                f"Expected innate parameter '{name}' of shape {tuple(tensor.shape)}, "
                f"but got {tuple(innate[name].shape)}."
            )
        _check_parameter(f"innate parameter '{name}'", innate[name])


def _check_plastic(plastic: Mapping[str, Tensor]) -> None:
    types: dict[str, str] = {}
    for name, tensor in plastic.items():
        types.setdefault(type_name(tensor), name)
        _check_parameter(f"plastic parameter '{name}'", tensor)
    if len(types) > 1:
        found = " and ".join(f"{dtype} ('{name}')" for dtype, name in types.items())
        raise ValueError(f"Expected plastic parameters of one type, but got {found}. `network.float()` makes them one.")


def _check_parameter(name: str, tensor: Tensor) -> None:
    if not all_finite(tensor.detach()):
        raise ValueError(f"Expected finite parameters, but {name} holds a NaN or an infinity.")


def _without_member_axis(saved: TensorFile, here: Params) -> Params:
    """What a file holds; those of earlier versions have an axis of one more, and no buffers."""
    tensors = {f"buffers/{name[8:]}": tensor for name, tensor in here.items() if name.startswith("buffers/")}
    tensors |= saved.tensors
    if "shapes" not in saved.facts:
        return tensors
    return {
        name: tensor[0] if name in here and tensor.shape == (1, *here[name].shape) else tensor
        for name, tensor in tensors.items()
    }


def _shapes(tensors: Params) -> dict[str, Any]:
    return {name: (tuple(tensor.shape), str(tensor.dtype)) for name, tensor in sorted(tensors.items())}


def _first_difference(saved: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    name = next(name for name in sorted({*saved, *here}) if saved.get(name) != here.get(name))
    return f"'{name}': it has {_said(saved.get(name))}, this network {_said(here.get(name))}"


def _said(shape: tuple[Any, ...] | None) -> str:
    return "none" if shape is None else f"{shape[0]} of {shape[1].removeprefix('torch.')}"
