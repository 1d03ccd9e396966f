"""The job that trains a few-shot learner: gradient steps from look to look, the one that validates best kept."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hyperlearning.core.errors import NonFiniteLossError
from hyperlearning.core.params import Params, joined, part_of
from hyperlearning.engine.rounds import Played, Rounds, RoundsState
from hyperlearning.learners.optimizers import adam
from hyperlearning.systems.hypernetworks.few_shot_lines import LookLine

_WORSE_THAN_ANY = -1e30


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """What a learner is trained on.

    Attributes:
        loss: Makes the loss of a step, given the step and the source of its random numbers.
        sizes: Examples of steps, in turn.
        num_steps: Steps in all.
        looks: Times that the learner is validated.
        lr: Rate of Adam at first; it falls to 0 along a cosine.
        validate: Says how good a learner is; more is better.
        shown: Writes that in a few words.
        source: Source of random numbers.
        title: What a progress line calls the learner.
    """

    loss: Callable[[int, torch.Generator], Tensor]
    sizes: Sequence[int]
    num_steps: int
    looks: int
    lr: float
    validate: Callable[[nn.Module], float]
    shown: Callable[[float], str]
    source: torch.Generator
    title: str


def learning_rounds(learner: nn.Module, lessons: Lessons) -> Rounds:
    """Makes the job that trains a learner by Adam, a round from look to look.

    Args:
        learner: The learner, which the job goes on from and changes.
        lessons: What it is trained on.
    """
    rule, num_steps, sizes = adam(), lessons.num_steps, lessons.sizes

    def play(state: RoundsState, own: torch.Generator) -> Played:
        learner.load_state_dict(part_of(state.tensors, "now"))
        learner.train()
        moments, losses = part_of(state.tensors, "moments"), []
        first, last = (num_steps * (state.round + more) // lessons.looks for more in (0, 1))
        for step in range(first, last):
            loss = lessons.loss(step, own)
            lr = lessons.lr * (1 + math.cos(math.pi * step / num_steps)) / 2
            moments = _updated(learner, loss, moments, lr, rule.update)
            losses.append(loss.detach())
        mean = float(torch.stack(losses).mean())
        if not math.isfinite(mean):
            raise NonFiniteLossError(f"Expected finite losses, but got {mean} by step {last}. Lower the rate.")
        learner.eval()
        found = lessons.validate(learner)
        now = _state_of(learner)
        is_best = found >= state.facts["best"]
        best = now if is_best else part_of(state.tensors, "best")
        images = state.facts["images"] + sum(sizes[step % len(sizes)] for step in range(first, last))
        line = LookLine(images=images, loss=mean, validation=found)
        facts = {"best": found if is_best else state.facts["best"], "images": images}
        return Played(
            joined({"now": now, "moments": moments, "best": best}),
            facts,
            line,
            f"loss {mean:.3f}, {lessons.shown(found)}",
        )

    now, moments = _state_of(learner), rule.init(dict(learner.named_parameters()))
    facts = {"best": _WORSE_THAN_ANY, "images": 0}
    return Rounds(
        initial=RoundsState(
            joined({"now": now, "moments": moments, "best": now}), facts, 0, lessons.source.get_state()
        ),
        play=play,
        num_rounds=lessons.looks,
        source=lessons.source,
        title=lessons.title,
        unit="looks",
    )


def _updated(learner: nn.Module, loss: Tensor, moments: Params, lr: float, update: Callable) -> Params:
    params = dict(learner.named_parameters())
    grads = torch.autograd.grad(loss, list(params.values()), allow_unused=True, materialize_grads=True)
    with torch.no_grad():
        detached = {key: tensor.detach() for key, tensor in params.items()}
        values, moments = update(detached, grads, moments, torch.tensor(lr))
        for key, tensor in params.items():
            tensor.copy_(values[key])
    return moments


def _state_of(learner: nn.Module) -> Params:
    return {key: tensor.detach().clone() for key, tensor in learner.state_dict().items()}
