"""How many images of many classes are recognised: shares over runs, and by the nearest class mean.

Shape suffixes: K classes of a split, R runs, F features, n images of a class.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from hyperlearning.streams.trajectories import MetaTestRuns

Split = Literal["meta-train", "meta-test"]
Metric = Literal["euclidean", "cosine"]


@dataclass(frozen=True, kw_only=True)
class ClassFeatures:
    """Features of a split by class.

    Attributes:
        train: Features of the images that a run may learn, (K, n, F).
        held_out: Features of the others, (K, h, F).
        split: Whether the classes are those of meta-training or of the meta-test.
    """

    train: Float[Tensor, "classes train features"]
    held_out: Float[Tensor, "classes held_out features"]
    split: Split


class Accuracy(NamedTuple):
    """Shares of images recognised, of 1, one value a run.

    Attributes:
        memory: Of the images learned, the largest of all outputs taken.
        held_out: Of held-out images of the same classes, likewise.
        memory_in_run: As `memory`, the largest output among those of the run's classes taken.
        held_out_in_run: As `held_out`, likewise.
    """

    memory: Float[Tensor, " runs"]
    held_out: Float[Tensor, " runs"]
    memory_in_run: Float[Tensor, " runs"]
    held_out_in_run: Float[Tensor, " runs"]


def prototypes(features: ClassFeatures, runs: MetaTestRuns, *, metric: Metric = "euclidean") -> Accuracy:
    """Recognises an image by the nearest mean of training features among the run's classes.

    Distances do not depend on the run and are computed once, in double precision.

    Args:
        features: Features of the classes that the runs are drawn from.
        runs: The runs, of which only the classes matter.
        metric: "euclidean", or "cosine" of the angle between image and mean.

    Returns:
        Accuracies of every run, (R,).

    Raises:
        ValueError: If the runs do not belong to the features, or there is no such metric.

    Source: Snell et al., "Prototypical Networks for Few-shot Learning", equations 1 and 2.
    """
    check_runs(features, runs)
    if metric not in ("euclidean", "cosine"):
        raise ValueError(f"Expected a metric among ['cosine', 'euclidean'], but got '{metric}'.")
    means_KF = features.train.double().mean(1)
    train, held_out = (_closeness(images.double(), means_KF, metric) for images in (features.train, features.held_out))
    return nearest(train, held_out, runs)


def nearest(train: Float[Tensor, "K n K"], held_out: Float[Tensor, "K h K"], runs: MetaTestRuns) -> Accuracy:
    """Recognises an image as the class, among the run's, that it is nearest to, where nearness does not depend on the run.

    Args:
        train: How near the images that a run may learn are to every class, larger the nearer.
        held_out: Likewise of held-out images.
        runs: The runs, of which only the classes matter.

    Returns:
        Accuracies of every run, (R,).
    """
    memory, of_others = _nearest(train, runs), _nearest(held_out, runs)
    return Accuracy(memory, of_others, memory, of_others)


def _closeness(images_KnF: Tensor, means_KF: Tensor, metric: str) -> Tensor:
    """A number that is larger the nearer an image is to a mean, for all images and means: (K, n, K)."""
    if metric == "cosine":
        return images_KnF @ normalize(means_KF, dim=1).T
    return 2 * images_KnF @ means_KF.T - means_KF.square().sum(1)


def _nearest(closeness_KnK: Tensor, runs: MetaTestRuns) -> Tensor:
    shares = []
    for classes in runs.classes:
        found = closeness_KnK[classes][:, :, classes].argmax(-1)
        shares.append((found == torch.arange(len(classes), device=found.device)[:, None]).double().mean())
    return torch.stack(shares).float()


def check_runs(features: ClassFeatures, runs: MetaTestRuns) -> None:
    """Refuses runs that were drawn from other classes, or for another number of images.

    Raises:
        ValueError: If so.
    """
    num_classes, num_images = features.train.shape[:2]
    if int(runs.classes.max()) >= num_classes:
        raise ValueError(f"Expected runs among {num_classes} classes, but got class {int(runs.classes.max())}.")
    drawn = runs.order.shape[1] // runs.classes.shape[1]
    if drawn != num_images:
        raise ValueError(f"Expected runs of {num_images} training images a class, but got {drawn}.")
