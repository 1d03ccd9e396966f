"""The experiments by name, as a literal."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rich.console import Console

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments import (
    class_incremental,
    continual_versus_iid,
    dan_versus_warp,
    incremental_regression,
    learned_activation,
    oml_regression,
    omniglot_600,
    omniglot_anml,
    omniglot_oml,
    over_training,
    pages,
    regression_ablations,
    scaling,
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
    "over-training": Experiment(
        "The more a life of hyper-training holds, the better short lives go in deployment.",
        over_training.PRESETS,
        over_training.check,
        over_training.run,
        pages.over_training.report,
    ),
    "dan-versus-warp": Experiment(
        "Small networks shared by neurons learn better than dense warp layers of as many parameters.",
        dan_versus_warp.PRESETS,
        dan_versus_warp.check,
        dan_versus_warp.run,
        pages.dan_versus_warp.report,
    ),
    "scaling": Experiment(
        "Larger networks, hyper-trained on a mixture of data sets, generalize better.",
        scaling.PRESETS,
        scaling.check,
        scaling.run,
        pages.scaling.report,
    ),
    "continual-versus-iid": Experiment(
        "A fixed budget of updates: class after class, hyper-trained, or all classes mixed from a random start.",
        continual_versus_iid.PRESETS,
        continual_versus_iid.check,
        continual_versus_iid.run,
        pages.continual_versus_iid.report,
    ),
    "unsupervised-class-incremental": Experiment(
        "An autoencoder of DANs learns to reconstruct digits one after another and keeps them all.",
        unsupervised_class_incremental.PRESETS,
        unsupervised_class_incremental.check,
        unsupervised_class_incremental.run,
        pages.unsupervised_class_incremental.report,
    ),
    "oml-regression": Experiment(
        "OML learns ten sine waves one after another; beside it a DAN network under the same engine.",
        oml_regression.PRESETS,
        oml_regression.check,
        oml_regression.run,
        pages.oml_regression.report,
    ),
    "omniglot-oml": Experiment(
        "OML: features are meta-learned so that a linear layer on them learns classes in a row.",
        omniglot_oml.PRESETS,
        omniglot_oml.check,
        omniglot_oml.run,
        pages.omniglot_continual.report,
    ),
    "omniglot-anml": Experiment(
        "ANML: a meta-learned network gates another so that it learns classes in a row.",
        omniglot_anml.PRESETS,
        omniglot_anml.check,
        omniglot_anml.run,
        pages.omniglot_continual.report,
    ),
    "omniglot-600": Experiment(
        "Up to 600 classes in a row: OML, ANML, DAN networks, pretraining and prototypes in one table.",
        omniglot_600.PRESETS,
        omniglot_600.check,
        omniglot_600.run,
        pages.omniglot_600.report,
    ),
    "semi-supervised-class-incremental": Experiment(
        "One labelled and four unlabelled images a class: whether reconstruction helps to classify.",
        semi_supervised_class_incremental.PRESETS,
        semi_supervised_class_incremental.check,
        semi_supervised_class_incremental.run,
        pages.semi_supervised_class_incremental.report,
    ),
}
