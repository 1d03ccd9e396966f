"""Oracles that know the labels: one that is right, and one that errs. A person is one too, by `systems.active.loop`."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int64
from torch import Tensor

from hyperlearning.acquisition.answers import Answer, Kind

NONE_OF_OURS = -1
"""The label of an image that is none of ours."""


@runtime_checkable
class Oracle(Protocol):
    """Whoever answers."""

    def answer(self, places: Sequence[int], round_number: int) -> Sequence[Answer]:
        """Answers on the images at these places, on each once or, where several annotators do, more than once."""
        ...


class TrueOracle:
    """Says what images are.

    Args:
        labels_N: Classes of all images, `NONE_OF_OURS` for those of other kinds.
        costs: What answers of each kind cost, 1 where absent.
    """

    def __init__(self, labels_N: Int64[Tensor, " images"], *, costs: Mapping[Kind, float] | None = None) -> None:
        self._labels_N, self._costs = labels_N, dict(costs or {})

    def answer(self, places: Sequence[int], round_number: int) -> list[Answer]:
        """Says what the images at these places are."""
        return [self._one(place, int(self._labels_N[place]), round_number) for place in places]

    def _one(self, place: int, label: int, round_number: int) -> Answer:
        kind: Kind = "rejected" if label == NONE_OF_OURS else "label"
        return Answer(
            place=place,
            kind=kind,
            label=None if kind == "rejected" else str(label),
            round=round_number,
            cost=self._costs.get(kind, 1.0),
        )


def noisy_labels(
    labels_N: Int64[Tensor, " images"],
    share: float,
    source: torch.Generator,
    *,
    groups_C: Int64[Tensor, " classes"] | None = None,
) -> Int64[Tensor, " images"]:
    """Mislabels a share of images, each as another class of its group, as experts do who know the kind and not the species.

    Drawn once, the noise is the oracle's for good; drawn every round, as in the authors' code, it falls on all labels anew.

    Args:
        labels_N: True classes; images that are none of ours stay so.
        share: Of the others; a class that is alone in its group is never mistaken.
        source: Of chance.
        groups_C: The group of every class; all classes are one group if absent.

    Source: dissertation, section 3.4.3, "Noisy Oracle".
    """
    if not 0 <= share <= 1:
        raise ValueError(f"Expected `share` from 0 to 1, but got {share}.")
    num_classes = int(labels_N.max()) + 1 if groups_C is None else len(groups_C)
    groups_C = torch.zeros(num_classes, dtype=torch.int64) if groups_C is None else groups_C
    others_CC = ((groups_C[:, None] == groups_C) & ~torch.eye(num_classes, dtype=torch.bool)).double()
    may_err_N = (labels_N >= 0) & (others_CC.sum(1) > 0)[labels_N.clamp(min=0)]
    places = may_err_N.nonzero()[:, 0]
    wrong = places[torch.randperm(len(places), generator=source)[: round(share * int((labels_N >= 0).sum()))]]
    noisy_N = labels_N.clone()
    if len(wrong):
        noisy_N[wrong] = others_CC[labels_N[wrong]].multinomial(1, generator=source)[:, 0]
    return noisy_N


def first_labelled(
    labels_N: Int64[Tensor, " images"],
    num: int,
    source: torch.Generator,
    *,
    missing: Sequence[int] = (),
) -> list[int]:
    """Draws the images that are labelled at the start: of ours alone, and none of the classes that are missing then.

    Args:
        labels_N: True classes of all images.
        num: How many.
        source: Of chance.
        missing: Classes of which none is labelled at first (dissertation, section 3.4.3, "Biased Initial Pool").

    Raises:
        ValueError: If there are not as many.
    """
    allowed_N = (labels_N >= 0) & ~torch.isin(labels_N, torch.tensor(list(missing), dtype=torch.int64))
    places = allowed_N.nonzero()[:, 0]
    if num > len(places):
        raise ValueError(f"Expected at most {len(places)} images to begin with, but got {num}.")
    return places[torch.randperm(len(places), generator=source)[:num]].tolist()
