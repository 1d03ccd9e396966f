"""What each experiment's report shows, made from its record alone."""

from hyperlearning.experiments.pages import (
    class_incremental,
    continual_versus_iid,
    incremental_regression,
    learned_activation,
    regression_ablations,
)

__all__ = [
    "class_incremental",
    "continual_versus_iid",
    "incremental_regression",
    "learned_activation",
    "regression_ablations",
]
