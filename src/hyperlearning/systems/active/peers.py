"""The same queries by scikit-activeml, to be timed beside ours: `pip install 'hyperlearning[bench]'`."""

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from hyperlearning.acquisition.query import Views
from hyperlearning.acquisition.strategies import StrategyName
from hyperlearning.core.errors import AbsentExtraError

PeerChoice = Callable[[int, int], Int64[Tensor, " query"]]
"""Chooses, from how many are wanted and a seed, places in the pool."""

_BY_CLASSIFIER: dict[StrategyName, tuple[str, dict[str, Any]]] = {
    "least_confidence": ("UncertaintySampling", {"method": "least_confident"}),
    "margin": ("UncertaintySampling", {"method": "margin_sampling"}),
    "entropy": ("UncertaintySampling", {"method": "entropy"}),
    "badge": ("Badge", {}),
}
_BY_FEATURES: dict[StrategyName, str] = {
    "random": "RandomSampling",
    "core_set": "CoreSet",
    "typi_clust": "TypiClust",
    "prob_cover": "ProbCover",
}
_ANSWERS = 10_000
"""Answers to a batch that BatchBALD tells apart, as ours does."""
PEERS: tuple[StrategyName, ...] = (*_BY_CLASSIFIER, *_BY_FEATURES, "batch_bald")
"""Strategies that scikit-activeml has too."""


def has_peers() -> bool:
    """Whether scikit-activeml is installed."""
    return importlib.util.find_spec("skactiveml") is not None


def check_peers() -> None:
    """Raises if scikit-activeml is not installed.

    Raises:
        AbsentExtraError: If so.
    """
    if not has_peers():
        raise AbsentExtraError(
            "Expected scikit-activeml to time beside ours, but it is not installed. Install it with `pip install "
            "'hyperlearning[bench]'`, or leave it out with `--no-with-peer`."
        )


def peer_choice(strategy: StrategyName, views: Views, num_classes: int) -> PeerChoice:
    """Makes the peer of a strategy, which is begun anew each time and fits no classifier.

    Args:
        strategy: One of `PEERS`.
        views: What ours sees.
        num_classes: Classes.

    Raises:
        AbsentExtraError: If scikit-activeml is not installed.
    """
    check_peers()
    pool = importlib.import_module("skactiveml.pool")
    features_ND, labelled_LD = views.need("features_ND"), views.need("labelled_features_LD")
    x = torch.cat([labelled_LD, features_ND]).cpu().numpy()
    y = np.full(len(x), np.nan)
    num = len(labelled_LD)
    y[:num] = np.arange(num) % num_classes if views.labels_L is None else views.labels_L.cpu().numpy()

    def choose(wanted: int, seed: int) -> Tensor:
        if strategy in _BY_CLASSIFIER:
            kind, settings = _BY_CLASSIFIER[strategy]
            of = getattr(pool, kind)(random_state=seed, **settings)
            chosen = of.query(x, y, clf=_asked_already(views, num_classes), fit_clf=False, batch_size=wanted)
        elif strategy == "batch_bald":
            of = pool.BatchBALD(_ANSWERS, sample_predictions_method_name="draws", random_state=seed)
            own = _asked_already(views, num_classes)
            chosen = of.query(x, y, ensemble=own, fit_ensemble=False, batch_size=wanted)
        else:
            own = {"n_classes": num_classes} if strategy == "prob_cover" else {}
            chosen = getattr(pool, _BY_FEATURES[strategy])(random_state=seed, **own).query(x, y, batch_size=wanted)
        return torch.as_tensor(np.asarray(chosen)) - num

    return choose


def _asked_already(views: Views, num_classes: int) -> Any:
    """A classifier that says what ours saw."""
    bases = importlib.import_module("skactiveml.base")
    said_KNC = views.need("probabilities_KNC").cpu().numpy()

    class Said(bases.SkactivemlClassifier):
        """A classifier that has been asked already."""

        def fit(self, X: Any, y: Any) -> "Said":
            return self

        def predict_proba(self, X: Any) -> np.ndarray:
            return said_KNC.mean(0)

        def __sklearn_is_fitted__(self) -> bool:
            return True

        def draws(self, X: Any) -> np.ndarray:
            return said_KNC.copy()

    return Said(classes=range(num_classes))
