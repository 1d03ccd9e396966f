"""What meta-train classes say of fixed features of images: known before a life, and never changed in it.

Shape suffixes: K classes, B images of a class, F features.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.seeding import generator
from hyperlearning.learners.closed_form.conjugate_bayes import NormalGamma
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
    return Innate(covariance.to(images.dtype), _prior_of(of_class), float(of_class.square().sum(-1).mean()))


def _prior_of(of_class: Float[Tensor, "K B F"]) -> NormalGamma:
    """Fits the prior by moments: means of classes give m and k, their variances a and b.

    Under the prior a class's precision is Gamma(a, b), so that its variance has the mean b / (a - 1) and the squared coefficient
    of variation 1 / (a - 2); that of an estimate from B images is larger by 2 / (B - 1) times 1 + 1 / (a - 2).
    """
    num_images = of_class.shape[1]
    variances = of_class.var(1) + 1e-6
    mean = variances.mean(0)
    spread = variances.var(0) / mean.square()
    sampling = 2 / (num_images - 1) if num_images > 1 else 0.0
    own = ((spread - sampling) / (1 + sampling)).clamp(min=1e-2)
    shape = (2 + 1 / own).clamp(max=100.0)
    between = (of_class.mean(1).var(0) - mean / num_images).clamp(min=1e-6)
    fitted = NormalGamma(of_class.mean((0, 1)), mean / between, shape, mean * (shape - 1))
    return NormalGamma(*(part.float() for part in fitted))
