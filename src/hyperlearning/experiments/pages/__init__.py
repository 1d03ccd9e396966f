"""What each experiment's report shows, made from its record alone."""

from hyperlearning.experiments.pages import (
    class_incremental,
    incremental_regression,
    learned_activation,
    oml_regression,
    regression_ablations,
)

__all__ = [
    "class_incremental",
    "incremental_regression",
    "learned_activation",
    "oml_regression",
    "regression_ablations",
]
