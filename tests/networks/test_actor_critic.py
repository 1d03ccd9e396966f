"""Players as networks: the text's size, what they have in common, and that they remember."""

import pytest
import torch

from hyperlearning.networks.actor_critic import ActorCritic


def player(num_actions: int, seed: int = 0) -> ActorCritic:
    return ActorCritic(
        torch.Generator().manual_seed(seed),
        shape=(4, 10, 10),
        num_actions=num_actions,
        num_convolutions=1,
        num_channels=3,
        num_units=5,
    )


@pytest.mark.parametrize(("num_actions", "num_weights"), [(6, 842_407), (18, 845_491)])
def test_on_frames_of_80_by_80_it_has_the_weights_of_the_authors_player(num_actions: int, num_weights: int):
    own = ActorCritic(torch.Generator(), shape=(1, 80, 80), num_actions=num_actions)
    assert sum(parameter.numel() for parameter in own.parameters()) == num_weights


def test_players_with_different_actions_are_alike_but_for_the_actor_which_comes_last():
    few, many = player(3).state_dict(), player(5).state_dict()
    *shared, weight, bias = few
    assert (weight, bias) == ("actor.weight", "actor.bias")
    assert all(torch.equal(few[name], many[name]) for name in shared)


def test_it_says_logits_values_and_a_memory_of_each_game():
    own, seen = player(3), torch.rand(7, 4, 10, 10)
    said = own(seen, own.first_memory(7))
    assert (said.logits.shape, said.values.shape, said.memory.shape) == ((7, 3), (7,), (7, 5))


def test_what_it_says_depends_on_what_it_remembers():
    own, seen = player(3), torch.rand(2, 4, 10, 10)
    said = own(seen, own.first_memory(2))
    assert not torch.allclose(own(seen, said.memory).logits, said.logits)
