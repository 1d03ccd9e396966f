"""What each experiment's report shows, made from its record alone."""

from hyperlearning.experiments.pages import (
    class_incremental,
    continual_versus_iid,
    dan_versus_warp,
    incremental_regression,
    learned_activation,
    oml_regression,
    omniglot_600,
    omniglot_continual,
    over_training,
    regression_ablations,
    scaling,
    semi_supervised_class_incremental,
    unsupervised_class_incremental,
)

__all__ = [
    "class_incremental",
    "continual_versus_iid",
    "dan_versus_warp",
    "incremental_regression",
    "learned_activation",
    "oml_regression",
    "omniglot_600",
    "omniglot_continual",
    "over_training",
    "regression_ablations",
    "scaling",
    "semi_supervised_class_incremental",
    "unsupervised_class_incremental",
]
