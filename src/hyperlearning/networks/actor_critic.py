"""Players: a network that sees, remembers, and says what to do and what it expects.

Shape suffixes: B games side by side, C channels, H rows, W columns, U units of memory, A actions.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Said(NamedTuple):
    """What a player makes of what it sees.

    Attributes:
        logits: Of the actions, (B, A).
        values: The discounted rewards that it expects, (B,).
        memory: What it remembers, (B, U).
    """

    logits: Tensor
    values: Tensor
    memory: Tensor


class ActorCritic(nn.Module):
    """Convolutions of 3 x 3 in steps of two with ELU, a gated recurrent unit, and two readouts: what to do, and what to expect.

    With four convolutions of 32 channels and 256 units on images of 80 x 80 it is the text's: 842,407 weights with six actions,
    845,491 with eighteen. The actor's weights come last, so that players of games with different actions are alike before them.

    Args:
        source: Source of first weights.
        shape: Of an observation: channels, rows, columns.
        num_actions: Actions.
        num_convolutions: Convolutions, each of which halves height and width.
        num_channels: Of each of them.
        num_units: Of memory.

    Source: dissertation, section 2.4.7; numbers of the code that it names.
    """

    def __init__(
        self,
        source: torch.Generator,
        *,
        shape: tuple[int, int, int],
        num_actions: int,
        num_convolutions: int = 4,
        num_channels: int = 32,
        num_units: int = 256,
    ) -> None:
        super().__init__()
        channels, *sides = shape
        widths = [channels, *(num_channels for _ in range(num_convolutions))]
        self.seeing = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1) for before, after in pairwise(widths)
        )
        for _ in range(num_convolutions):
            sides = [(side + 1) // 2 for side in sides]
        self.memory = nn.GRUCell(num_channels * sides[0] * sides[1], num_units)
        self.critic = nn.Linear(num_units, 1)
        self.actor = nn.Linear(num_units, num_actions)
        self._num_units = num_units
        _draw(self, source)

    def first_memory(self, num_games: int) -> Float[Tensor, "B U"]:
        """What is remembered when a game begins: nothing."""
        return self.critic.weight.new_zeros(num_games, self._num_units)

    def forward(self, observations: Float[Tensor, "B C H W"], memory: Float[Tensor, "B U"]) -> Said:
        """Sees one observation of each game."""
        seen = observations
        for layer in self.seeing:
            seen = nn.functional.elu(layer(seen))
        memory = self.memory(seen.flatten(1), memory)
        return Said(self.actor(memory), self.critic(memory)[:, 0], memory)


@torch.no_grad()
def _draw(network: nn.Module, source: torch.Generator) -> None:
    """Draws first weights as PyTorch does, from a source; what is to be done is all one at first."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.GRUCell):
            reach = (layer.hidden_size if isinstance(layer, nn.GRUCell) else layer.weight[0].numel()) ** -0.5
            for tensor in layer.parameters():
                tensor.uniform_(-reach, reach, generator=source)
