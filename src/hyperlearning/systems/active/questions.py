"""What a loop of questions asks, is told and says, and what it refuses to begin with."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from hyperlearning.acquisition.answers import Answer
from hyperlearning.acquisition.query import OF_REJECTS
from hyperlearning.acquisition.strategies import NEED_NO_LABEL, STRATEGIES, StrategyName
from hyperlearning.core.errors import AnswerError
from hyperlearning.learners.ridge_head import RidgeHead

NOT_OURS = "(not one of ours)"
"""The answer that an image is of none of the classes."""
UNSURE = "(unsure)"
"""The answer of who cannot tell."""


class Question(NamedTuple):
    """An image that waits for an answer.

    Attributes:
        place: Its place among all.
        round: In which round it was chosen, from 1.
        why: What chose it, and by what score.
    """

    place: int
    round: int
    why: str


class Prediction(NamedTuple):
    """What the loop takes images for.

    Attributes:
        labels: Classes, by image.
        confidence_N: The probability that each is right, calibrated on answers that were left out.
    """

    labels: list[str]
    confidence_N: Float[Tensor, " images"]


class AskedRound(NamedTuple):
    """A round of questions to an oracle, and what is known after it.

    Attributes:
        round: Which, from 1.
        num_answers: All answers so far.
        spent: What they cost.
        num_labelled: Images whose class is known.
        num_classes: Classes that are known.
        purity: Of the round's answers, the share that is not `NOT_OURS`.
        accuracy: Share of tests that are right; absent without tests, and while nothing is labelled.
    """

    round: int
    num_answers: int
    spent: float
    num_labelled: int
    num_classes: int
    purity: float
    accuracy: float | None = None


def as_told(answer: Answer) -> str:
    """An answer as it is told: a class, `NOT_OURS` or `UNSURE`."""
    return answer.label if answer.label is not None else UNSURE if answer.kind == "unsure" else NOT_OURS


def predicted(head: RidgeHead, classes: tuple[str, ...], features_ND: Float[Tensor, "images features"]) -> Prediction:
    """What a head takes images for."""
    sure_N, said_N = head.probabilities(features_ND).max(1)
    return Prediction([classes[label] for label in said_N.tolist()], sure_N.float())


def check_strategies(strategy: StrategyName, first: StrategyName, *, learns_rejects: bool) -> None:
    """Raises unless a loop can choose by these, from the first question to the last.

    Args:
        strategy: What chooses.
        first: What chooses before two classes are known.
        learns_rejects: Whether rejected images are learned.

    Raises:
        ValueError: If not.
    """
    for name in (strategy, first):
        if name not in STRATEGIES:
            raise ValueError(f"Expected a strategy among {', '.join(STRATEGIES)}, but got '{name}'.")
    if first not in NEED_NO_LABEL:
        raise ValueError(
            f"Expected `first` to need no label, as {', '.join(sorted(NEED_NO_LABEL))} do, but got '{first}'."
        )
    if not learns_rejects and OF_REJECTS.intersection(STRATEGIES[strategy].needs):
        raise ValueError(
            f"Expected rejected images to be learned from for '{strategy}', which looks at what is learned of them, but they are "
            "ignored."
        )


def check_spelling(classes: Sequence[str]) -> None:
    """Raises if two classes differ in case or surrounding spaces alone."""
    spelled: dict[str, str] = {}
    for name in classes:
        plain = spelled.setdefault(name.strip().casefold(), name)
        if plain != name:
            raise AnswerError(f"Expected one spelling of a class, but got '{plain}' and '{name}'.")
