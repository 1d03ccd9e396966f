"""Deployment: one network living one life, its innate parameters fixed."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from hyperlearning.core.losses import LossFn, mean_squared_error
from hyperlearning.core.params import Params, partition
from hyperlearning.core.tensor_files import load_tensors, save_tensors
from hyperlearning.learners.inner_loop import Learner, inner_step
from hyperlearning.learners.optimizers import OptimizerName, optimizer
from hyperlearning.learners.population import population_forward


class Deployment:
    """A network that keeps learning from a stream it need not keep: only plastic parameters ever change.

    Args:
        network: Any module. Its plastic parameters begin at its own values; it is not modified.
        innate: The innate parameters by name, as hyper-training left them. Every other parameter is plastic. They are
            copied, and nothing here writes to them.
        inner_lr: Rate of plain backpropagation, the papers' alpha.
        inner_optimizer: "sgd" or "adam".
        loss_fn: Maps predictions and targets with a member axis to one loss per member.

    Raises:
        ValueError: If an innate name or shape is not the network's, or the rate is not positive.

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
    ) -> None:
        if inner_lr <= 0:
            raise ValueError(f"Expected `inner_lr` to be positive, but got {inner_lr}.")
        plastic, own = partition(network, lambda name: name in innate)
        _check_innate(own, innate)
        # Members of one: every tensor gains the population axis that the learners work on.
        self._plastic = {name: tensor.unsqueeze(0) for name, tensor in plastic.items()}
        self._innate = {name: innate[name].detach().clone() for name in own}
        self._learner = Learner(population_forward(network, plastic), loss_fn, optimizer(inner_optimizer), inner_lr)
        self._moments = self._learner.optimizer.init(self._plastic)
        self._num_updates = 0

    @property
    def innate(self) -> Mapping[str, Tensor]:
        """Copies of the innate parameters: changing one changes nothing here."""
        return MappingProxyType({name: tensor.clone() for name, tensor in self._innate.items()})

    @property
    def plastic(self) -> Mapping[str, Tensor]:
        """Copies of the plastic parameters as they are now."""
        return MappingProxyType({name: tensor[0].clone() for name, tensor in self._plastic.items()})

    @property
    def num_updates(self) -> int:
        """Updates made so far."""
        return self._num_updates

    def observe(self, inputs: Float[Tensor, "batch *inputs"], targets: Shaped[Tensor, "batch *targets"]) -> float:
        """Makes one update from one batch, which may be a single example, and forgets the batch.

        Args:
            inputs: (B, ...).
            targets: (B, ...), as the network's outputs.

        Returns:
            The loss before the update.

        Raises:
            ValueError: If the data hold a NaN or an infinity, or the loss is not finite; nothing has changed then.
        """
        if not (torch.isfinite(inputs).all() and torch.isfinite(targets).all()):
            raise ValueError("Expected finite inputs and targets, but got a NaN or an infinity.")
        plastic, moments, losses = inner_step(
            self._learner, self._plastic, self._moments, self._innate, inputs.unsqueeze(0), targets.unsqueeze(0)
        )
        loss = float(losses[0])
        if not torch.isfinite(losses).all():
            raise ValueError(f"Expected a finite loss, but got {loss} at update {self._num_updates}. Lower `inner_lr`.")
        self._plastic, self._moments = plastic, moments
        self._num_updates += 1
        return loss

    def predict(self, inputs: Float[Tensor, "batch *inputs"]) -> Float[Tensor, "batch *outputs"]:
        """Runs the network as it is now. Nothing changes."""
        with torch.no_grad():
            return self._learner.forward(self._plastic, self._innate, inputs.unsqueeze(0))[0]

    def save(self, path: str | Path) -> None:
        """Writes plastic and innate parameters and the optimizer's moments to one safetensors file."""
        tensors = {f"plastic/{name}": tensor for name, tensor in self._plastic.items()}
        tensors |= {f"innate/{name}": tensor for name, tensor in self._innate.items()}
        tensors |= {f"moments/{name}": tensor for name, tensor in self._moments.items()}
        save_tensors(Path(path), tensors, {"num_updates": self._num_updates, "shapes": _shapes(tensors)})

    def load(self, path: str | Path) -> None:
        """Goes on where a saved deployment of the same network stood.

        Raises:
            FileError: If the file is missing, truncated or altered.
            ValueError: If it was saved from a network of another shape, or with another inner optimizer.
        """
        saved = load_tensors(Path(path))
        groups = {"plastic": self._plastic, "innate": self._innate, "moments": self._moments}
        here = {f"{group}/{name}": tensor for group, params in groups.items() for name, tensor in params.items()}
        if saved.facts.get("shapes") != _shapes(here):
            raise ValueError(
                f"Expected a deployment of the same network and optimizer, but {path} differs in "
                f"{_first_difference(saved.facts.get('shapes', {}), _shapes(here))}."
            )
        self._plastic, self._innate, self._moments = (
            {name: saved.tensors[f"{group}/{name}"] for name in params} for group, params in groups.items()
        )
        self._num_updates = saved.facts["num_updates"]


def _check_innate(own: Params, innate: Mapping[str, Tensor]) -> None:
    unknown = sorted(set(innate) - set(own))
    if unknown:
        raise ValueError(f"Expected `innate` to name parameters of the network, but got {unknown}.")
    for name, tensor in own.items():
        if tensor.shape != innate[name].shape:
            raise ValueError(
                f"Expected innate parameter '{name}' of shape {tuple(tensor.shape)}, "
                f"but got {tuple(innate[name].shape)}."
            )


def _shapes(tensors: Params) -> dict[str, Any]:
    return json.loads(json.dumps({name: list(tensor.shape) for name, tensor in sorted(tensors.items())}))


def _first_difference(saved: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    name = next(name for name in sorted({*saved, *here}) if saved.get(name) != here.get(name))
    return f"'{name}': it has {saved.get(name)}, this network {here.get(name)}"
