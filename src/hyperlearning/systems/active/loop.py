"""Active learning by hand: ask for a few images, be told what they are, ask again.

Everything follows from the answers, the seed and the images, in this order; a loop is saved as its answers and the questions that
wait for one, and goes on anywhere to the same questions.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.acquisition.answers import Answer, Ledger, Policy
from hyperlearning.acquisition.strategies import STRATEGIES, StrategyName
from hyperlearning.core.atomic_files import write_atomically
from hyperlearning.core.errors import AnswerError, FileError, QueryError
from hyperlearning.core.seeding import generator
from hyperlearning.learners.ridge_head import RidgeHead, fit_ridge_head
from hyperlearning.systems.active.recipes import FrozenFeatures, Labelled

NOT_OURS = "(not one of ours)"
"""The answer that an image is of none of the classes."""
UNSURE = "(unsure)"
"""The answer of who cannot tell."""
_FORMAT = 1


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


class ActiveLoop:
    """Chooses images to ask about, and learns from the answers with a solved head on fixed features.

    Args:
        features: (N, D), of all images, such as `hl.folder_features` of them, or those of a network of your own.
        strategy: What chooses; one of `hl.STRATEGIES` that looks at nothing but probabilities and features.
        first: What chooses before two classes are known.
        classes: Classes that are known beforehand; others are met as they come.
        policy: What becomes of images that are none of ours.
        seed: Of chance.

    Raises:
        ValueError: If features are not finite, there are none, or there is no such strategy.

    Example:
        >>> loop = ActiveLoop(torch.eye(6), strategy="margin", first="random")
        >>> asked = loop.ask(4)
        >>> loop.tell(asked, ["even" if place % 2 == 0 else "odd" for place in asked])
        >>> loop.num_labelled
        4
    """

    def __init__(
        self,
        features: Float[Tensor, "images features"],
        *,
        strategy: StrategyName = "margin",
        first: StrategyName = "random",
        classes: Sequence[str] = (),
        policy: Policy = "remove",
        seed: int = 0,
    ) -> None:
        if not features.numel() or not bool(features.isfinite().all()):
            raise ValueError(f"Expected finite features of one image or more, but got {tuple(features.shape)}.")
        for name in (strategy, first):
            if name not in STRATEGIES:
                raise ValueError(f"Expected a strategy among {', '.join(STRATEGIES)}, but got '{name}'.")
        self._features_ND = features
        self._strategy: StrategyName = strategy
        self._first: StrategyName = first
        self._policy: Policy = policy
        self._seed, self._given = seed, tuple(classes)
        self._ledger = Ledger(len(features))
        self._waiting: dict[int, Question] = {}
        self._asked: dict[int, Question] = {}
        _check_spelling(self._given)

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes that are known: those given, and others as they were met."""
        return self._classes_of(self._ledger)

    @property
    def given_classes(self) -> tuple[str, ...]:
        """Classes that were known beforehand."""
        return self._given

    def _classes_of(self, ledger: Ledger) -> tuple[str, ...]:
        met = (answer.label for answer in ledger.answers if answer.label is not None)
        return tuple(dict.fromkeys([*self._given, *met]))

    @property
    def num_labelled(self) -> int:
        """Images whose class is known."""
        return len(self._ledger.labels())

    @property
    def num_left(self) -> int:
        """Images that may still be asked about, those that wait for an answer included."""
        return len(self._ledger.pool(self._policy))

    @property
    def answers(self) -> tuple[Answer, ...]:
        """All answers, in the order in which they came."""
        return self._ledger.answers

    @property
    def waiting(self) -> tuple[Question, ...]:
        """Questions without an answer, in the order in which they were chosen."""
        return tuple(self._waiting.values())

    @property
    def asked(self) -> Mapping[int, Question]:
        """All questions so far, by place, those that have an answer included."""
        return MappingProxyType(self._asked)

    def ask(self, num: int) -> list[int]:
        """Chooses images to ask about; those that wait for an answer come first, so that nothing is chosen twice.

        Args:
            num: How many; fewer come back if no more are left.

        Raises:
            QueryError: If `num` is not positive, or nothing is left to ask about.
        """
        if num < 1:
            raise QueryError(f"Expected at least one image to ask for, but got {num}.")
        pool = [place for place in self._ledger.pool(self._policy) if place not in self._waiting]
        if not pool and not self._waiting:
            raise QueryError("Expected images to ask about, but every one has its answer.")
        wanted = num - len(self._waiting)
        if wanted > 0 and pool:
            self._choose(torch.tensor(pool), wanted)
        return [question.place for question in self.waiting[:num]]

    def _choose(self, pool_P: Int64[Tensor, " pool"], num: int) -> None:
        number = self._ledger.num_rounds + 1
        labelled, classes = self._labelled(), self.classes
        knows_two = len(labelled.labels_L.unique()) > 1
        strategy = STRATEGIES[self._strategy if knows_two else self._first]
        recipe = FrozenFeatures(self._features_ND, self._features_ND[:1], max(len(classes), 1))
        purpose = f"round {number}, {len(self._ledger.answers)} answers, {len(self._waiting)} waiting"
        fitted = recipe.fit(labelled, generator(self._seed, f"training, {purpose}"))
        views = fitted.views(pool_P, generator(self._seed, f"views, {purpose}"), strategy.needs)
        query = strategy.query(views, num, generator(self._seed, f"choosing, {purpose}"))
        for place, score in zip(pool_P[query.indices_B].tolist(), query.scores_B.tolist(), strict=True):
            self._waiting[place] = Question(place, number, f"{strategy.title}: {score:.4g}")
        self._asked |= self._waiting

    def tell(
        self,
        places: Sequence[int],
        answers: Sequence[str],
        *,
        annotator: str = "",
        costs: Sequence[float] | None = None,
        correct: bool = False,
    ) -> None:
        """Takes answers in, all or, if one of them is refused, none.

        Args:
            places: Of images, whether they were asked about or not.
            answers: A class of each, `NOT_OURS` or `UNSURE`.
            annotator: Who answers; several may answer on one image, and most of those who are sure decide.
            costs: What each cost, 1 if absent.
            correct: Whether they stand in place of what the same annotator said of these images before.

        Raises:
            AnswerError: If there are not as many answers as places, a place is of no image, an annotator says two things of one
                image, or a class differs from a known one in case alone.
        """
        if len(places) != len(answers) or (costs is not None and len(costs) != len(places)):
            raise AnswerError(f"Expected an answer for each of {len(places)} images, but got {len(answers)}.")
        new = [
            self._answer(place, text, annotator, 1.0 if costs is None else float(costs[at]))
            for at, (place, text) in enumerate(zip(places, answers, strict=True))
        ]
        ledger = self._ledger.without(places, annotator) if correct else self._ledger
        _check_spelling([*self._classes_of(ledger), *(answer.label for answer in new if answer.label is not None)])
        self._ledger = ledger.told(new)
        self._waiting = {place: own for place, own in self._waiting.items() if place not in set(places)}

    def take_back(self, places: Sequence[int], *, annotator: str = "") -> None:
        """Forgets what an annotator said of images; those that were asked about wait for an answer again, before others.

        Raises:
            AnswerError: If the annotator has said nothing of one of them.
        """
        said = {answer.place for answer in self._ledger.answers if answer.annotator == annotator}
        if unsaid := [place for place in places if place not in said]:
            raise AnswerError(f"Expected images that have an answer to take back, but {unsaid[0]} has none.")
        self._ledger = self._ledger.without(places, annotator)
        again = {place: self._asked[place] for place in places if place in self._asked}
        self._waiting = again | {place: own for place, own in self._waiting.items() if place not in again}

    def _answer(self, place: int, text: str, annotator: str, cost: float) -> Answer:
        number = self._waiting[place].round if place in self._waiting else self._round_of(place, annotator)
        if text == NOT_OURS:
            return Answer(place=place, kind="rejected", annotator=annotator, round=number, cost=cost)
        if text == UNSURE:
            return Answer(place=place, kind="unsure", annotator=annotator, round=number, cost=cost)
        if not text.strip():
            raise AnswerError(f"Expected a class, `NOT_OURS` or `UNSURE` of image {place}, but got nothing.")
        label = text.strip()
        kind = "label" if not self._given or label in self._given else "new class"
        return Answer(place=place, kind=kind, label=label, annotator=annotator, round=number, cost=cost)

    def _round_of(self, place: int, annotator: str) -> int:
        """The round in which this annotator answered on an image before, or the last one."""
        own = [
            answer.round for answer in self._ledger.answers if (answer.place, answer.annotator) == (place, annotator)
        ]
        return own[-1] if own else self._ledger.num_rounds

    def predict(self, features: Float[Tensor, "images features"] | None = None) -> Prediction:
        """Says what images are, those of the loop if no others are given.

        Raises:
            QueryError: If nothing is labelled yet.
        """
        return predicted(self.head(), self.classes, self._features_ND if features is None else features)

    def head(self) -> RidgeHead:
        """The head that predictions come from, solved for all labels so far.

        Raises:
            QueryError: If nothing is labelled yet.
        """
        labelled = self._labelled()
        if not len(labelled.labels_L):
            raise QueryError("Expected answers to learn from, but there are none yet.")
        return fit_ridge_head(self._features_ND[labelled.places_L], labelled.labels_L, len(self.classes))

    def _labelled(self) -> Labelled:
        labels, numbers = self._ledger.labels(), {name: number for number, name in enumerate(self.classes)}
        places = sorted(labels)
        return Labelled(
            torch.tensor(places, dtype=torch.int64),
            torch.tensor([numbers[labels[place]] for place in places], dtype=torch.int64),
            torch.tensor(sorted(self._ledger.rejected()), dtype=torch.int64),
        )

    def labels(self) -> Mapping[int, str]:
        """Classes of labelled images, by place."""
        return self._ledger.labels()

    def rejected(self) -> list[int]:
        """Places of images that are none of ours."""
        return self._ledger.rejected()

    def save(self, path: str | Path) -> None:
        """Writes answers and waiting questions as JSON, in one step: who kills it keeps the file as it was."""
        kept = {
            "format": _FORMAT,
            "num_images": len(self._features_ND),
            "classes": list(self._given),
            "answers": [
                {
                    "place": answer.place,
                    "kind": answer.kind,
                    "label": answer.label,
                    "annotator": answer.annotator,
                    "round": answer.round,
                    "cost": answer.cost,
                }
                for answer in self._ledger.answers
            ],
            "asked": [question._asdict() for question in self._asked.values()],
            "waiting": [question.place for question in self.waiting],
        }
        write_atomically(Path(path), json.dumps(kept, indent=1, ensure_ascii=False).encode())

    def restore(self, path: str | Path) -> None:
        """Goes on from a file that `save` wrote, of the same images.

        Raises:
            FileError: If it cannot be read, is of another number of images, or holds what no loop wrote; nothing changes.
        """
        try:
            kept = json.loads(Path(path).read_text("utf-8"))
            if (kept["format"], kept["num_images"]) != (_FORMAT, len(self._features_ND)):
                raise FileError(
                    f"Expected answers on {len(self._features_ND)} images in {path}, but got {kept['num_images']} (format "
                    f"{kept['format']})."
                )
            ledger = Ledger(len(self._features_ND)).told(Answer(**answer) for answer in kept["answers"])
            asked = {own["place"]: Question(**own) for own in kept["asked"]}
            waiting = {place: asked[place] for place in kept["waiting"]}
            given = tuple(kept["classes"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FileError(f"Expected answers of a loop in {path}, but it cannot be read: {error}") from error
        self._ledger, self._asked, self._waiting, self._given = ledger, asked, waiting, given


def predicted(head: RidgeHead, classes: tuple[str, ...], features_ND: Float[Tensor, "images features"]) -> Prediction:
    """What a head takes images for."""
    sure_N, said_N = head.probabilities(features_ND).max(1)
    return Prediction([classes[label] for label in said_N.tolist()], sure_N.float())


def _check_spelling(classes: Sequence[str]) -> None:
    """Raises if two classes differ in case or surrounding spaces alone."""
    spelled: dict[str, str] = {}
    for name in classes:
        plain = spelled.setdefault(name.strip().casefold(), name)
        if plain != name:
            raise AnswerError(f"Expected one spelling of a class, but got '{plain}' and '{name}'.")
