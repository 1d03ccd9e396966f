"""Closed-form lives on fixed features of images, many at once: the baselines that any network here must beat.

None depends on the order of examples, so that a life is solved after every class from all that it has met: what the readouts of
`learners.closed_form` arrive at one image after another. What has to be chosen (shrinkage, precision) is chosen on lives of
meta-train classes drawn for this alone, by generalization.

Shape suffixes: T tasks, L lives, B images of a class, F features, Q images shown, K labels.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from statistics import fmean
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from hyperlearning.core.seeding import generator
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.accuracy import LifeAccuracy
from hyperlearning.learners.closed_form.conjugate_bayes import (
    NormalGamma,
    class_logits,
    class_statistics,
    predictive,
)
from hyperlearning.learners.closed_form.discriminant import discriminant_logits, shrunk
from hyperlearning.learners.closed_form.least_squares import ridge
from hyperlearning.learners.prototypes import class_sums, prototype_logits
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.lines import ClassMethod, HeldOut, record_life, scores_of
from hyperlearning.systems.images.lives import LifeFeatures, features_of_lives, hold_out, scored
from hyperlearning.systems.images.pools import Pools
from hyperlearning.systems.images.settings import ImageSettings
from hyperlearning.systems.innate import NUM_PROJECTIONS, Features, Innate, innate_of
from hyperlearning.systems.system import Method

Readout = Callable[[Float[Tensor, "T L B F"], Int64[Tensor, "T L B"], Float[Tensor, "L Q F"]], Float[Tensor, "L Q K"]]
"""Maps features met, their labels and features shown to logits; a label that was not met is never chosen."""

SHRINKAGES = (0.03, 0.1, 0.3, 1.0)
PRECISIONS = (0.01, 0.1, 1.0, 10.0)
"""Of ridge, in units of the features' mean square length."""
NUM_TUNING_LIVES = 20
_NEVER = -1e6


class Solved(NamedTuple):
    """A readout that is solved.

    Attributes:
        name: Its key.
        title: What a figure calls it.
        note: What it is, and what was chosen.
        readout: From features met and shown to logits.
    """

    name: str
    title: str
    note: str
    readout: Readout

    def live(self, of: LifeFeatures, lives: ClassLives, num_labelled: int | None = None) -> LifeAccuracy:
        """Lives lives: after every class, what it makes of all images met by then, or of each class's first few."""
        labels = lives.targets[:, :, :num_labelled]
        return scored(
            of, lives, lambda met, shown, task: self.readout(met[:task, :, :num_labelled], labels[:task], shown)
        )


def record_closed_form(
    record: RunRecord,
    features: Features,
    settings: ImageSettings,
    pools: Pools,
    held_out: Iterable[HeldOut],
    *,
    num_labelled: int | None = None,
) -> None:
    """Lets all solved readouts live on features that a life does not change, and says how it went; nothing is lived twice.

    Of each batch, only the first `num_labelled` images are used; all if absent.
    """
    readouts = cache(partial(solved_readouts, features, settings, pools, num_labelled=num_labelled))
    for lives in held_out:
        known = cache(partial(features_of_lives, features, lives.lives))
        for name in TITLES:
            record_life(record, name, lives, partial(_method, name, readouts, known, num_labelled))


def _method(
    name: str,
    readouts: Callable[[], tuple[Solved, ...]],
    known: Callable[[], LifeFeatures],
    num_labelled: int | None,
) -> ClassMethod:
    """A readout on lives whose features are known when they are wanted."""
    own = next(solved for solved in readouts() if solved.name == name)
    return Method(name, own.title, own.note, lambda lives: own.live(known(), lives, num_labelled))


TITLES = {
    "cosine_means": "class means, cosine",
    "discriminant": "linear discriminant",
    "ridge": "ridge",
    "projected_ridge": "random projection and ridge",
    "bayes": "conjugate Bayes",
}
"""All solved readouts but class means, by name."""


def solved_readouts(
    features: Features, settings: ImageSettings, pools: Pools, *, num_labelled: int | None = None
) -> tuple[Solved, ...]:
    """Makes the readouts, each tuned on lives of meta-train classes with as many labelled images."""
    num_labels = settings.network.num_outputs
    innate = innate_of(features, pools.meta_train, seed=settings.seed)
    tuning = hold_out(
        replace(settings.life, num_lives=NUM_TUNING_LIVES),
        pools,
        "meta_train",
        num_outputs=num_labels,
        seed=settings.seed,
        purpose="closed-form tuning",
    )
    choose = partial(_chosen, features_of_lives(features, tuning), tuning, num_labelled)
    weight = projection(innate, seed=settings.seed)
    half = NUM_PROJECTIONS / 2  # Mean squared length of what is projected: a ReLU leaves half.
    plain = partial(_ridge, innate.square, num_labels)
    projected = partial(_projected, weight, partial(_ridge, half, num_labels))
    notes = {
        "cosine_means": ("of the same features, by their angle", partial(_cosine, num_labels)),
        "discriminant": choose(
            "class means under the covariance of meta-train classes, shrinkage",
            partial(_discriminant, innate, num_labels),
            SHRINKAGES,
        ),
        "ridge": choose("labels as numbers, solved; precision", plain, PRECISIONS),
        "projected_ridge": choose(f"{NUM_PROJECTIONS:,} random units, solved; precision", projected, PRECISIONS),
        "bayes": (
            "a Gaussian a class and feature, prior of meta-train classes",
            partial(_bayes, innate.prior, num_labels),
        ),
    }
    return tuple(Solved(name, title, *notes[name]) for name, title in TITLES.items())


def projection(innate: Innate, *, seed: int) -> Float[Tensor, "F projections"]:
    """Random weights under which a feature vector of usual length has projections of variance 1."""
    size = len(innate.covariance)
    return torch.randn(size, NUM_PROJECTIONS, generator=generator(seed, "projection")) / innate.square**0.5


def _chosen(
    of: LifeFeatures,
    tuning: ClassLives,
    num_labelled: int | None,
    note: str,
    make: Callable[[float], Readout],
    tried: Sequence[float],
) -> tuple[str, Readout]:
    """Chooses the value whose readout generalizes best on lives of their own."""
    lived = {value: Solved("", "", "", make(value)).live(of, tuning, num_labelled) for value in tried}
    found = {value: fmean(scores_of(lives).generalization) for value, lives in lived.items()}
    best = max(found, key=lambda value: found[value])
    return f"{note} {best:g} (of {', '.join(f'{value:g}' for value in tried)})", make(best)


def _cosine(num_labels: int, met: Tensor, labels: Tensor, shown: Tensor) -> Tensor:
    return prototype_logits(normalize(met, dim=-1), labels, normalize(shown, dim=-1), num_labels=num_labels)


def _discriminant(innate: Innate, num_labels: int, shrinkage: float) -> Readout:
    inverse = torch.linalg.inv(shrunk(innate.covariance.double(), shrinkage)).float()

    def readout(met: Tensor, labels: Tensor, shown: Tensor) -> Tensor:
        sums, counts = class_sums(met, labels, num_labels=num_labels)
        return discriminant_logits(shown, sums / counts.clamp(min=1)[..., None], counts > 0, inverse)

    return readout


def _ridge(square: float, num_labels: int, precision: float) -> Readout:
    def readout(met: Tensor, labels: Tensor, shown: Tensor) -> Tensor:
        codes = one_hot(_by_life(labels), num_labels).to(met.dtype)
        solved = ridge(_by_life(met), codes, precision=precision * square)
        known = codes.sum(1) > 0
        return (shown @ solved).masked_fill(~known[:, None], _NEVER)

    return readout


def _projected(weight: Tensor, make: Callable[[float], Readout], precision: float) -> Readout:
    inner = make(precision)
    return lambda met, labels, shown: inner(torch.relu(met @ weight), labels, torch.relu(shown @ weight))


def _bayes(prior: NormalGamma, num_labels: int, met: Tensor, labels: Tensor, shown: Tensor) -> Tensor:
    """Density by density of the classes that were met: all of them at once would not fit into memory."""
    counts, sums, squares = class_statistics(_by_life(met), _by_life(labels), prior, num_labels=num_labels)
    logits = shown.new_full((*shown.shape[:2], num_labels), _NEVER)
    for life in range(len(shown)):
        own = counts[life].nonzero()[:, 0]
        seen = predictive(counts[life, own], sums[life, own], squares[life, own], prior)
        logits[life, :, own] = torch.cat([class_logits(part, seen, prior) for part in shown[life].split(64)])
    return logits


def _by_life(batches: Tensor) -> Tensor:
    """(T, L, B, ...) as (L, N, ...)."""
    return batches.transpose(0, 1).flatten(1, 2)
