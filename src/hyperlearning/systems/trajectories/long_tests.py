"""Long meta-tests of any embedding: hundreds of classes in a row, one image at a time, and class means beside it.

A head is what learns on fixed features. Features are computed once; the innate part of the heads (means and spreads of
features) comes from meta-train classes alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

from rich.console import Console
from torch import Tensor

from hyperlearning.core.seeding import generator
from hyperlearning.engine.progress import reporting
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.recognition import Accuracy, ClassFeatures, Metric, check_runs, nearest, prototypes
from hyperlearning.streams.trajectories import MetaTestRuns, draw_meta_test, shuffled_runs
from hyperlearning.systems.trajectories.bayes_head import Densities, densities, prior_for
from hyperlearning.systems.trajectories.build import Embedding
from hyperlearning.systems.trajectories.characters import Splits
from hyperlearning.systems.trajectories.lines import HeadName, LongTestLine, RunScores
from hyperlearning.systems.trajectories.meta_test import (
    PUBLISHED,
    ChosenRate,
    LayerRule,
    choose_lr,
    class_features,
    meta_test,
)
from hyperlearning.systems.trajectories.settings import LongTestSettings
from hyperlearning.systems.trajectories.solved_heads import (
    DISCRIMINANT,
    PROJECTED_RIDGE,
    RIDGE,
    STREAMING,
    Innate,
    Solver,
    best_choice,
    innate_of,
    projected,
    solved_test,
)
from hyperlearning.systems.trajectories.whitening import SplitFeatures, whitened


class Head(NamedTuple):
    """What learns on fixed features.

    Attributes:
        title: What tables call it.
        note: What it is, in a sentence.
        rule: How its layer learns; absent for class means and what is solved.
        metric: What the nearest class mean is nearest by.
        whitens: Whether features are whitened first.
        shuffles: Whether images come in random order and not class after class.
        solver: How its linear readout is solved, if it is.
        conjugate: Whether it is conjugate Bayes.
        reads: Whether it is a sequence model, which reads images itself.
    """

    title: str
    note: str
    rule: LayerRule | None = None
    metric: Metric = "euclidean"
    whitens: bool = False
    shuffles: bool = False
    solver: Solver | None = None
    conjugate: bool = False
    reads: bool = False

    @property
    def in_a_row(self) -> bool:
        """Whether it learns class after class by gradients, as is claimed."""
        return self.rule is not None and not self.shuffles

    @property
    def means(self) -> bool:
        """Whether it is class means, which learn nothing."""
        return self.rule is None and not self.solved and not self.reads

    @property
    def solved(self) -> bool:
        """Whether its readout is solved from what was learned, and is more than means."""
        return self.solver is not None or self.conjugate


HEADS: dict[HeadName, Head] = {
    "last_layer": Head(
        "last layer",
        "the published protocol: 1,000 outputs, drawn anew, learn by Adam, one image at a time, in one pass",
        PUBLISHED,
    ),
    "joint": Head("last layer, shuffled", "the same images in random order: the oracle", PUBLISHED, shuffles=True),
    "unit_layer": Head(
        "cosine layer",
        "on whitened features a layer that begins at 0 learns by SGD, one image at a time; its outputs compare angles",
        LayerRule(optimizer="sgd", zero_start=True, cosine=True),
        whitens=True,
    ),
    "euclidean": Head("class means", "the nearest mean of the features learned"),
    "cosine": Head("class means, cosine", "the mean at the smallest angle", metric="cosine"),
    "whitened": Head(
        "class means, whitened", "the mean at the smallest angle, of whitened features", metric="cosine", whitens=True
    ),
    "discriminant": Head(
        "linear discriminant", "class means under the covariance within meta-train classes, shrunk", solver=DISCRIMINANT
    ),
    "streaming_discriminant": Head(
        "streaming discriminant",
        "likewise, the covariance learned from the images too: exact, one image at a time, none kept",
        solver=STREAMING,
    ),
    "ridge": Head("ridge", "labels as numbers, solved by recursive least squares", solver=RIDGE),
    "projected_ridge": Head(
        "random projection and ridge", "likewise, on 2,000 random units of the features", solver=PROJECTED_RIDGE
    ),
    "conjugate_bayes": Head(
        "conjugate Bayes",
        "a Gaussian a class and feature; the prior of its mean and variance was learned with the features, or else "
        "fitted to meta-train classes",
        conjugate=True,
    ),
    "sequence": Head(
        "sequence model", "a transformer reads the images one after another, one forward step each", reads=True
    ),
}

LEARNING_HEADS: tuple[HeadName, ...] = tuple(name for name, head in HEADS.items() if not head.reads)
"""Those that learn on any embedding."""


@dataclass(frozen=True, kw_only=True)
class LongTest:
    """The long meta-tests of one embedding. Features, and whitened ones, are computed once and when first needed.

    Attributes:
        embedding: The embedding.
        splits: Characters.
        settings: The tests.
        seed: Of runs and first weights; all embeddings and heads meet the same runs.
    """

    embedding: Embedding
    splits: Splits
    settings: LongTestSettings
    seed: int

    @cached_property
    def features(self) -> SplitFeatures:
        """Features as they are."""
        embed, splits, learned = self.embedding.embed, self.splits, self.settings.learned_images
        return SplitFeatures(
            class_features(embed, splits.meta_train, split="meta-train", train_images=learned),
            class_features(embed, splits.meta_test, split="meta-test", train_images=learned),
        )

    @cached_property
    def shrinkage(self) -> float:
        """How far whitening leaves directions as they are."""
        return best_shrinkage(self.features, self.settings, self.seed)

    @cached_property
    def white(self) -> SplitFeatures:
        """Whitened features."""
        return whitened(self.features, self.shrinkage)

    @cached_property
    def projections(self) -> SplitFeatures:
        """Random units of features."""
        return projected(self.features, seed=self.seed)

    @cached_property
    def innate(self) -> dict[bool, Innate]:
        """What meta-train classes say of features, and of random units of them."""
        return {False: innate_of(self.features.meta_train), True: innate_of(self.projections.meta_train)}

    @cached_property
    def densities(self) -> Densities:
        """Of conjugate Bayes, whose prior is the embedding's own if it has one."""
        prior = self.embedding.prior
        return densities(self.features.meta_test, prior_for(self.features.meta_train) if prior is None else prior)

    def line(self, name: HeadName, num_classes: int) -> LongTestLine:
        """Tests the embedding with a head at a number of classes."""
        head = HEADS[name]
        features = self.white if head.whitens else self.features
        values = self._chosen_values(head.solver, num_classes) if head.solver else ()
        accuracy, chosen = self._tested(head, features, num_classes, values)
        return LongTestLine(
            embedding=self.embedding.label,
            title=self.embedding.title,
            order=self.embedding.order,
            head=name,
            num_classes=num_classes,
            num_runs=self.settings.num_runs,
            num_features=features.meta_test.train.shape[-1],
            scores=RunScores(**{part: _rounded(values) for part, values in accuracy._asdict().items()}),
            lr=chosen.lr if chosen else None,
            optimizer=head.rule.optimizer if head.rule else None,
            lr_rule=chosen.how if chosen else "none to choose",
            chosen=dict(zip(head.solver.names, values, strict=True)) if head.solver else None,
            lr_scores=tuple(round(score, 5) for score in chosen.scores) if chosen else None,
            shrinkage=self.shrinkage if head.whitens else None,
        )

    def _tested(
        self, head: Head, features: SplitFeatures, num_classes: int, values: Sequence[float]
    ) -> tuple[Accuracy, ChosenRate | None]:
        runs = _runs(features.meta_test, num_classes, self.settings.num_runs, self.seed, "meta-test")
        if head.conjugate:
            check_runs(features.meta_test, runs)
            return nearest(*self.densities, runs), None
        if head.reads:
            if self.embedding.read is None:
                raise ValueError(f"Expected the head 'sequence' on a sequence model, but got {self.embedding.title}.")
            source = generator(self.seed, f"labels, {num_classes}")
            return self.embedding.read(features.meta_test, runs, source), None
        if head.solver is not None:
            own = self.projections if head.solver.projects else features
            innate = self.innate[head.solver.projects]
            return solved_test(head.solver, values, innate, own.meta_test, runs), None
        if head.rule is None:
            return prototypes(features.meta_test, runs, metric=head.metric), None
        chosen = self._chosen_rate(head, head.rule, features, num_classes)
        source = generator(self.seed, f"layers, {num_classes}")
        in_order = self._in_order(head, runs)
        return meta_test(features.meta_test, in_order, source, lr=chosen.lr, rule=head.rule), chosen

    def _chosen_values(self, solver: Solver, num_classes: int) -> tuple[float, ...]:
        """Values of a solved readout, by the rule of the rates."""
        settings, features = self.settings, self.projections if solver.projects else self.features
        judged = features.meta_train if settings.lr_by == "meta-train classes" else features.meta_test
        runs = _runs(judged, num_classes, settings.lr_runs, self.seed, "solved")
        return best_choice(solver, self.innate[solver.projects], judged, runs)

    def _chosen_rate(self, head: Head, rule: LayerRule, features: SplitFeatures, num_classes: int) -> ChosenRate:
        settings = self.settings
        judged = features.meta_train if settings.lr_by == "meta-train classes" else features.meta_test
        runs = _runs(judged, num_classes, settings.lr_runs, self.seed, "rates")
        return choose_lr(
            settings.sgd_lrs if rule.optimizer == "sgd" else settings.lrs,
            judged,
            self._in_order(head, runs),
            generator(self.seed, f"layers for rates, {num_classes}"),
            by=settings.lr_by,
            rule=rule,
        )

    def _in_order(self, head: Head, runs: MetaTestRuns) -> MetaTestRuns:
        return shuffled_runs(runs, generator(self.seed, "joint order")) if head.shuffles else runs


def run_long_tests(record: RunRecord, test: LongTest, heads: Sequence[HeadName], console: Console) -> None:
    """Tests an embedding with every head at every number of classes; what the record has is not done again.

    Args:
        record: The run's record, which gets a line `test` for each head and number of classes.
        test: The tests.
        heads: What learns on the embedding.
        console: Where progress is shown.
    """
    cases: list[tuple[HeadName, int]] = [(head, count) for head in heads for count in test.settings.test_classes]
    total, seen = sum(count for _, count in cases), 0
    with reporting(console, test.embedding.title, total, "classes") as report:
        for head, count in cases:
            key = {"embedding": test.embedding.label, "head": head, "num_classes": count}
            line = record.once(LongTestLine, key, partial(test.line, head, count))
            seen += count
            held_out = sum(line.scores.held_out) / line.num_runs
            report(seen, f"{HEADS[head].title}, {count} classes: {held_out:.3f}")


def best_shrinkage(features: SplitFeatures, settings: LongTestSettings, seed: int) -> float:
    """Chooses how far whitening goes, by class means at the most classes of a test and by the rule of the rates.

    That is held-out accuracy on meta-train classes, or training accuracy.

    Args:
        features: Features of both splits.
        settings: The candidates and the rule.
        seed: Of the runs.
    """
    by_meta_train = settings.lr_by == "meta-train classes"
    judged = features.meta_train if by_meta_train else features.meta_test
    count = min(max(settings.test_classes), len(judged.train))
    runs = _runs(judged, count, settings.lr_runs, seed, "shrinkages")

    def score(shrinkage: float) -> float:
        white = whitened(features, shrinkage)
        accuracy = prototypes(white.meta_train if by_meta_train else white.meta_test, runs, metric="cosine")
        return float((accuracy.held_out if by_meta_train else accuracy.memory).mean())

    return max(settings.shrinkages, key=score)


def _runs(features: ClassFeatures, count: int, num_runs: int, seed: int, purpose: str) -> MetaTestRuns:
    source = generator(seed, f"{purpose}, {count} classes")
    return draw_meta_test(len(features.train), count, source, num_runs=num_runs, train_images=features.train.shape[1])


def _rounded(values: Tensor) -> tuple[float, ...]:
    return tuple(round(value, 5) for value in values.tolist())
