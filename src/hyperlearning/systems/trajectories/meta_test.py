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
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from hyperlearning.learners.last_layer import LastLayerBackend, LastLayers, draw_last_layers, learn_one_by_one
from hyperlearning.learners.optimizers import OptimizerName
from hyperlearning.streams.trajectories import TRAIN_IMAGES, MetaTestRuns

PUBLISHED_OUTPUTS = 1000

Split = Literal["meta-train", "meta-test"]
Selection = Literal["training accuracy", "meta-train classes"]

_BLOCK_BYTES = 1 << 29


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
    """Shares of images recognised, of 1, one value a run or one a learning rate and run.

    Attributes:
        memory: Of the images learned, the largest of all outputs taken.
        held_out: Of held-out images of the same classes, likewise.
        memory_in_run: As `memory`, the largest output among those of the run's classes taken.
        held_out_in_run: As `held_out`, likewise.
    """

    memory: Float[Tensor, "*runs"]
    held_out: Float[Tensor, "*runs"]
    memory_in_run: Float[Tensor, "*runs"]
    held_out_in_run: Float[Tensor, "*runs"]


class LrChoice(NamedTuple):
    """A learning rate and how it was chosen.

    Attributes:
        lr: The rate.
        how: The rule in words, for the run record.
        candidates: The rates tried.
        scores: The mean accuracy that each was judged by.
    """

    lr: float
    how: str
    candidates: tuple[float, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a layer learns.

    Attributes:
        num_outputs: Outputs of the layer; a class's output is its number in the split. The publications have 1000. None:
            one output for each of the run's classes, and no others.
        optimizer: "adam" or "sgd".
        backend: How Adam is computed.
        zero_start: Whether a layer's first weights are 0 instead of drawn.
        cosine: Whether, once learned, every output's weights are scaled to length 1 and biases dropped: outputs then compare
            angles. With a zero start and a small rate of SGD the layer then holds prototypes.
    """

    num_outputs: int | None = PUBLISHED_OUTPUTS
    optimizer: OptimizerName = "adam"
    backend: LastLayerBackend = "auto"
    zero_start: bool = False
    cosine: bool = False


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
    features: ClassFeatures,
    runs: MetaTestRuns,
    generator: torch.Generator,
    *,
    lr: float,
    protocol: Protocol | None = None,
) -> Accuracy:
    """Makes all runs at one learning rate.

    Args:
        features: Features of the classes that the runs are drawn from.
        runs: The runs; shuffled ones give joint training, the oracle.
        generator: Source of the layers' first weights.
        lr: Learning rate.
        protocol: How the layer learns; as published if absent.

    Returns:
        Accuracies of every run, (R,).

    Raises:
        ValueError: If the runs do not belong to the features, a class has no output, or the rate is not positive.
    """
    return _first(sweep_lrs(features, runs, generator, lrs=[lr], protocol=protocol))


def sweep_lrs(
    features: ClassFeatures,
    runs: MetaTestRuns,
    generator: torch.Generator,
    *,
    lrs: Sequence[float],
    protocol: Protocol | None = None,
) -> Accuracy:
    """Makes all runs at several learning rates, each run from the same first weights: accuracies (L, R).

    Args and errors are those of `meta_test`.
    """
    blocks = list(meta_test_blocks(features, runs, generator, lrs=lrs, protocol=protocol))
    return Accuracy(*(torch.cat(parts, dim=1) for parts in zip(*blocks, strict=True)))


def meta_test_blocks(
    features: ClassFeatures,
    runs: MetaTestRuns,
    generator: torch.Generator,
    *,
    lrs: Sequence[float],
    protocol: Protocol | None = None,
) -> Iterator[Accuracy]:
    """Yields accuracies (L, some runs) block by block of runs, so that the caller can show how far it is.

    Args and errors are those of `meta_test`.
    """
    for some, layers, outputs in _learned_blocks(features.train, runs, generator, lrs, protocol or Protocol()):
        memory = _score(layers, features.train, some, outputs, len(lrs))
        held_out = _score(layers, features.held_out, some, outputs, len(lrs))
        yield Accuracy(memory[0], held_out[0], memory[1], held_out[1])


def choose_lr(
    candidates: Sequence[float],
    features: ClassFeatures,
    runs: MetaTestRuns,
    generator: torch.Generator,
    *,
    by: Selection,
    protocol: Protocol | None = None,
) -> LrChoice:
    """Chooses the learning rate of the highest mean accuracy, the lowest one of several equals, without the reported images.

    By "training accuracy" it looks at the images learned and at no others. By "meta-train classes" it looks at held-out
    images of classes that the meta-test never reports.

    Args:
        candidates: Rates to try.
        features: Features of the classes that the runs are drawn from.
        runs: Runs to try them on, other than those reported.
        generator: Source of the layers' first weights.
        by: The rule.
        protocol: How the layer learns; as published if absent.

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
    scores = torch.cat(
        [
            _score(layers, judged, some, outputs, len(candidates))[0]
            for some, layers, outputs in _learned_blocks(
                features.train, runs, generator, candidates, protocol or Protocol()
            )
        ],
        dim=1,
    ).mean(1)
    best = min(lr for lr, score in zip(candidates, scores.tolist(), strict=True) if score == scores.max().item())
    how = (
        f"highest mean accuracy on {what} of {features.split} classes, over {len(runs.classes)} runs of "
        f"{runs.classes.shape[1]} classes, among {', '.join(f'{lr:g}' for lr in candidates)}"
    )
    return LrChoice(best, how, tuple(candidates), tuple(scores.tolist()))


def prototypes(
    features: ClassFeatures, runs: MetaTestRuns, *, metric: Literal["euclidean", "cosine"] = "euclidean"
) -> Accuracy:
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
    _check_runs(features.train, runs)
    if metric not in ("euclidean", "cosine"):
        raise ValueError(f"Expected a metric among ['cosine', 'euclidean'], but got '{metric}'.")
    means_KF = features.train.double().mean(1)
    memory, held_out = (
        _nearest(_closeness(images.double(), means_KF, metric), runs) for images in (features.train, features.held_out)
    )
    return Accuracy(memory, held_out, memory, held_out)


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


def _learned_blocks(
    train_KnF: Tensor, runs: MetaTestRuns, generator: torch.Generator, lrs: Sequence[float], protocol: Protocol
) -> Iterator[tuple[MetaTestRuns, LastLayers, Tensor]]:
    """Trains blocks of runs: yields the block, its layers (runs * L, run by run) and the classes' outputs (runs, classes)."""
    _check_runs(train_KnF, runs)
    outputs, num_outputs = _outputs(runs, protocol.num_outputs)
    features = train_KnF.flatten(0, 1).contiguous()
    bytes_per_run = features.shape[1] * num_outputs * features.element_size() * len(lrs)
    size = max(torch.get_num_threads() // len(lrs), _BLOCK_BYTES // bytes_per_run, 1)
    blocks = (part.split(size) for part in (*runs, outputs))
    for classes, order, places, some_outputs in zip(*blocks, strict=True):
        drawn = draw_last_layers(len(classes), features.shape[1], num_outputs, generator, dtype=features.dtype)
        if protocol.zero_start:
            drawn = LastLayers(*(torch.zeros_like(tensor) for tensor in drawn))
        layers = learn_one_by_one(
            LastLayers(*(tensor.repeat_interleave(len(lrs), dim=0) for tensor in drawn)),
            features,
            order.repeat_interleave(len(lrs), dim=0),
            some_outputs.gather(1, places).repeat_interleave(len(lrs), dim=0),
            lrs=torch.tensor(lrs, dtype=torch.float64, device=features.device).repeat(len(classes)),
            optimizer=protocol.optimizer,
            backend=protocol.backend,
        )
        yield MetaTestRuns(classes, order, places), _unit(layers) if protocol.cosine else layers, some_outputs


def _unit(layers: LastLayers) -> LastLayers:
    return LastLayers(normalize(layers.weight, dim=1), torch.zeros_like(layers.bias))


def _score(layers: LastLayers, images_KnF: Tensor, runs: MetaTestRuns, outputs: Tensor, num_lrs: int) -> Tensor:
    """Shares recognised among all outputs and among those of the run's classes: (2, L, runs)."""
    shares = torch.empty(2, num_lrs, len(runs.classes))
    for run, (classes, own) in enumerate(zip(runs.classes, outputs, strict=True)):
        images_NF = images_KnF[classes].flatten(0, 1)
        wanted = own.repeat_interleave(images_KnF.shape[1])
        for lr in range(num_lrs):
            layer = run * num_lrs + lr
            logits_NC = torch.addmm(layers.bias[layer], images_NF, layers.weight[layer])
            shares[0, lr, run] = (logits_NC.argmax(1) == wanted).float().mean()
            shares[1, lr, run] = (own[logits_NC[:, own].argmax(1)] == wanted).float().mean()
    return shares


def _outputs(runs: MetaTestRuns, num_outputs: int | None) -> tuple[Tensor, int]:
    """Every class's output, (R, classes), and how many outputs there are."""
    if num_outputs is None:
        num_classes = runs.classes.shape[1]
        return torch.arange(num_classes, device=runs.classes.device).expand_as(runs.classes), num_classes
    if int(runs.classes.max()) >= num_outputs:
        raise ValueError(
            f"Expected `num_outputs` above {int(runs.classes.max())}, the highest class, but got {num_outputs}."
        )
    return runs.classes, num_outputs


def _check_runs(train_KnF: Tensor, runs: MetaTestRuns) -> None:
    num_classes, num_images = train_KnF.shape[:2]
    if int(runs.classes.max()) >= num_classes:
        raise ValueError(f"Expected runs among {num_classes} classes, but got class {int(runs.classes.max())}.")
    drawn = runs.order.shape[1] // runs.classes.shape[1]
    if drawn != num_images:
        raise ValueError(f"Expected runs of {num_images} training images a class, but got {drawn}.")


def _first(accuracy: Accuracy) -> Accuracy:
    return Accuracy(*(part[0] for part in accuracy))
