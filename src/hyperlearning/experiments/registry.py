"""The experiments by name, as a literal."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rich.console import Console

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments import (
    class_incremental,
    incremental_regression,
    learned_activation,
    pages,
    regression_ablations,
    semi_supervised_class_incremental,
    unsupervised_class_incremental,
)
from hyperlearning.reports.page import Page


class Experiment(NamedTuple):
    """One experiment.

    Attributes:
        claim: What it is about, in a line.
        presets: Settings by name; the first is the default.
        check: Raises if settings contradict one another, before a run exists.
        run: Runs it, or goes on with it, and fills the record.
        report: Makes the page from the record alone.
    """

    claim: str
    presets: Mapping[str, Any]
    check: Callable[[Any], None]
    run: Callable[[Any, RunRecord, Console], None]
    report: Callable[[RunRecord], Page]


EXPERIMENTS: dict[str, Experiment] = {
    "incremental-regression": Experiment(
        "A DAN network learns a function piece by piece and keeps all of it.",
        incremental_regression.PRESETS,
        incremental_regression.check,
        incremental_regression.run,
        pages.incremental_regression.report,
    ),
    "regression-ablations": Experiment(
        "What makes it work: the phenotype, its sharing, channels, the population, exact gradients.",
        regression_ablations.PRESETS,
        regression_ablations.check,
        regression_ablations.run,
        pages.regression_ablations.report,
    ),
    "learned-activation": Experiment(
        "With one channel the phenotype is a learned activation function.",
        learned_activation.PRESETS,
        learned_activation.check,
        learned_activation.run,
        pages.learned_activation.report,
    ),
    "class-incremental": Experiment(
        "A DAN network learns classes of images one after another, five images each, and keeps them.",
        class_incremental.PRESETS,
        class_incremental.check,
        class_incremental.run,
        pages.class_incremental.report,
    ),
    "unsupervised-class-incremental": Experiment(
        "An autoencoder of DANs learns to reconstruct digits one after another and keeps them all.",
        unsupervised_class_incremental.PRESETS,
        unsupervised_class_incremental.check,
        unsupervised_class_incremental.run,
        pages.unsupervised_class_incremental.report,
    ),
    "semi-supervised-class-incremental": Experiment(
        "One labelled and four unlabelled images a class: whether reconstruction helps to classify.",
        semi_supervised_class_incremental.PRESETS,
        semi_supervised_class_incremental.check,
        semi_supervised_class_incremental.run,
        pages.semi_supervised_class_incremental.report,
    ),
}
