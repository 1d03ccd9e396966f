"""Active learning by hand: ask for a few images, be told what they are, ask again.

Everything follows from the answers, the seed and the images, in this order; a loop is saved as its answers and the questions that
wait for one, and goes on anywhere to the same questions.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from hyperlearning.acquisition.answers import Answer, Ledger, Policy, purity
from hyperlearning.acquisition.open_set import among_ours
from hyperlearning.acquisition.oracles import Oracle
from hyperlearning.acquisition.strategies import STRATEGIES, StrategyName
from hyperlearning.core.atomic_files import write_atomically
from hyperlearning.core.errors import AnswerError, FileError, QueryError
from hyperlearning.core.seeding import generator
from hyperlearning.learners.ridge_head import RidgeHead, fit_ridge_head
from hyperlearning.systems.active.embedders import EMBEDDERS, FeatureKind, to_its_end
from hyperlearning.systems.active.features import Embedder
from hyperlearning.systems.active.questions import (
    NOT_OURS,
    UNSURE,
    AskedRound,
    Prediction,
    Question,
    as_told,
    check_spelling,
    check_strategies,
    predicted,
)
from hyperlearning.systems.active.recipes import FrozenFeatures, Labelled, with_rejected

_FORMAT = 1


Answers = Callable[[list[int]], Sequence[str]]
"""An oracle of one's own: places of images, and of each a class, `NOT_OURS` or `UNSURE`."""
Given = Float[Tensor, "images features"] | Float[Tensor, "images channels side side"]


class ActiveLoop:
    """Chooses images to ask about, and learns from the answers with a solved head on fixed features.

    Args:
        images: (N, C, S, S), images, of which features are found; or (N, D), features of them from a network of your own.
        strategy: What chooses; one of `hl.STRATEGIES`.
        first: What chooses before two classes are known; one that needs no label.
        oracle: Who answers when `run` asks: an oracle of `hyperlearning.acquisition.oracles`, or a function of places.
        classes: Classes that are known beforehand; others are met as they come.
        policy: What becomes of images that are none of ours.
        features: Of images, what is learned on, as in `hl.folder_features`: `pixels` if absent, or `learned`, in minutes.
        learns_rejects: Whether images that are none of ours are learned as a class of their own, `NOT_OURS`: predictions may be
            it, and questions are about what is surest to be ours.
        balanced: Whether every class of ours counts the same to the head, however many labels it has.
        seed: Of chance.

    Raises:
        ValueError: If there are no images, a number of theirs is none, there is no such strategy, or it lacks what it looks at.

    Example:
        >>> loop = ActiveLoop(torch.eye(6), strategy="margin", first="random")
        >>> asked = loop.ask(4)
        >>> loop.tell(asked, ["even" if place % 2 == 0 else "odd" for place in asked])
        >>> loop.num_labelled
        4
    """

    def __init__(
        self,
        images: Given,
        *,
        strategy: StrategyName = "margin",
        first: StrategyName = "random",
        oracle: Oracle | Answers | None = None,
        classes: Sequence[str] = (),
        policy: Policy = "remove",
        features: FeatureKind | None = None,
        learns_rejects: bool = True,
        balanced: bool = True,
        seed: int = 0,
    ) -> None:
        check_strategies(strategy, first, learns_rejects=learns_rejects)
        self._embedder = _embedder(images, features, seed)
        self._shape = images.shape[1:]
        self._features_ND = self._embedded(images)
        self._strategy: StrategyName = strategy
        self._first: StrategyName = first
        self._oracle = oracle
        self._policy: Policy = policy
        self._learns_rejects, self._balanced = learns_rejects, balanced
        self._seed, self._given = seed, tuple(classes)
        self._ledger = Ledger(len(images))
        self._waiting: dict[int, Question] = {}
        self._asked: dict[int, Question] = {}
        check_spelling(self._given)

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
    def spent(self) -> float:
        """What all answers cost, whatever they say."""
        return self._ledger.spent

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
        if self._learns_rejects and len(labelled.rejected_R) and len(labelled.labels_L):
            strategy = among_ours(strategy)
        recipe = FrozenFeatures(
            self._features_ND,
            self._features_ND[:1],
            max(len(classes), 1),
            reject=self._learns_rejects,
            balanced=self._balanced,
        )
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
        self._take(new, self._ledger.without(places, annotator) if correct else self._ledger)

    def _take(self, new: Sequence[Answer], ledger: Ledger) -> None:
        """Adds answers to a ledger, which takes the place of the one so far."""
        check_spelling([*self._classes_of(ledger), *(answer.label for answer in new if answer.label is not None)])
        self._ledger = ledger.told(new)
        answered = {answer.place for answer in new}
        self._waiting = {place: own for place, own in self._waiting.items() if place not in answered}

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

    def run(
        self, *, budget: int, batch: int = 20, tests: tuple[Given, Sequence[str]] | None = None
    ) -> list[AskedRound]:
        """Asks the oracle round after round, until the budget is spent or nothing is left to ask about.

        Args:
            budget: What all answers may cost, those included that were given before: 1 each, whatever they say, unless the oracle
                says otherwise; where they cost more, the last round may go beyond it.
            batch: Questions of a round.
            tests: What accuracy is measured on: images or features, as the loop has them, and the class of each, or `NOT_OURS`.

        Returns:
            What was known after each round; all that the oracle said is in the loop, also if it stops in the middle.

        Raises:
            AnswerError: If the oracle leaves a question open, or an answer cannot be taken.
            QueryError: If answers cost nothing and no end is near: images that return to be asked about for ever.
            ValueError: If the loop has no oracle, or there are not as many tests as classes of them.
        """
        if self._oracle is None:
            raise ValueError(
                "Expected an `oracle` to ask, but this loop has none: give it one, or use `ask` and `tell`."
            )
        if tests is not None and len(tests[0]) != len(tests[1]):
            raise ValueError(f"Expected a class of each of {len(tests[0])} tests, but got {len(tests[1])}.")
        rounds, num_free = list[AskedRound](), 0
        while (left := budget - self.spent) > 0 and self.num_left:
            before = len(self.answers)
            self._ask_oracle(self._oracle, self.ask(min(batch, max(int(left), 1))))
            new = self.answers[before:]
            num_free = num_free + len(new) if budget - self.spent == left else 0
            if num_free > len(self._features_ND):
                raise QueryError(
                    f"Expected answers that spend the budget, but {num_free:,} in a row, more than all images, cost nothing."
                )
            known = self._ledger.num_rounds, len(self.answers), self.spent, self.num_labelled, len(self.classes)
            rounds.append(AskedRound(*known, purity(new), self._accuracy(tests)))
        return rounds

    def _ask_oracle(self, oracle: Oracle | Answers, places: list[int]) -> None:
        if not isinstance(oracle, Oracle):
            self.tell(places, oracle(places))
            return
        said = oracle.answer(places, max(self._waiting[place].round for place in places))
        if open_ones := set(places).difference(own.place for own in said):
            raise AnswerError(f"Expected an answer for each of {len(places)} images, but {min(open_ones)} has none.")
        self._take([self._answer(own.place, as_told(own), own.annotator, own.cost) for own in said], self._ledger)

    def _accuracy(self, tests: tuple[Given, Sequence[str]] | None) -> float | None:
        if tests is None or not self.num_labelled:
            return None
        said = self.predict(tests[0]).labels
        return sum(own == str(true) for own, true in zip(said, tests[1], strict=True)) / max(len(said), 1)

    def predict(self, images: Given | None = None) -> Prediction:
        """Says what images are, those of the loop if no others are given.

        Args:
            images: Images or features, as the loop was given them.

        Raises:
            QueryError: If nothing is labelled yet.
            ValueError: If they are not as the loop's, or a number of theirs is none.
        """
        features_ND = self._features_ND if images is None else self._embedded(images)
        return predicted(self.head(), self.outcomes, features_ND)

    def _embedded(self, images: Given) -> Float[Tensor, "images features"]:
        if images.shape[1:] != self._shape or not bool(images.isfinite().all()):
            raise ValueError(
                f"Expected finite images or features as the loop has, {tuple(self._shape)} each, but got {tuple(images.shape)}."
            )
        return images if self._embedder is None else self._embedder(images)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """What predictions may be: known classes, then `NOT_OURS` where it is learned and something was rejected."""
        learned = self._learns_rejects and self.rejected()
        return (*self.classes, NOT_OURS) if learned else self.classes

    def head(self) -> RidgeHead:
        """The head that predictions come from, solved for all labels so far; it has an output for each of `outcomes`.

        Raises:
            QueryError: If nothing is labelled yet.
        """
        labelled, outcomes = self._labelled(), self.outcomes
        others = len(outcomes) - len(self.classes)
        places, labels = labelled.places_L, labelled.labels_L
        if not len(labels):
            raise QueryError("Expected answers to learn from, but there are none yet.")
        if others:
            places, labels = with_rejected(labelled, len(self.classes))
        return fit_ridge_head(
            self._features_ND[places], labels, len(outcomes), balanced=self._balanced, num_others=others
        )

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


def _embedder(images: Given, kind: FeatureKind | None, seed: int) -> Embedder | None:
    """What turns images into features; nothing, if they are features."""
    if not images.numel() or not bool(images.isfinite().all()):
        raise ValueError(f"Expected finite features, or pixels, of one image or more, but got {tuple(images.shape)}.")
    if images.ndim == 4:
        return EMBEDDERS[kind or "pixels"].learn(images, seed, to_its_end)
    if kind is not None:
        raise ValueError(
            f"Expected images (N, C, S, S) to find `features` of, but got {tuple(images.shape)} and '{kind}'."
        )
    return None
