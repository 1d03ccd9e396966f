"""What records of players, and of stores of players, say."""

from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class SegmentLine:
    """A segment of training.

    Attributes:
        segment: Which, from 1.
        steps: Steps of all games so far.
        episodes: Episodes that ended in it.
        reward: Their mean sum of rewards, clipped where training clips them; none if none ended.
        entropy: The mean entropy of what was done, in nats.
        critic: The mean of half the squared error of what was expected.
        seconds: What it took.
    """

    kind: ClassVar[str] = "segment"

    segment: int
    steps: int
    episodes: int
    reward: float | None
    entropy: float
    critic: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class PlayerLine:
    """A player of a game, after training.

    Attributes:
        game: The game's name.
        title: What a figure calls it.
        note: How it is played, in a sentence.
        num_actions: Actions.
        num_weights: Weights of the player.
        steps: Steps of all games that it was trained on.
        scores: Of every episode.
        random: Of a player who acts at random, on the same episodes.
        training: Rewards in the course of training: steps, and the mean sum of an episode's rewards.
        training_seconds: What training took.
    """

    kind: ClassVar[str] = "player"

    game: str
    title: str
    note: str
    num_actions: int
    num_weights: int
    steps: int
    scores: tuple[float, ...]
    random: tuple[float, ...]
    training: tuple[tuple[int, float], ...]
    training_seconds: float

    @property
    def was_learned(self) -> bool:
        """Whether the player does better than a random one."""
        return fmean(self.scores) > fmean(self.random)

    def share(self, score: float) -> float:
        """A score as a share of what the player learned: 0 is the random player's, 1 its own."""
        chance = fmean(self.random)
        return (score - chance) / (fmean(self.scores) - chance)


@dataclass(frozen=True, kw_only=True)
class RecollectedLine:
    """A store after a stage.

    Attributes:
        stage: Which, from 1: as many games have been met.
        scores: A list for every game so far, of one score an episode, of the player that the store gives back.
        cosines: Of every recollection to the weights that were trained.
        num_bytes: Everything that the store keeps.
        iterations: What training the store took, if it is trained.
        seconds: What the stage took, playing included.
    """

    kind: ClassVar[str] = "recollected"

    stage: int
    scores: tuple[tuple[float, ...], ...]
    cosines: tuple[float, ...]
    num_bytes: int
    iterations: int | None = None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class PlayerStoreLine:
    """A store of players throughout a life.

    Attributes:
        method: Its name.
        title: What a figure calls it.
        note: What it is, in a sentence.
        stages: How it stood after each game.
    """

    kind: ClassVar[str] = "player_store"

    method: str
    title: str
    note: str
    stages: tuple[RecollectedLine, ...]

    @property
    def last(self) -> RecollectedLine:
        """After the last game."""
        return self.stages[-1]
