"""What games of all kinds have in common for a player: many are played side by side, and one that ends begins anew.

Shape suffixes: B games side by side, C channels, H rows, W columns.
"""

from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor


class Moved(NamedTuple):
    """What came of an action in each game.

    Attributes:
        observations: What is seen next, (B, C, H, W); of a game that ended, its next episode's first.
        rewards: (B,).
        ended: Whether the episode ended, (B,), bool.
    """

    observations: Tensor
    rewards: Tensor
    ended: Tensor


@runtime_checkable
class Games(Protocol):
    """Games of one kind, side by side.

    Attributes:
        num_games: How many, B.
        num_actions: Actions that there are in each.
        shape: Of an observation: channels, rows, columns.
    """

    @property
    def num_games(self) -> int: ...  # noqa: D102
    @property
    def num_actions(self) -> int: ...  # noqa: D102
    @property
    def shape(self) -> tuple[int, int, int]: ...  # noqa: D102

    def begin(self, seed: int) -> Tensor:
        """Begins all games anew; all that follows depends on the seed and on actions, and on nothing before.

        Returns:
            First observations, (B, C, H, W), float32.
        """
        ...

    def step(self, actions: Tensor) -> Moved:
        """Acts in every game: integers (B,)."""
        ...
