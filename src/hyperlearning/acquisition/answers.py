"""What oracles answer, what follows from all answers so far, and what they cost.

An answer is never changed: what is labelled, rejected and left to ask follows from the list of them, which is all that a
loop keeps.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from hyperlearning.core.errors import AnswerError

Kind = Literal["label", "new class", "rejected", "unsure"]
"""A class that is known; a class of ours that is not known yet; none of ours; no answer."""
Policy = Literal["return", "remove", "remove last"]
"""What becomes of rejected images: all go back to the pool (text), none does, or all but those of the last round (code)."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What somebody says of an image.

    Attributes:
        place: The image's place among all.
        kind: What is said.
        label: The class, of `label` alone; the name of the class, of `new class`.
        annotator: Who says it.
        round: In which round it was asked for, from 1; 0 for what was known from the start.
        cost: What it cost.
    """

    place: int
    kind: Kind
    label: str | None = None
    annotator: str = ""
    round: int = 0
    cost: float = 1.0

    def __post_init__(self) -> None:
        if (self.label is not None) != (self.kind in ("label", "new class")):
            raise AnswerError(f"Expected a class with a label or a new class alone, but got {self.kind} {self.label}.")


class Verdict(NamedTuple):
    """What all answers on an image come to.

    Attributes:
        kind: What most annotators say who are sure; `unsure` where none is, or as many say one thing as another.
        label: The class, if it is one.
        last_round: When the image was asked for last.
    """

    kind: Kind
    label: str | None
    last_round: int


@dataclass(frozen=True)
class Ledger:
    """All answers so far.

    Attributes:
        num_images: Images that there are.
        answers: In the order in which they came.
    """

    num_images: int
    answers: tuple[Answer, ...] = ()
    _by_place: Mapping[int, tuple[Answer, ...]] = field(default_factory=dict, repr=False, compare=False)

    def told(self, new: Iterable[Answer]) -> "Ledger":
        """A ledger with further answers. Those that it has already are left out; of those which differ, none is taken.

        Raises:
            AnswerError: If an answer is on no image, or an annotator says another thing of an image in the same round.
        """
        by_place, taken = dict(self._by_place), list(self.answers)
        for answer in new:
            if not 0 <= answer.place < self.num_images:
                raise AnswerError(
                    f"Expected an answer on an image from 0 to {self.num_images - 1}, but got {answer.place}."
                )
            known = by_place.get(answer.place, ())
            same = [own for own in known if (own.annotator, own.round) == (answer.annotator, answer.round)]
            if any((own.kind, own.label) != (answer.kind, answer.label) for own in same):
                raise AnswerError(
                    f"Expected one answer on image {answer.place}, but got {_said(same[0])} and {_said(answer)}"
                    f"{f' from {answer.annotator}' if answer.annotator else ''}."
                )
            if not same:
                by_place[answer.place] = (*known, answer)
                taken.append(answer)
        return Ledger(self.num_images, tuple(taken), by_place)

    def without(self, places: Iterable[int], annotator: str) -> "Ledger":
        """A ledger in which this annotator has said nothing of the images at these places."""
        gone = set(places)
        kept = [own for own in self.answers if own.place not in gone or own.annotator != annotator]
        return Ledger(self.num_images).told(kept)

    @property
    def spent(self) -> float:
        """What all answers cost, whatever they say."""
        return float(sum(answer.cost for answer in self.answers))

    @property
    def num_rounds(self) -> int:
        """The last round that has an answer."""
        return max((answer.round for answer in self.answers), default=0)

    def verdicts(self) -> dict[int, Verdict]:
        """What is known of every image that was asked for."""
        return {place: _verdict(answers) for place, answers in self._by_place.items()}

    def labels(self) -> dict[int, str]:
        """Classes of the labelled images, by place."""
        return {place: own.label for place, own in self.verdicts().items() if own.label is not None}

    def rejected(self) -> list[int]:
        """Places of images that are none of ours."""
        return [place for place, own in self.verdicts().items() if own.kind == "rejected"]

    def pool(self, policy: Policy = "remove") -> list[int]:
        """Places of images that may be asked for: neither labelled nor answered "unsure", nor rejected, as the policy has it."""
        last = self.num_rounds
        known = self.verdicts()

        def may_be_asked(place: int) -> bool:
            own = known.get(place)
            if own is None:
                return True
            returns = policy == "return" or (policy == "remove last" and own.last_round < last)
            return own.kind == "rejected" and returns

        return [place for place in range(self.num_images) if may_be_asked(place)]


def purity(answers: Sequence[Answer]) -> float:
    """The share of answers that are not "not one of ours"; 1 of none."""
    return sum(answer.kind != "rejected" for answer in answers) / len(answers) if answers else 1.0


def _verdict(answers: tuple[Answer, ...]) -> Verdict:
    last_round = max(answer.round for answer in answers)
    votes: Counter[tuple[Kind, str | None]] = Counter(
        (answer.kind, answer.label) for answer in answers if answer.kind != "unsure"
    )
    if not votes or len({count for _, count in votes.most_common(2)}) < min(len(votes), 2):
        return Verdict("unsure", None, last_round)
    ((kind, label), _) = votes.most_common(1)[0]
    return Verdict(kind, label, last_round)


def _said(answer: Answer) -> str:
    return answer.kind if answer.label is None else f"{answer.kind} {answer.label}"
