"""What records of active learners say."""

from dataclasses import dataclass
from typing import ClassVar

from hyperlearning.systems.packed_images import PackedImages

CEILING = "ceiling"
"""What stands for a strategy in lives that ask for the best of all strategies' batches."""


@dataclass(frozen=True, kw_only=True)
class RoundLine:
    """A learner after a round of questions, trained on all answers so far.

    Attributes:
        round: Which, from 0: before the first question.
        num_labelled: Labelled images.
        spent: What all answers cost.
        accuracy: On tests.
        nats: Mean negative log likelihood of the tests' labels.
        ece: Expected calibration error.
        purity: Of the round's questions, the share that is ours; absent before the first.
        balance: Entropy of the classes of the round's labels over that of equal shares, 0 to 1, likewise.
        num_tied: Images of the pool that chance chose the last one among, likewise.
        asked: Places of the images that were asked for, the first and last ones alone where there are many.
        train_seconds: What training took.
        choose_seconds: What choosing took.
    """

    kind: ClassVar[str] = "round"

    round: int
    num_labelled: int
    spent: float
    accuracy: float
    nats: float
    ece: float
    purity: float | None = None
    balance: float | None = None
    num_tied: int | None = None
    asked: tuple[int, ...] = ()
    train_seconds: float
    choose_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class LifeLine:
    """A life of questions.

    Attributes:
        strategy: The name of what chose, or `CEILING`.
        title: What a figure calls it.
        recipe: What was trained.
        seed: Of pool, start, training and chance.
        rounds: How it stood, before the first question and after each round.
    """

    kind: ClassVar[str] = "life"

    strategy: str
    title: str
    recipe: str
    seed: int
    rounds: tuple[RoundLine, ...]

    @property
    def last(self) -> RoundLine:
        """After the last answers."""
        return self.rounds[-1]


@dataclass(frozen=True, kw_only=True)
class AskedLine:
    """What the first life of a strategy asked for, for pictures.

    Attributes:
        strategy: The name of what chose.
        recipe: What was trained.
        first: Images of the first round.
        last: Of the last one.
    """

    kind: ClassVar[str] = "asked"

    strategy: str
    recipe: str
    first: PackedImages
    last: PackedImages


@dataclass(frozen=True, kw_only=True)
class ProblemLine:
    """What was asked about.

    Attributes:
        num_images: That could be asked about.
        num_foreign: How many of them are none of ours.
        num_tests: Images of tests.
        num_classes: Of ours.
    """

    kind: ClassVar[str] = "problem"

    num_images: int
    num_foreign: int
    num_tests: int
    num_classes: int


@dataclass(frozen=True, kw_only=True)
class LookLine:
    """How long a pool is looked at.

    Attributes:
        num_pool: Images that may be asked about.
        num_labelled: Labelled images.
        num_features: Numbers of a latent.
        seconds: To look at the pool and at what is labelled, time after time.
    """

    kind: ClassVar[str] = "look"

    num_pool: int
    num_labelled: int
    num_features: int
    seconds: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class TimeLine:
    """How long a strategy chooses, from what was seen.

    Attributes:
        strategy: Its name.
        title: What a figure calls it.
        seconds: Ours, time after time.
        peer_seconds: Of scikit-activeml, each right after ours; none if it has none or is left out.
    """

    kind: ClassVar[str] = "time"

    strategy: str
    title: str
    seconds: tuple[float, ...]
    peer_seconds: tuple[float, ...] = ()
