"""Long meta-tests of any embedding: hundreds of classes in a row, one image at a time, and prototypes beside it.

A head is what learns on fixed features. Features are computed once; the innate part of the heads (means and spreads of
features) comes from meta-train classes alone.

Shape suffixes: K classes, n images, F features.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from rich.console import Console
from torch import Tensor
from torch.nn.functional import normalize

from hyperlearning.core.seeding import generator
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.streams.trajectories import (
    NUM_CLASSES,
    TRAIN_IMAGES,
    MetaTestRuns,
    draw_meta_test,
    shuffled_runs,
)
from hyperlearning.systems.trajectories.build import Embed
from hyperlearning.systems.trajectories.characters import Characters
from hyperlearning.systems.trajectories.meta_test import (
    Accuracy,
    ClassFeatures,
    Protocol,
    Selection,
    choose_lr,
    class_features,
    meta_test,
    prototypes,
)

HeadName = Literal["last_layer", "joint", "unit_layer", "euclidean", "cosine", "whitened"]

HEADS: dict[str, str] = {
    "last_layer": "last layer, one by one",
    "joint": "last layer, shuffled (oracle)",
    "unit_layer": "cosine layer on whitened features, one by one",
    "euclidean": "prototypes",
    "cosine": "prototypes, cosine",
    "whitened": "prototypes, whitened cosine",
}

_WHITENED: frozenset[HeadName] = frozenset({"unit_layer", "whitened"})


@dataclass(frozen=True, kw_only=True)
class LongTestSettings:
    """The meta-test."""

    test_classes: tuple[int, ...] = NUM_CLASSES
    """Classes of a run, one curve point each."""
    num_runs: int = 20
    """Runs of every point (published: 50)."""
    lrs: tuple[float, ...] = (0.003, 0.001, 0.0003, 0.0001)
    """Rates of Adam to choose from, for every head and number of classes anew."""
    sgd_lrs: tuple[float, ...] = (0.0003, 0.001, 0.003, 0.01)
    """Rates of SGD to choose from for the cosine layer, which begins at 0."""
    lr_by: Selection = "meta-train classes"
    """What the rate is chosen by: held-out images of meta-train classes, or training accuracy on the test's classes."""
    lr_runs: int = 2
    """Runs of each rate that it is chosen by; other runs than those reported."""
    shrinkages: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    """How far whitening leaves directions as they are, to choose from by the rule of the rates: near 0 each gets the same
    spread, with 1 none is changed."""

    def __post_init__(self) -> None:
        """Checks sizes."""
        rates = (min(self.lrs, default=0), min(self.sgd_lrs, default=0))
        if not self.test_classes or not min(rates) > 0 or self.num_runs < 2 or self.lr_runs < 1:
            raise ValueError(
                "Expected some `test_classes`, some positive `lrs` and `sgd_lrs`, 2 or more `num_runs` and 1 or more `lr_runs`, "
                f"but got {self.test_classes}, {self.lrs}, {self.sgd_lrs}, {self.num_runs} and {self.lr_runs}."
            )
        if not self.shrinkages or not all(0 < shrinkage <= 1 for shrinkage in self.shrinkages):
            raise ValueError(f"Expected some `shrinkages` above 0 and up to 1, but got {self.shrinkages}.")

    def check(self, *, meta_train: int, meta_test: int) -> None:
        """Refuses more classes than the splits have.

        Args:
            meta_train: Classes that rates may be chosen on.
            meta_test: Classes that are reported.

        Raises:
            ValueError: If a run asks for more.
        """
        most, available = max(self.test_classes), meta_test
        if self.lr_by == "meta-train classes":
            available = min(meta_train, meta_test)
        if most > available or min(self.test_classes) < 2:
            raise ValueError(
                f"Expected `test_classes` from 2 to {available}, the classes of the split, but got {self.test_classes}."
            )


class Splits(NamedTuple):
    """Characters, upright.

    Attributes:
        meta_train: Background classes.
        meta_test: Evaluation classes.
    """

    meta_train: Characters
    meta_test: Characters


class SplitFeatures(NamedTuple):
    """Features of both splits."""

    meta_train: ClassFeatures
    meta_test: ClassFeatures


def test_embedding(
    record: RunRecord,
    embed: Embed,
    splits: Splits,
    settings: LongTestSettings,
    console: Console,
    *,
    label: str,
    title: str,
    order: str,
    heads: tuple[HeadName, ...],
    seed: int,
) -> None:
    """Tests an embedding with every head at every number of classes; what the record has is not done again.

    All embeddings and heads meet the same runs. The record gets a line `test` for each head and number of classes.

    Args:
        record: The run's record.
        embed: The embedding.
        splits: Characters.
        settings: The test.
        console: Where progress is shown.
        label: The embedding's short name.
        title: What a figure calls it.
        order: The order of the gradient that it was trained with, in words.
        heads: What learns on it.
        seed: Of runs and first weights.
    """
    done = {(line["head"], line["num_classes"]) for line in record.lines("test") if line["embedding"] == label}
    missing: list[tuple[HeadName, int]] = [
        (head, count) for head in heads for count in settings.test_classes if (head, count) not in done
    ]
    if not missing:
        return
    plain = SplitFeatures(
        class_features(embed, splits.meta_train, split="meta-train"),
        class_features(embed, splits.meta_test, split="meta-test"),
    )
    shrinkage, white = 1.0, plain
    if any(head in _WHITENED for head, _ in missing):
        shrinkage = _best_shrinkage(plain, settings, seed)
        white = whitened(plain, shrinkage)
    total = sum(count for _, count in missing)
    with reporting(console, title, total, "classes") as report:
        seen = 0
        for head, count in missing:
            features = white if head in _WHITENED else plain
            accuracy, facts = _test(head, features, count, settings, seed)
            facts |= {"shrinkage": shrinkage} if head in _WHITENED else {}
            record.append(
                "test",
                embedding=label,
                title=title,
                order=order,
                head=head,
                num_classes=count,
                num_runs=settings.num_runs,
                num_features=plain.meta_test.train.shape[-1],
                scores={name: _rounded(values) for name, values in accuracy._asdict().items()},
                **facts,
            )
            seen += count
            report(seen, f"{HEADS[head]}, {count} classes: {float(accuracy.held_out.mean()):.3f}")


def whitened(features: SplitFeatures, shrinkage: float) -> SplitFeatures:
    """Centres and whitens features by the spread within meta-train classes, and scales each to the length sqrt(F).

    The spread is `S = 1/N sum_i (f_i - m_c(i)) (f_i - m_c(i))'` with m_c the class means, shrunk towards a sphere:
    `(1 - a) S + a tr(S)/F I`. A feature becomes `sqrt(F) g / |g|` with `g = S^(-1/2) (f - m)`, m the mean of all. All of it
    is innate: nothing of it is of the classes tested.

    Args:
        features: Features of both splits.
        shrinkage: The share a of the sphere, above 0: the spread has directions of next to none.
    """
    train = torch.cat((features.meta_train.train, features.meta_train.held_out), dim=1).double()
    mean_F = train.mean((0, 1))
    within = (train - train.mean(1, keepdim=True)).flatten(0, 1)
    spread_FF = within.T @ within / len(within)
    ball = torch.eye(len(mean_F), dtype=torch.float64) * spread_FF.diagonal().mean()
    values, vectors = torch.linalg.eigh((1 - shrinkage) * spread_FF + shrinkage * ball)
    root = (vectors / values.clamp(min=1e-12).sqrt()) @ vectors.T

    def changed(some: Float[Tensor, "K n F"]) -> Float[Tensor, "K n F"]:
        return (normalize((some.double() - mean_F) @ root, dim=-1) * len(mean_F) ** 0.5).float()

    return SplitFeatures(
        *(replace(part, train=changed(part.train), held_out=changed(part.held_out)) for part in features)
    )


def _best_shrinkage(features: SplitFeatures, settings: LongTestSettings, seed: int) -> float:
    """Chooses by prototypes at the most classes of a test: held-out accuracy on meta-train classes, or training accuracy."""
    by_meta_train = settings.lr_by == "meta-train classes"
    judged = features.meta_train if by_meta_train else features.meta_test
    count = min(max(settings.test_classes), len(judged.train))
    runs = _runs(judged, count, settings.lr_runs, seed, "shrinkages")

    def score(shrinkage: float) -> float:
        white = whitened(features, shrinkage)
        accuracy = prototypes(white.meta_train if by_meta_train else white.meta_test, runs, metric="cosine")
        return float((accuracy.held_out if by_meta_train else accuracy.memory).mean())

    return max(settings.shrinkages, key=score)


def _test(
    head: HeadName, features: SplitFeatures, count: int, settings: LongTestSettings, seed: int
) -> tuple[Accuracy, dict[str, Any]]:
    runs = _runs(features.meta_test, count, settings.num_runs, seed, "meta-test")
    if head in ("euclidean", "cosine", "whitened"):
        accuracy = prototypes(features.meta_test, runs, metric="euclidean" if head == "euclidean" else "cosine")
        return accuracy, {"lr": None, "lr_rule": "none to choose"}
    protocol = Protocol(optimizer="sgd", zero_start=True, cosine=True) if head == "unit_layer" else Protocol()
    mixed = (
        (lambda some: shuffled_runs(some, generator(seed, "joint order"))) if head == "joint" else (lambda some: some)
    )
    judged = features.meta_train if settings.lr_by == "meta-train classes" else features.meta_test
    chosen = choose_lr(
        settings.sgd_lrs if head == "unit_layer" else settings.lrs,
        judged,
        mixed(_runs(judged, count, settings.lr_runs, seed, "rates")),
        generator(seed, f"layers for rates, {count}"),
        by=settings.lr_by,
        protocol=protocol,
    )
    accuracy = meta_test(
        features.meta_test,
        mixed(runs),
        generator(seed, f"layers, {count}"),
        lr=chosen.lr,
        protocol=protocol,
    )
    return accuracy, {
        "lr": chosen.lr,
        "optimizer": protocol.optimizer,
        "lr_rule": chosen.how,
        "lr_scores": [round(s, 5) for s in chosen.scores],
    }


def _runs(features: ClassFeatures, count: int, num_runs: int, seed: int, purpose: str) -> MetaTestRuns:
    return draw_meta_test(
        len(features.train),
        count,
        generator(seed, f"{purpose}, {count} classes"),
        num_runs=num_runs,
        train_images=TRAIN_IMAGES,
    )


def _rounded(values: Tensor) -> list[float]:
    return [round(value, 5) for value in values.tolist()]
