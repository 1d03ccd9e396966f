"""What meta-train classes say of fixed features of images: known before a life, and never changed in it.

Shape suffixes: K classes, B images of a class, F features.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.seeding import generator
from hyperlearning.learners.closed_form.conjugate_bayes import NormalGamma, fitted_prior
from hyperlearning.streams.image_pool import ImagePool

Features = Callable[[Tensor], Tensor]
"""Maps images (N, C, S, S), from 0 to 1, to features (N, F); any number of axes in place of N may do as well."""

NUM_PROJECTIONS = 2000
"""Random units of features that a ridge is solved on."""
_MOST_CLASSES, _IMAGES_OF_CLASS = 400, 15
"""Of meta-train, that the innate covariance and prior are estimated from."""
_AT_A_TIME = 100
"""Images whose features are computed together."""


class Innate(NamedTuple):
    """What meta-train classes say of features, fixed before a life.

    Attributes:
        covariance: (F, F), within classes.
        prior: Of every feature's mean and variance in a class.
        square: Mean squared length of features.
    """

    covariance: Float[Tensor, "F F"]
    prior: NormalGamma
    square: float


def innate_of(features: Features, pool: ImagePool, *, seed: int) -> Innate:
    """Estimates what is innate from some images of meta-train classes."""
    source = generator(seed, "innate covariance")
    chosen = torch.randperm(pool.num_classes, generator=source)[:_MOST_CLASSES]
    num_images = min(_IMAGES_OF_CLASS, int(pool.counts[chosen].min()))
    places = pool.first[chosen][:, None] + torch.arange(num_images)
    images = pool.images[places].float() / 255
    with torch.no_grad():
        parts = [features(part) for part in images.flatten(0, 1).split(_AT_A_TIME)]
    of_class = torch.cat(parts).double().unflatten(0, (len(chosen), num_images))  # (K, B, F)
    means = of_class.mean(1, keepdim=True)
    apart = (of_class - means).flatten(0, 1)
    covariance = apart.T @ apart / (len(apart) - len(chosen))
    return Innate(covariance.to(images.dtype), fitted_prior(of_class), float(of_class.square().sum(-1).mean()))
