"""Advantage actor-critic: a player learns from a few steps at a time of many games side by side.

Source: Mnih et al., "Asynchronous Methods for Deep Reinforcement Learning" (2016), algorithm S3, with all games in one process.

Shape suffixes: T steps, B games side by side, A actions, U units of memory.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.func import functional_call

from hyperlearning.core.params import Params, detach
from hyperlearning.learners.optimizers import Optimizer, clip_by_global_norm
from hyperlearning.networks.actor_critic import Said
from hyperlearning.streams.games import Games


@dataclass(frozen=True, kw_only=True)
class ActorCriticRule:
    """How a player learns.

    Attributes:
        num_steps: Steps between updates, through which gradients go, T.
        discount: What a reward of the next step counts for.
        entropy_weight: Weight of the entropy of what it does, which is made larger.
        value_weight: Weight of half the squared error of what it expects.
        max_grad_norm: Bound on the gradient's joint norm.
    """

    num_steps: int = 20
    discount: float = 0.99
    entropy_weight: float = 0.01
    value_weight: float = 0.5
    max_grad_norm: float = 0.5


class Standing(NamedTuple):
    """Where games and their player stand between updates.

    Attributes:
        observations: What is seen, (B, C, H, W).
        memory: What is remembered, (B, U).
    """

    observations: Tensor
    memory: Tensor


class Trail(NamedTuple):
    """What was seen, done and earned in a few steps.

    Attributes:
        observations: (T, B, C, H, W).
        actions: (T, B), integers.
        rewards: (T, B).
        ended: Whether an episode ended at the step, (T, B), bool.
        memory: What was remembered before the first step, (B, U).
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    ended: Tensor
    memory: Tensor


class Losses(NamedTuple):
    """What is minimized, and its parts.

    Attributes:
        total: `actor + value_weight * critic - entropy_weight * entropy`.
        actor: The mean of `-log p(action) * advantage`.
        critic: The mean of half the squared differences of returns and values.
        entropy: The mean entropy of what is done, in nats.
    """

    total: Tensor
    actor: Tensor
    critic: Tensor
    entropy: Tensor


def returns_of(
    rewards: Float[Tensor, "T B"], ended: Bool[Tensor, "T B"], last_values: Float[Tensor, " B"], *, discount: float
) -> Float[Tensor, "T B"]:
    """Rewards of each step and all that follow, discounted, up to the episode's end; beyond the last step, what is expected.

    `R_t = r_t + discount * R_(t+1)`, where `R_(t+1)` is 0 if the episode ended at t.
    """
    following, found = last_values, []
    for reward, end in zip(rewards.flip(0), ended.flip(0), strict=True):
        following = reward + discount * following * ~end
        found.append(following)
    return torch.stack(found[::-1])


def losses_of(
    logits: Float[Tensor, "T B A"],
    values: Float[Tensor, "T B"],
    actions: Int[Tensor, "T B"],
    returns: Float[Tensor, "T B"],
    advantages: Float[Tensor, "T B"],
    rule: ActorCriticRule,
) -> Losses:
    """The loss of a few steps; returns and advantages are taken as given."""
    logs = logits.log_softmax(-1)
    chosen = logs.gather(-1, actions[..., None])[..., 0]
    actor = -(chosen * advantages).mean()
    critic = 0.5 * (returns - values).square().mean()
    entropy = -(logs.exp() * logs).sum(-1).mean()
    return Losses(actor + rule.value_weight * critic - rule.entropy_weight * entropy, actor, critic, entropy)


def retold(player: nn.Module, params: Params, trail: Trail) -> tuple[Tensor, Tensor]:
    """What a player with these parameters says at every step of a trail: logits (T, B, A) and values (T, B)."""
    memory, logits, values = trail.memory, [], []
    for seen, end in zip(trail.observations, trail.ended, strict=True):
        said: Said = functional_call(player, params, (seen, memory))
        logits.append(said.logits)
        values.append(said.values)
        memory = said.memory * ~end[:, None]
    return torch.stack(logits), torch.stack(values)


def drawn_actions(logits: Float[Tensor, "B A"], source: torch.Generator) -> Int[Tensor, " B"]:
    """Draws an action of each game by its probabilities; the numbers drawn are as many whatever they are.

    Two players with one source meet the same chances (by Gumbel's maximum: `argmax(logits - log(-log u))`).
    """
    chances = torch.rand(logits.shape, generator=source).clamp(min=1e-20)
    return (logits - (-chances.log()).log()).argmax(-1)


@torch.no_grad()
def followed(
    player: nn.Module, params: Params, games: Games, standing: Standing, source: torch.Generator, *, num_steps: int
) -> tuple[Trail, Standing]:
    """Plays a few steps."""
    observations, memory = standing
    steps: list[tuple[Tensor, ...]] = []
    for _ in range(num_steps):
        said: Said = functional_call(player, params, (observations, memory))
        actions = drawn_actions(said.logits, source)
        moved = games.step(actions)
        steps.append((observations, actions, moved.rewards, moved.ended))
        observations, memory = moved.observations, said.memory * ~moved.ended[:, None]
    seen, done, earned, ended = map(torch.stack, zip(*steps, strict=True))
    return Trail(seen, done, earned, ended, standing.memory), Standing(observations, memory)


def learned(
    player: nn.Module,
    params: Params,
    moments: Params,
    trail: Trail,
    after: Standing,
    rule: ActorCriticRule,
    optimizer: Optimizer,
    *,
    lr: float,
) -> tuple[Params, Params, Losses]:
    """Learns from a trail: new parameters, new moments, and the losses before."""
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in params.items()}
    logits, values = retold(player, leaves, trail)
    with torch.no_grad():
        last: Said = functional_call(player, params, tuple(after))
        returns = returns_of(trail.rewards, trail.ended, last.values, discount=rule.discount)
    losses = losses_of(logits, values, trail.actions, returns, returns - values.detach(), rule)
    grads = torch.autograd.grad(losses.total, list(leaves.values()))
    with torch.no_grad():
        params, moments = optimizer.update(
            detach(leaves), clip_by_global_norm(list(grads), rule.max_grad_norm), moments, lr
        )
    return params, moments, Losses(*(part.detach() for part in losses))


def parameters_of(player: nn.Module) -> Params:
    """A player's parameters by name, as copies."""
    return {name: tensor.detach().clone() for name, tensor in player.named_parameters()}
