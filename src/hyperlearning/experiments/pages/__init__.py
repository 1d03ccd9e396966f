"""What each experiment's report shows, made from its record alone."""

from hyperlearning.experiments.pages import (
    class_incremental,
    incremental_regression,
    learned_activation,
    regression_ablations,
    semi_supervised_class_incremental,
    unsupervised_class_incremental,
)

__all__ = [
    "class_incremental",
    "incremental_regression",
    "learned_activation",
    "regression_ablations",
    "semi_supervised_class_incremental",
    "unsupervised_class_incremental",
]
