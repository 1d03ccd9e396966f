"""The experiments by name, as a literal."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rich.console import Console

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.images import (
    class_incremental,
    class_incremental_page,
    continual_versus_iid,
    continual_versus_iid_page,
    dan_versus_warp,
    dan_versus_warp_page,
    over_training,
    over_training_page,
    scaling,
    scaling_page,
    semi_supervised_class_incremental,
    semi_supervised_class_incremental_page,
    unsupervised_class_incremental,
    unsupervised_class_incremental_page,
)
from hyperlearning.experiments.regression import (
    incremental_regression,
    incremental_regression_page,
    learned_activation,
    learned_activation_page,
    oml_regression,
    oml_regression_page,
    regression_ablations,
    regression_ablations_page,
)
from hyperlearning.experiments.trajectories import (
    omniglot_600,
    omniglot_600_page,
    omniglot_anml,
    omniglot_continual_page,
    omniglot_oml,
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
        incremental_regression_page.report,
    ),
    "regression-ablations": Experiment(
        "What makes it work: the phenotype, its sharing, channels, the population, exact gradients.",
        regression_ablations.PRESETS,
        regression_ablations.check,
        regression_ablations.run,
        regression_ablations_page.report,
    ),
    "learned-activation": Experiment(
        "With one channel the phenotype is a learned activation function.",
        learned_activation.PRESETS,
        learned_activation.check,
        learned_activation.run,
        learned_activation_page.report,
    ),
    "class-incremental": Experiment(
        "A DAN network learns classes of images one after another, five images each, and keeps them.",
        class_incremental.PRESETS,
        class_incremental.check,
        class_incremental.run,
        class_incremental_page.report,
    ),
    "over-training": Experiment(
        "The more a life of hyper-training holds, the better short lives go in deployment.",
        over_training.PRESETS,
        over_training.check,
        over_training.run,
        over_training_page.report,
    ),
    "dan-versus-warp": Experiment(
        "Small networks shared by neurons learn better than dense warp layers of as many parameters.",
        dan_versus_warp.PRESETS,
        dan_versus_warp.check,
        dan_versus_warp.run,
        dan_versus_warp_page.report,
    ),
    "scaling": Experiment(
        "Larger networks, hyper-trained on a mixture of data sets, generalize better.",
        scaling.PRESETS,
        scaling.check,
        scaling.run,
        scaling_page.report,
    ),
    "continual-versus-iid": Experiment(
        "A fixed budget of updates: class after class, hyper-trained, or all classes mixed from a random start.",
        continual_versus_iid.PRESETS,
        continual_versus_iid.check,
        continual_versus_iid.run,
        continual_versus_iid_page.report,
    ),
    "unsupervised-class-incremental": Experiment(
        "An autoencoder of DANs learns to reconstruct digits one after another and keeps them all.",
        unsupervised_class_incremental.PRESETS,
        unsupervised_class_incremental.check,
        unsupervised_class_incremental.run,
        unsupervised_class_incremental_page.report,
    ),
    "oml-regression": Experiment(
        "OML learns ten sine waves one after another; beside it a DAN network under the same engine.",
        oml_regression.PRESETS,
        oml_regression.check,
        oml_regression.run,
        oml_regression_page.report,
    ),
    "semi-supervised-class-incremental": Experiment(
        "One labelled and four unlabelled images a class: whether reconstruction helps to classify.",
        semi_supervised_class_incremental.PRESETS,
        semi_supervised_class_incremental.check,
        semi_supervised_class_incremental.run,
        semi_supervised_class_incremental_page.report,
    ),
    "omniglot-oml": Experiment(
        "OML: features are meta-learned so that a linear layer on them learns classes in a row.",
        omniglot_oml.PRESETS,
        omniglot_oml.check,
        omniglot_oml.run,
        omniglot_continual_page.report,
    ),
    "omniglot-anml": Experiment(
        "ANML: a meta-learned network gates another so that it learns classes in a row.",
        omniglot_anml.PRESETS,
        omniglot_anml.check,
        omniglot_anml.run,
        omniglot_continual_page.report,
    ),
    "omniglot-600": Experiment(
        "Up to 600 classes in a row: OML, ANML, DAN networks, pretraining and prototypes in one table.",
        omniglot_600.PRESETS,
        omniglot_600.check,
        omniglot_600.run,
        omniglot_600_page.report,
    ),
}
