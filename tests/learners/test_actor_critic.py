"""Advantage actor-critic: returns and gradients beside plain computations, and a game that is learned."""

import torch

from hyperlearning.learners.actor_critic import (
    ActorCriticRule,
    Standing,
    Trail,
    drawn_actions,
    followed,
    learned,
    losses_of,
    parameters_of,
    retold,
    returns_of,
)
from hyperlearning.learners.optimizers import adam
from hyperlearning.networks.actor_critic import ActorCritic
from hyperlearning.streams.games import Moved

RULE = ActorCriticRule(num_steps=3, entropy_weight=0.1, value_weight=0.7)


class Lever:
    """A game of one step with two actions, of which the second is rewarded."""

    num_games, num_actions, shape = 16, 2, (1, 2, 2)

    def begin(self, seed: int) -> torch.Tensor:
        return torch.ones(16, 1, 2, 2)

    def step(self, actions: torch.Tensor) -> Moved:
        return Moved(self.begin(0), actions.float(), torch.ones(16, dtype=torch.bool))


def player(num_actions: int = 3) -> ActorCritic:
    return ActorCritic(
        torch.Generator().manual_seed(0),
        shape=(1, 2, 2),
        num_actions=num_actions,
        num_convolutions=1,
        num_channels=2,
        num_units=3,
    )


def trail(source: torch.Generator, dtype: torch.dtype = torch.float32) -> Trail:
    return Trail(
        torch.rand(3, 4, 1, 2, 2, generator=source, dtype=dtype),
        torch.randint(3, (3, 4), generator=source),
        torch.randn(3, 4, generator=source, dtype=dtype),
        torch.rand(3, 4, generator=source) < 0.3,
        torch.randn(4, 3, generator=source, dtype=dtype),
    )


def test_returns_are_discounted_sums_to_the_end_of_the_episode():
    source = torch.Generator().manual_seed(0)
    rewards, ended = torch.randn(6, 5, generator=source), torch.rand(6, 5, generator=source) < 0.3
    last = torch.randn(5, generator=source)
    found = returns_of(rewards, ended, last, discount=0.9)
    for game in range(5):
        for start in range(6):
            total, weight, step = 0.0, 1.0, start
            while step < 6:
                total += weight * float(rewards[step, game])
                weight *= 0.9
                if bool(ended[step, game]):
                    weight = 0.0
                    break
                step += 1
            total += weight * float(last[game])
            assert abs(float(found[start, game]) - total) < 1e-5


def test_the_losses_gradient_with_respect_to_logits_is_the_closed_form():
    source = torch.Generator().manual_seed(1)
    logits, values, returns, gains = (
        torch.randn(shape, generator=source, dtype=torch.float64) for shape in ((3, 4, 5), (3, 4), (3, 4), (3, 4))
    )
    actions = torch.randint(5, (3, 4), generator=source)
    logits, values = logits.requires_grad_(), values.requires_grad_()
    total = losses_of(logits, values, actions, returns, gains, RULE).total
    by_logits, by_values = torch.autograd.grad(total, (logits, values))
    chances = logits.detach().softmax(-1)
    logs, one_hot = chances.log(), torch.nn.functional.one_hot(actions, 5)
    entropy = -(chances * logs).sum(-1, keepdim=True)
    wanted = ((chances - one_hot) * gains[..., None] + 0.1 * chances * (logs + entropy)) / 12
    torch.testing.assert_close(by_logits, wanted, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(by_values, 0.7 * (values - returns).detach() / 12, rtol=1e-12, atol=1e-14)


def test_the_gradient_through_a_few_steps_of_memory_is_that_of_finite_differences():
    own = player().double()
    params = {name: tensor.double() for name, tensor in parameters_of(own).items()}
    seen = trail(torch.Generator().manual_seed(2), torch.float64)
    returns = returns_of(seen.rewards, seen.ended, torch.zeros(4, dtype=torch.float64), discount=0.9)
    gains = returns - retold(own, params, seen)[1]

    def total(params: dict[str, torch.Tensor]) -> torch.Tensor:
        return losses_of(*retold(own, params, seen), seen.actions, returns, gains, RULE).total

    leaves = {name: tensor.clone().requires_grad_() for name, tensor in params.items()}
    grads = torch.autograd.grad(total(leaves), list(leaves.values()))
    step = 1e-6
    for (name, tensor), grad in zip(params.items(), grads, strict=True):
        for place in range(0, tensor.numel(), 5):
            ends = []
            for side in (step, -step):
                moved = tensor.clone()
                moved.view(-1)[place] += side
                ends.append(float(total(params | {name: moved})))
            assert abs((ends[0] - ends[1]) / (2 * step) - float(grad.reshape(-1)[place])) < 1e-8


def test_actions_are_drawn_as_often_as_their_probabilities_say():
    logits = torch.tensor([0.0, 1.0, -1.0]).expand(200_000, -1)
    counts = drawn_actions(logits, torch.Generator().manual_seed(0)).bincount(minlength=3) / 200_000
    torch.testing.assert_close(counts, logits[0].softmax(0), rtol=0, atol=0.005)


def test_a_trail_that_is_retold_says_what_was_said_when_it_was_played():
    own, games, source = player(2), Lever(), torch.Generator().manual_seed(0)
    params, standing = parameters_of(own), Standing(games.begin(0), own.first_memory(16))
    seen, _ = followed(own, params, games, standing, source, num_steps=3)
    logits, _ = retold(own, params, seen)
    own_source = torch.Generator().manual_seed(0)
    assert all(
        torch.equal(drawn_actions(step, own_source), actions)
        for step, actions in zip(logits, seen.actions, strict=True)
    )


def test_an_update_leaves_its_inputs_unmodified():
    own, optimizer = player(), adam()
    params = parameters_of(own)
    moments, seen = optimizer.init(params), trail(torch.Generator().manual_seed(3))
    before = {name: tensor.clone() for name, tensor in (params | moments).items()}
    after, _, _ = learned(
        own, params, moments, seen, Standing(seen.observations[0], seen.memory), RULE, optimizer, lr=0.1
    )
    assert all(torch.equal(before[name], tensor) for name, tensor in (params | moments).items())
    assert not torch.equal(after["actor.weight"], params["actor.weight"])


def test_a_lever_that_is_rewarded_is_pulled_and_what_is_expected_is_the_reward():
    own, optimizer, games, source = player(2), adam(), Lever(), torch.Generator().manual_seed(0)
    params = parameters_of(own)
    moments, standing = optimizer.init(params), Standing(games.begin(0), own.first_memory(16))
    rule = ActorCriticRule(num_steps=3)
    for _ in range(200):
        seen, standing = followed(own, params, games, standing, source, num_steps=3)
        params, moments, _ = learned(own, params, moments, seen, standing, rule, optimizer, lr=0.02)
    logits, values = retold(own, params, seen)
    assert float(logits.softmax(-1)[..., 1].mean()) > 0.95
    torch.testing.assert_close(values, torch.ones_like(values), rtol=0, atol=0.1)
