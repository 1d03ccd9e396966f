"""Plain fitting: parameters that minimize a loss, without lives, as a job whose state can be saved after any step."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from hyperlearning.core.errors import NonFiniteLossError
from hyperlearning.core.params import Params, detach, on_default_device
from hyperlearning.engine.job import Packed, Step
from hyperlearning.engine.lines import EpochLine
from hyperlearning.learners.optimizers import Optimizer, clip_by_global_norm
from hyperlearning.streams.hyper_stream import HyperStream


class FitState(NamedTuple):
    """All that is needed to go on to the same numbers.

    Attributes:
        params: What is fitted.
        moments: The optimizer's.
        epoch: Epochs finished.
        loss_sum: Losses since the last line of the record, of no dimensions.
        generator_state: The generator's state; the next epoch's data follow from it.
    """

    params: Params
    moments: Params
    epoch: int
    loss_sum: Tensor
    generator_state: Tensor


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """The job that minimizes a loss by gradient steps, one on each epoch's data.

    Attributes:
        initial: The state before the first step.
        loss_fn: Maps parameters and an epoch's data to losses (M,), of which the mean is minimized.
        draw: Draws an epoch's data.
        optimizer: The rule of the steps.
        lr: Maps the share of steps done, 0 to 1, to the rate.
        num_epochs: Steps in all.
        source: Source of all data; its state is taken from the state's.
        max_grad_norm: Bound on the gradient's joint norm; none if absent.
        record_every: Steps between lines, each of which holds the mean loss since the one before.
        title: What is being done.
    """

    unit: ClassVar[str] = "steps"

    initial: FitState
    loss_fn: Callable[[Params, HyperStream], Tensor]
    draw: Callable[[torch.Generator], HyperStream]
    optimizer: Optimizer
    lr: Callable[[float], float]
    num_epochs: int
    source: torch.Generator
    max_grad_norm: float | None = None
    record_every: int = 1
    title: str = "fitting"

    @property
    def total(self) -> int:
        """Steps in all."""
        return self.num_epochs

    def begin(self) -> FitState:
        """The state before the first step."""
        return self.initial

    def done(self, state: FitState) -> int:
        """Steps finished."""
        return state.epoch

    def steps(self, state: FitState) -> Iterator[Step[FitState]]:
        """Goes on from a state, one step after another.

        Raises:
            NonFiniteLossError: If a loss is not finite; the message says at which step.
        """
        self.source.set_state(state.generator_state)
        for epoch in range(state.epoch, self.num_epochs):
            lr = self.lr(epoch / self.num_epochs)
            losses, params, moments = self._step(state.params, state.moments, lr)
            if not bool(torch.isfinite(losses).all()):
                raise NonFiniteLossError(
                    f"Expected finite losses, but got {losses.max().item()} at step {epoch}. Lower the rate."
                )
            loss, loss_sum, line = float(losses.mean()), state.loss_sum + losses.mean(), None
            if (epoch + 1) % self.record_every == 0 or epoch + 1 == self.num_epochs:
                mean = float(loss_sum) / ((epoch + 1) % self.record_every or self.record_every)
                line = EpochLine(epoch=epoch + 1, task_loss=mean, hyper_loss=mean, final_hyper_loss=loss, outer_lr=lr)
                loss_sum = torch.zeros(())
            state = FitState(params, moments, epoch + 1, loss_sum, self.source.get_state())
            yield Step(state, epoch + 1, f"loss {loss:.4f}", line, epoch + 1)

    def pack(self, state: FitState) -> Packed:
        """Names every tensor of a state, and says where it stands."""
        tensors = {f"params/{name}": tensor for name, tensor in state.params.items()}
        tensors |= {f"moments/{name}": tensor for name, tensor in state.moments.items()}
        tensors |= {"loss_sum": state.loss_sum, "generator": state.generator_state}
        return Packed(tensors, {"epoch": state.epoch})

    def unpack(self, packed: Packed) -> FitState:
        """Rebuilds the state that `pack` took apart."""
        parts: dict[str, Params] = {"params": {}, "moments": {}}
        for key, tensor in packed.tensors.items():
            part, _, name = key.partition("/")
            if part in parts:
                parts[part][name] = on_default_device(tensor)
        loss_sum = on_default_device(packed.tensors["loss_sum"])
        return FitState(
            **parts, epoch=packed.facts["epoch"], loss_sum=loss_sum, generator_state=packed.tensors["generator"]
        )

    def _step(self, params: Params, moments: Params, lr: float) -> tuple[Tensor, Params, Params]:
        stream = self.draw(self.source)
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in params.items()}
        losses = self.loss_fn(leaves, stream)
        grads = list(torch.autograd.grad(losses.mean(), list(leaves.values())))
        with torch.no_grad():
            grads = grads if self.max_grad_norm is None else clip_by_global_norm(grads, self.max_grad_norm)
            rate = torch.tensor(lr, device=losses.device)
            updated, moments = self.optimizer.update(detach(leaves), grads, moments, rate)
        return losses.detach(), updated, moments


def first_fit_state(params: Params, optimizer: Optimizer, source: torch.Generator) -> FitState:
    """Makes the state that a fit of these parameters begins with."""
    return FitState(params, optimizer.init(params), 0, torch.zeros(()), source.get_state())
