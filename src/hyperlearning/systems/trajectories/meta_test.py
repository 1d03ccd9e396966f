"""The meta-test of OML and ANML: a new last layer learns class after class, one image at a time, on fixed features.

Every run redraws the layer (Kaiming-normal weights, no bias) and makes one pass. An image counts as recognised if the
largest of all outputs is its class's. Runs and learning rates go side by side, in blocks that fit into memory. Features,
runs and generator are on one device.

Shape suffixes: K classes of a split, R runs, L learning rates, N images, F features, C outputs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from hyperlearning.evaluation.recognition import Accuracy, ClassFeatures, Split, check_runs
from hyperlearning.learners.last_layer import LastLayers, draw_last_layers, learn_one_by_one
from hyperlearning.learners.optimizers import OptimizerName
from hyperlearning.streams.trajectories import TRAIN_IMAGES, MetaTestRuns

PUBLISHED_OUTPUTS = 1000

Selection = Literal["training accuracy", "meta-train classes"]

_BLOCK_BYTES = 1 << 29


class ChosenRate(NamedTuple):
    """A learning rate and how it was chosen.

    Attributes:
        lr: The rate.
        how: The rule in words, for the run record.
        scores: The mean accuracy that each candidate was judged by.
    """

    lr: float
    how: str
    scores: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class LayerRule:
    """How a layer learns.

    Attributes:
        num_outputs: Outputs of the layer; a class's output is its number in the split. The publications have 1000.
        optimizer: "adam" or "sgd".
        zero_start: Whether a layer's first weights are 0 instead of drawn.
        cosine: Whether, once learned, every output's weights are scaled to length 1 and biases dropped: outputs then compare
            angles. With a zero start and a small rate of SGD the layer then holds prototypes.
    """

    num_outputs: int = PUBLISHED_OUTPUTS
    optimizer: OptimizerName = "adam"
    zero_start: bool = False
    cosine: bool = False


PUBLISHED = LayerRule()
"""Adam on a layer that begins at random, as the publications have it."""


def class_features(
    network: Callable[[Tensor], Tensor],
    images: Tensor,
    *,
    split: Split,
    train_images: int = TRAIN_IMAGES,
    batch_size: int = 256,
) -> ClassFeatures:
    """Computes the features of all images once.

    Args:
        network: Maps images (N, channels, height, width) to features (N, F).
        images: Images by class as the network takes them, (K, n, channels, height, width).
        split: Which classes they are.
        train_images: Images of a class to learn, the first ones; the rest is held out.
        batch_size: Images at a time.

    Raises:
        ValueError: If no image is left to hold out.
    """
    if not 0 < train_images < images.shape[1]:
        raise ValueError(f"Expected `train_images` from 1 to {images.shape[1] - 1}, but got {train_images}.")
    with torch.no_grad():
        features = torch.cat([network(some) for some in images.flatten(0, 1).split(batch_size)])
    by_class = features.unflatten(0, images.shape[:2])
    return ClassFeatures(train=by_class[:, :train_images], held_out=by_class[:, train_images:], split=split)


def meta_test(
    features: ClassFeatures, runs: MetaTestRuns, generator: torch.Generator, *, lr: float, rule: LayerRule = PUBLISHED
) -> Accuracy:
    """Makes all runs at one learning rate.

    Args:
        features: Features of the classes that the runs are drawn from.
        runs: The runs; shuffled ones give joint training, the oracle.
        generator: Source of the layers' first weights.
        lr: Learning rate.
        rule: How the layer learns.

    Returns:
        Accuracies of every run, (R,).

    Raises:
        ValueError: If the runs do not belong to the features, a class has no output, or the rate is not positive.
    """
    judged = (features.train, features.held_out)
    memory, held_out = _shares(judged, features, runs, generator, lrs=(lr,), rule=rule)[:, :, 0]
    return Accuracy(memory[0], held_out[0], memory[1], held_out[1])


def choose_lr(
    candidates: Sequence[float],
    features: ClassFeatures,
    runs: MetaTestRuns,
    generator: torch.Generator,
    *,
    by: Selection,
    rule: LayerRule = PUBLISHED,
) -> ChosenRate:
    """Chooses the learning rate of the highest mean accuracy, the lowest one of several equals, without the reported images.

    By "training accuracy" it looks at the images learned and at no others. By "meta-train classes" it looks at held-out
    images of classes that the meta-test never reports.

    Args:
        candidates: Rates to try.
        features: Features of the classes that the runs are drawn from.
        runs: Runs to try them on, other than those reported.
        generator: Source of the layers' first weights.
        by: What is looked at.
        rule: How the layer learns.

    Raises:
        ValueError: If there are no candidates, "meta-train classes" are asked for and the classes are not, or as for
            `meta_test`.

    Source: Javed and White select by training accuracy; ANML's program selects on the images that it reports, which this
        function cannot do.
    """
    if not candidates:
        raise ValueError("Expected one or more `candidates`, but got none.")
    if by == "meta-train classes" and features.split != "meta-train":
        raise ValueError(f"Expected features of meta-train classes to select on, but got those of {features.split}.")
    judged, what = (
        (features.train, "images learned") if by == "training accuracy" else (features.held_out, "held-out images")
    )
    shares = _shares((judged,), features, runs, generator, lrs=candidates, rule=rule)
    scores = shares[0, 0].mean(1).tolist()
    best = min(lr for lr, score in zip(candidates, scores, strict=True) if score == max(scores))
    how = (
        f"highest mean accuracy on {what} of {features.split} classes, over {len(runs.classes)} runs of "
        f"{runs.classes.shape[1]} classes, among {', '.join(f'{lr:g}' for lr in candidates)}"
    )
    return ChosenRate(best, how, tuple(scores))


def _shares(
    judged: Sequence[Tensor],
    features: ClassFeatures,
    runs: MetaTestRuns,
    generator: torch.Generator,
    *,
    lrs: Sequence[float],
    rule: LayerRule,
) -> Tensor:
    """Makes all runs at all rates, each from the same first weights.

    Returns:
        What of each of the `judged` images (K, n, F) is recognised among all outputs, and among those of the run's classes:
        (judged, 2, L, R).
    """
    blocks = [
        torch.stack([_score(layers, images, classes, len(lrs)) for images in judged])
        for classes, layers in _learned_blocks(features, runs, generator, lrs, rule)
    ]
    return torch.cat(blocks, dim=-1)


def _learned_blocks(
    features: ClassFeatures, runs: MetaTestRuns, generator: torch.Generator, lrs: Sequence[float], rule: LayerRule
) -> Iterator[tuple[Tensor, LastLayers]]:
    """Trains blocks of runs: yields the classes of some (runs, classes) and their layers (runs * L, run by run)."""
    check_runs(features, runs)
    if int(runs.classes.max()) >= rule.num_outputs:
        raise ValueError(
            f"Expected `num_outputs` above {int(runs.classes.max())}, the highest class, but got {rule.num_outputs}."
        )
    train_NF = features.train.flatten(0, 1).contiguous()
    bytes_per_run = train_NF.shape[1] * rule.num_outputs * train_NF.element_size() * len(lrs)
    size = max(torch.get_num_threads() // len(lrs), _BLOCK_BYTES // bytes_per_run, 1)
    for classes, order, places in zip(*(part.split(size) for part in runs), strict=True):
        drawn = draw_last_layers(len(classes), train_NF.shape[1], rule.num_outputs, generator, dtype=train_NF.dtype)
        if rule.zero_start:
            drawn = LastLayers(*(torch.zeros_like(tensor) for tensor in drawn))
        layers = learn_one_by_one(
            LastLayers(*(tensor.repeat_interleave(len(lrs), dim=0) for tensor in drawn)),
            train_NF,
            order.repeat_interleave(len(lrs), dim=0),
            classes.gather(1, places).repeat_interleave(len(lrs), dim=0),
            lrs=torch.tensor(lrs, dtype=torch.float64, device=train_NF.device).repeat(len(classes)),
            optimizer=rule.optimizer,
        )
        yield classes, _unit(layers) if rule.cosine else layers


def _unit(layers: LastLayers) -> LastLayers:
    """Scales every output's weights to length 1 and drops biases."""
    return LastLayers(normalize(layers.weight, dim=1), torch.zeros_like(layers.bias))


def _score(layers: LastLayers, images_KnF: Tensor, runs_classes: Tensor, num_lrs: int) -> Tensor:
    """Shares recognised among all outputs and among those of the run's classes: (2, L, runs)."""
    shares = torch.empty(2, num_lrs, len(runs_classes))
    for run, classes in enumerate(runs_classes):
        images_NF = images_KnF[classes].flatten(0, 1)
        wanted = classes.repeat_interleave(images_KnF.shape[1])
        for lr in range(num_lrs):
            layer = run * num_lrs + lr
            logits_NC = torch.addmm(layers.bias[layer], images_NF, layers.weight[layer])
            shares[0, lr, run] = (logits_NC.argmax(1) == wanted).float().mean()
            shares[1, lr, run] = (classes[logits_NC[:, classes].argmax(1)] == wanted).float().mean()
    return shares
