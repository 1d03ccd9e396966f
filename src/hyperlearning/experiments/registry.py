"""The experiments by name. Adding one takes its own files and one line here."""

import ast
import functools
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from hyperlearning.core.errors import RunError

_MODULES = {
    "incremental-regression": "regression.incremental_regression",
    "regression-ablations": "regression.regression_ablations",
    "learned-activation": "regression.learned_activation",
    "measured-series": "regression.measured_series",
    "sb-mcl-sine": "regression.sb_mcl_sine",
    "class-incremental": "images.class_incremental",
    "over-training": "images.over_training",
    "dan-versus-warp": "images.dan_versus_warp",
    "scaling": "images.scaling",
    "continual-versus-iid": "images.continual_versus_iid",
    "unsupervised-class-incremental": "images.unsupervised_class_incremental",
    "oml-regression": "regression.oml_regression",
    "semi-supervised-class-incremental": "images.semi_supervised_class_incremental",
    "omniglot-oml": "trajectories.omniglot_oml",
    "omniglot-anml": "trajectories.omniglot_anml",
    "omniglot-600": "trajectories.omniglot_600",
    "selfnet-robustness": "selfnet.selfnet_robustness",
    "selfnet-compression": "selfnet.selfnet_compression",
    "selfnet-permuted-mnist": "selfnet.selfnet_permuted_mnist",
    "selfnet-split-mnist": "selfnet.selfnet_split_mnist",
    "selfnet-split-cifar10": "selfnet.selfnet_split_cifar10",
    "selfnet-cifar100": "selfnet.selfnet_cifar100",
    "selfnet-atari": "selfnet.selfnet_atari",
    "selfnet-splits": "selfnet.selfnet_splits",
    "osr-mnist": "active.osr_mnist",
    "osr-cifar10": "active.osr_cifar10",
    "osr-cifar100": "active.osr_cifar100",
    "osr-bias-budget": "active.osr_bias_budget",
    "osr-noisy-oracle": "active.osr_noisy_oracle",
    "sampling-time": "active.sampling_time",
    "osr-open-pool": "active.osr_open_pool",
    "recipe-or-selection": "active.recipe_or_selection",
    "small-budgets": "active.small_budgets",
    "continual-active": "images.continual_active",
    "dalbt-mnist": "active.dalbt_mnist",
    "dalbt-fashion": "active.dalbt_fashion",
    "dalbt-cifar10": "active.dalbt_cifar10",
    "dalbt-open-pool": "active.dalbt_open_pool",
    "inr-images": "hypernetworks.inr_images",
    "fewshot-omniglot": "hypernetworks.fewshot_omniglot",
    "fewshot-transfer": "hypernetworks.fewshot_transfer",
    "fewshot-sines": "hypernetworks.fewshot_sines",
    "fewshot-mini-imagenet": "hypernetworks.fewshot_mini_imagenet",
    "hnet-split-mnist": "hypernetworks.hnet_split_mnist",
    "hnet-permuted-mnist": "hypernetworks.hnet_permuted_mnist",
    "hnet-split-cifar": "hypernetworks.hnet_split_cifar",
}

NAMES = tuple(_MODULES)
"""All experiments, in the order in which they are shown."""


class Summary(NamedTuple):
    """What can be said of an experiment without importing it.

    Attributes:
        claim: Its claim.
        presets: Its presets, the default first.
    """

    claim: str
    presets: tuple[str, ...]


@functools.cache
def summary(name: str) -> Summary:
    """Reads an experiment's claim and presets from its source: importing it would import PyTorch.

    Raises:
        KeyError: If there is no experiment of this name.
    """
    path = Path(__file__).parent.joinpath(*_MODULES[name].split(".")).with_suffix(".py")
    values = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        target = (
            node.target
            if isinstance(node, ast.AnnAssign)
            else node.targets[0]
            if isinstance(node, ast.Assign)
            else None
        )
        if isinstance(target, ast.Name) and target.id in ("EXPERIMENT", "PRESETS"):
            values[target.id] = node.value  # pyright: ignore[reportAttributeAccessIssue]
    claim = next(keyword.value for keyword in values["EXPERIMENT"].keywords if keyword.arg == "claim")
    presets = tuple(ast.literal_eval(key) for key in values["PRESETS"].keys)
    return Summary(ast.literal_eval(claim), presets)


def experiment(name: str) -> Any:
    """Imports an experiment.

    Returns:
        Its `Experiment`.

    Raises:
        KeyError: If there is no experiment of this name.
    """
    return import_module(f"hyperlearning.experiments.{_MODULES[name]}").EXPERIMENT


def experiment_of(record: Any) -> tuple[Any, Any]:
    """Finds a run's experiment and rebuilds its settings.

    Args:
        record: The run's record.

    Returns:
        The `Experiment` and its settings.

    Raises:
        RunError: If the experiment is unknown or the settings are of another version.
    """
    name = record.experiment
    if name not in _MODULES:
        raise RunError(f"Expected {record.path} to be of a known experiment, but it is of '{name}'.")
    found = experiment(name)
    return found, record.settings(type(next(iter(found.presets.values()))))
