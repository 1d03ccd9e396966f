"""Hyper-Learning as a plain PyTorch loop: one model per member, one member at a time, the optimizers PyTorch ships.

What the fast engine must agree with, and what its speed is measured against. It shares the network with the library and
nothing else: no code of `hyperlearning.learners` is used.
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from hyperlearning.networks.dan.network import DANNetwork

Params = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The hyper step's settings, by the names and with the meanings of `make_hyper_step`."""

    inner_optimizer: Literal["sgd", "adam"] = "adam"
    outer_optimizer: Literal["sgd", "adam"] = "adam"
    inner_lr: float = 1e-2
    update_every: int = 1
    through: int = 0
    learn_start: bool = False
    inner_innate_lr: float = 0.0
    max_grad_norm: float | None = None


class ReferenceLoop:
    """A population of models that share their phenotypes, and the loop of algorithm 1 over it.

    Args:
        network: Gives the architecture; its values are not used.
        plastic: Synapses of all members, (M, ...) each.
        innate: Phenotypes.
        start: Synapses at birth, changed only if the start is learned.
        settings: What to do in a step.

    Source: "Continual Learning with Deep Artificial Neurons", algorithm 1, lines 7-17.
    """

    def __init__(self, network: DANNetwork, plastic: Params, innate: Params, start: Params, settings: Settings) -> None:
        self.settings = settings
        self.phenotypes = copy.deepcopy(network.phenotypes)
        self.models = [copy.deepcopy(network) for _ in next(iter(plastic.values()))]
        for member, model in enumerate(self.models):
            own = {name: tensor[member] for name, tensor in plastic.items()}
            model.load_state_dict({**own, **innate})
            model.fold = False
            model.phenotypes = self.phenotypes
        self.phenotypes.load_state_dict({name.removeprefix("phenotypes."): value for name, value in innate.items()})
        self.start = {name: tensor.clone().requires_grad_() for name, tensor in start.items()}
        self.inner = [_torch_optimizer(settings.inner_optimizer, self._synapses(m).values()) for m in self.models]
        learned = [*self.phenotypes.parameters(), *(self.start.values() if settings.learn_start else ())]
        self.outer = _torch_optimizer(settings.outer_optimizer, learned)
        for optimizer in self.inner:
            optimizer.param_groups[0]["lr"] = settings.inner_lr

    @property
    def plastic(self) -> Params:
        """The members' synapses, stacked."""
        each = [self._synapses(model) for model in self.models]
        return {name: torch.stack([own[name].detach() for own in each]) for name in each[0]}

    @property
    def innate(self) -> Params:
        """The shared phenotypes."""
        return {f"phenotypes.{name}": value.detach() for name, value in self.phenotypes.named_parameters()}

    def step(
        self, inputs: Tensor, targets: Tensor, hyper_inputs: Tensor, hyper_targets: Tensor, *, outer_lr: float
    ) -> tuple[Tensor, Tensor]:
        """Makes one hyper step and returns each member's last task loss and hyper-loss."""
        plain = self.settings.update_every - self.settings.through
        task: list[Tensor] = []
        hyper: list[Tensor] = []
        lives: list[_Life] = []
        self._zero_grads()
        for now in range(plain):
            task = [self._live(member, inputs[now, member], targets[now, member]) for member in self._members]
            self._move_innate_along()
        for points, values in zip(hyper_inputs, hyper_targets, strict=True):
            self._zero_grads()
            lives = [_Life(self, member) for member in self._members]
            for now in range(plain, self.settings.update_every):
                task = [life.learn(inputs[now, m], targets[now, m]) for m, life in enumerate(lives)]
            hyper = [life.judge(points[m], values[m]) for m, life in enumerate(lives)]
            self._update_innate(outer_lr)
        for life in lives:
            life.adopt()
        return torch.stack(task), torch.stack(hyper)

    @property
    def _members(self) -> range:
        return range(len(self.models))

    @staticmethod
    def _synapses(model: nn.Module) -> Params:
        return {name: value for name, value in model.named_parameters() if name.startswith("synapses.")}

    def _live(self, member: int, inputs: Tensor, targets: Tensor) -> Tensor:
        self.inner[member].zero_grad()
        loss = mse_loss(self.models[member](inputs), targets)
        loss.backward()
        self.inner[member].step()
        return loss.detach()

    def _move_innate_along(self) -> None:
        """Equation 5.5: phenotypes follow the mean task loss; backpropagation has left the sum in their gradients."""
        with torch.no_grad():
            for parameter in self.phenotypes.parameters():
                if self.settings.inner_innate_lr and parameter.grad is not None:
                    parameter -= self.settings.inner_innate_lr * parameter.grad / len(self.models)
                parameter.grad = None

    def _zero_grads(self) -> None:
        self.outer.zero_grad()
        for model in self.models:
            model.zero_grad()

    def _update_innate(self, outer_lr: float) -> None:
        if self.settings.learn_start:
            for name, tensor in self.start.items():
                grads = [self._synapses(model)[name].grad for model in self.models]
                tensor.grad = torch.stack([grad for grad in grads if grad is not None]).sum(0)
        self.outer.param_groups[0]["lr"] = outer_lr
        if self.settings.max_grad_norm is not None:
            grads = [parameter.grad for parameter in self.outer.param_groups[0]["params"]]
            norm = torch.linalg.vector_norm(torch.cat([grad.flatten() for grad in grads]))
            for grad in grads if norm > self.settings.max_grad_norm else ():
                grad *= self.settings.max_grad_norm / norm
        self.outer.step()


class _Life:
    """One member's way through the window that the outer gradient passes through."""

    def __init__(self, loop: ReferenceLoop, member: int) -> None:
        self.loop, self.member = loop, member
        self.model, self.optimizer = loop.models[member], loop.inner[member]
        self.params = loop._synapses(self.model)
        self.leaves = list(self.params.values())
        state = self.optimizer.state
        self.count = float(state[self.leaves[0]]["step"]) if self._is_adam and state else 0.0
        self.first = [state[leaf]["exp_avg"] if state else torch.zeros_like(leaf) for leaf in self._adam_leaves]
        self.second = [state[leaf]["exp_avg_sq"] if state else torch.zeros_like(leaf) for leaf in self._adam_leaves]

    @property
    def _is_adam(self) -> bool:
        return isinstance(self.optimizer, torch.optim.Adam)

    @property
    def _adam_leaves(self) -> list[Tensor]:
        return self.leaves if self._is_adam else []

    def learn(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Makes one update that can be differentiated through."""
        loss = mse_loss(torch.func.functional_call(self.model, self.params, (inputs,)), targets)
        grads = torch.autograd.grad(loss, list(self.params.values()), create_graph=True)
        steps = self._adam_steps(grads) if self._is_adam else grads
        lr = self.loop.settings.inner_lr
        self.params = {name: p - lr * step for (name, p), step in zip(self.params.items(), steps, strict=True)}
        return loss.detach()

    def judge(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Measures the hyper-loss and adds this member's share to the outer gradient."""
        loss = mse_loss(torch.func.functional_call(self.model, self.params, (inputs,)), targets)
        (loss / len(self.loop.models)).backward()
        return loss.detach()

    def adopt(self) -> None:
        """Keeps what the window led to."""
        with torch.no_grad():
            for leaf, value in zip(self.leaves, self.params.values(), strict=True):
                leaf.copy_(value)
        for leaf, first, second in zip(self._adam_leaves, self.first, self.second, strict=True):
            moments = {"exp_avg": first.detach(), "exp_avg_sq": second.detach()}
            self.optimizer.state[leaf] = {"step": torch.tensor(self.count), **moments}

    def _adam_steps(self, grads: Sequence[Tensor]) -> list[Tensor]:
        self.count += 1
        self.first = [0.9 * m + 0.1 * g for m, g in zip(self.first, grads, strict=True)]
        self.second = [0.999 * v + 0.001 * g**2 for v, g in zip(self.second, grads, strict=True)]
        means = [m / (1 - 0.9**self.count) for m in self.first]
        squares = [v / (1 - 0.999**self.count) for v in self.second]
        return [m / (v.sqrt() + 1e-8) for m, v in zip(means, squares, strict=True)]


def _torch_optimizer(name: str, parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[name]
    return kind(list(parameters))
