"""Every query strategy, by name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from hyperlearning.acquisition.adversarial import vaal, waal
from hyperlearning.acquisition.badge import badge
from hyperlearning.acquisition.batch_bald import batch_bald
from hyperlearning.acquisition.core_set import core_set
from hyperlearning.acquisition.drop_query import drop_query
from hyperlearning.acquisition.eoal import eoal
from hyperlearning.acquisition.herding import max_herding, u_herding
from hyperlearning.acquisition.lf_osa import lf_osa
from hyperlearning.acquisition.open_set import Asks, known_first, latent_distance, rejecting, weibull
from hyperlearning.acquisition.prob_cover import prob_cover
from hyperlearning.acquisition.query import Need, Strategy
from hyperlearning.acquisition.typical import typi_clust
from hyperlearning.acquisition.uncertainty import (
    at_random,
    by_score,
    entropy,
    least_confidence,
    margin,
    mutual_information,
    variation_ratio,
)
from hyperlearning.core.expect import Including, Some

StrategyName = Literal[
    "random",
    "least_confidence",
    "margin",
    "entropy",
    "bald",
    "variation_ratio",
    "batch_bald",
    "weibull_outlier",
    "weibull_inlier",
    "weibull_boundary",
    "latent_distance",
    "core_set",
    "badge",
    "typi_clust",
    "prob_cover",
    "max_herding",
    "u_herding",
    "drop_query",
    "vaal",
    "waal",
    "lfosa",
    "eoal",
    "reject_margin",
    "reject_least_confidence",
]

Compared = Annotated[tuple[StrategyName, ...], Some(distinct=True), Including("random")]
"""Strategies that are measured by chance, which must be there."""

_SAID: tuple[Need, ...] = ("probabilities_KNC",)
_FEATURES: tuple[Need, ...] = ("features_ND",)
_BOTH: tuple[Need, ...] = ("probabilities_KNC", "features_ND")
_LATENTS: tuple[Need, ...] = (
    "probabilities_KNC",
    "features_ND",
    "labelled_features_LD",
    "labels_L",
    "labelled_probabilities_LC",
)
_OPEN: tuple[Need, ...] = (
    "probabilities_KNC",
    "labels_L",
    "open_features_ND",
    "open_labelled_LD",
    "rejected_features_RD",
)


def _weibull(asks: Asks) -> Strategy:
    return Strategy(
        title=f"Weibull, {asks}",
        choose=weibull(asks=asks),
        needs=_LATENTS,
        source="dissertation, section 3.3.4; Mundt et al. (2019)",
    )


STRATEGIES: Mapping[StrategyName, Strategy] = MappingProxyType(
    {
        "random": Strategy(title="random", choose=at_random),
        "least_confidence": Strategy(
            title="least confidence",
            choose=by_score(least_confidence),
            needs=_SAID,
            source="Lewis and Gale (1994); dissertation, section 3.3.3",
        ),
        "margin": Strategy(title="margin", choose=by_score(margin), needs=_SAID, source="Scheffer et al. (2001)"),
        "entropy": Strategy(title="entropy", choose=by_score(entropy), needs=_SAID, source="Shannon (1948)"),
        "bald": Strategy(
            title="BALD",
            choose=by_score(mutual_information),
            needs=_SAID,
            least_draws=2,
            source="Houlsby et al. (2011); Gal et al. (2017)",
        ),
        "variation_ratio": Strategy(
            title="variation ratio",
            choose=by_score(variation_ratio),
            needs=_SAID,
            least_draws=2,
            source="Freeman (1965); Beluch et al. (2018)",
        ),
        "batch_bald": Strategy(
            title="BatchBALD", choose=batch_bald(), needs=_SAID, least_draws=2, source="Kirsch et al. (2019)"
        ),
        "weibull_outlier": _weibull("outlier"),
        "weibull_inlier": _weibull("inlier"),
        "weibull_boundary": _weibull("boundary"),
        "latent_distance": Strategy(
            title="latent distance", choose=latent_distance(), needs=_LATENTS, source="the authors' code of chapter 3"
        ),
        "core_set": Strategy(
            title="core-set", choose=core_set(), needs=_FEATURES, source="Sener and Savarese (2018); Gonzalez (1985)"
        ),
        "badge": Strategy(title="BADGE", choose=badge, needs=_BOTH, source="Ash et al. (2020)"),
        "typi_clust": Strategy(title="TypiClust", choose=typi_clust(), needs=_FEATURES, source="Hacohen et al. (2022)"),
        "prob_cover": Strategy(title="ProbCover", choose=prob_cover(), needs=_BOTH, source="Yehuda et al. (2022)"),
        "max_herding": Strategy(title="MaxHerding", choose=max_herding(), needs=_FEATURES, source="Bae et al. (2024)"),
        "u_herding": Strategy(title="UHerding", choose=u_herding(), needs=_BOTH, source="Bae et al. (2025)"),
        "drop_query": Strategy(
            title="DropQuery", choose=drop_query(), needs=_BOTH, least_draws=2, source="Gupte et al. (2024)"
        ),
        "vaal": Strategy(
            title="VAAL", choose=vaal(), needs=("features_ND", "labelled_features_LD"), source="Sinha et al. (2019)"
        ),
        "waal": Strategy(
            title="WAAL", choose=waal(), needs=(*_BOTH, "labelled_features_LD"), source="Shui et al. (2020)"
        ),
        "lfosa": Strategy(title="LfOSA", choose=lf_osa, needs=_OPEN, source="Ning et al. (2022)"),
        "eoal": Strategy(title="EOAL", choose=eoal, needs=_OPEN, source="Safaei et al. (2024)"),
        "reject_margin": Strategy(
            title="margin of what is surely ours",
            choose=known_first(margin),
            needs=("probabilities_KNC", "foreign_KN", "rejected_features_RD"),
        ),
        "reject_least_confidence": Strategy(
            title="least confidence, weighed by ours",
            choose=rejecting(least_confidence),
            needs=("probabilities_KNC", "foreign_KN"),
        ),
    }
)
"""What it is called in settings, and what it is."""

NEED_NO_LABEL: frozenset[StrategyName] = frozenset(
    {"random", "core_set", "typi_clust", "prob_cover", "max_herding", "u_herding"}
)
"""Those that can choose before anything is labelled: features say enough."""
