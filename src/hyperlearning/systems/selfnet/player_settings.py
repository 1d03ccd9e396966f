"""Players of games, and how they learn, as settings."""

from dataclasses import dataclass
from typing import Annotated

from hyperlearning.core.expect import Above, AtLeast, Count, Rate, Within, check_ranges
from hyperlearning.learners.actor_critic import ActorCriticRule


@dataclass(frozen=True, kw_only=True)
class PlayerSettings:
    """A player's size. The text's is the default."""

    num_convolutions: Count = 4
    """Convolutions of 3 x 3, each of which halves height and width."""
    num_channels: Count = 32
    """Channels of each."""
    num_units: Count = 256
    """Units of the gated recurrent unit."""

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class PlayerTraining:
    """How a player learns a game: advantage actor-critic (dissertation, section 2.4.7, has its asynchronous kind)."""

    num_segments: Count = 500
    """Segments of training, each of which begins with games begun anew."""
    segment_updates: Count = 250
    """Updates of a segment."""
    num_games: Count = 16
    """Games side by side."""
    num_steps: Count = 20
    """Steps between updates, through which gradients go (authors' code: 20)."""
    lr: Rate = 1e-4
    """Adam's rate at first (authors' code: 1e-4); it falls to 0."""
    discount: Annotated[float, Within(0, 1)] = 0.99
    """What a reward of the next step counts for."""
    entropy_weight: Annotated[float, AtLeast(0)] = 0.01
    """Weight of the entropy of what is done."""
    value_weight: Annotated[float, AtLeast(0)] = 0.5
    """Weight of half the squared error of what is expected."""
    max_grad_norm: Annotated[float, Above(0)] = 0.5
    """Bound on the gradient's norm."""

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def segment_steps(self) -> int:
        """Steps of all games together in a segment."""
        return self.segment_updates * self.num_steps * self.num_games

    @property
    def all_steps(self) -> int:
        """Likewise in all segments."""
        return self.num_segments * self.segment_steps

    @property
    def rule(self) -> ActorCriticRule:
        """What an update follows."""
        return ActorCriticRule(
            num_steps=self.num_steps,
            discount=self.discount,
            entropy_weight=self.entropy_weight,
            value_weight=self.value_weight,
            max_grad_norm=self.max_grad_norm,
        )
