"""Which task an image is of, where nobody says so: by a small density a task, by how sure its network is, by an innate embedding.

The text leaves it open (dissertation, sections 2.5.1 and 2.5.2): its networks are told.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from hyperlearning.core.params import Params
from hyperlearning.core.seeding import generator
from hyperlearning.core.weight_vectors import num_bytes
from hyperlearning.learners.closed_form.discriminant import LinearDiscriminant
from hyperlearning.streams.binary_tasks import TaskData
from hyperlearning.systems.selfnet.lines import InferenceLine
from hyperlearning.systems.selfnet.settings import InferenceSettings
from hyperlearning.systems.selfnet.tasks import Tasks

Scores = Float[Tensor, "images tasks"]

RULES = ("known", "entropy", "density", "embedding", "no_network")
"""Ways to infer, the first of which is told."""


class Density:
    """A Gaussian of images with few directions, fitted once: probabilistic principal components, in float16.

    Args:
        images: What it is of, (N, C, H, W).
        num_components: Directions, r.
        pool: Side of the squares of pixels that are averaged first.

    Source: Tipping and Bishop, "Probabilistic principal component analysis" (1999), equations 7 and 8.
    """

    def __init__(self, images: Float[Tensor, "N C H W"], *, num_components: int, pool: int) -> None:
        self._pool = pool
        pixels_ND = self._pixels(images)
        apart_ND = pixels_ND - pixels_ND.mean(0)
        _, lengths, directions_RD = torch.linalg.svd(apart_ND, full_matrices=False)
        variances = lengths.square() / len(images)
        num_rest = max(1, pixels_ND.shape[1] - num_components)
        rest = (variances[num_components:].sum() / num_rest).clamp(min=1e-4)
        self.kept: Params = {
            "mean": pixels_ND.mean(0).half(),
            "directions": directions_RD[:num_components].half(),
            "variances": variances[:num_components].clamp(min=float(rest)),
            "rest": rest[None],
        }

    def _pixels(self, images: Tensor) -> Tensor:
        return avg_pool2d(images, self._pool, ceil_mode=True).flatten(1)

    def log_likelihood(self, images: Float[Tensor, "N C H W"]) -> Float[Tensor, " N"]:
        """The logarithm of the density at every image, but for a constant that all densities share."""
        apart_ND = self._pixels(images) - self.kept["mean"].float()
        along_NR = apart_ND @ self.kept["directions"].float().T
        rest, variances = self.kept["rest"], self.kept["variances"]
        far_N = (along_NR.square() / variances).sum(1) + (apart_ND.square().sum(1) - along_NR.square().sum(1)) / rest
        num_rest = apart_ND.shape[1] - len(variances)
        return -(far_N + variances.log().sum() + num_rest * rest.log()) / 2


class Embedding:
    """Rectified random projections of pixels, innate since they follow from a seed, and a streaming linear discriminant on them.

    Args:
        num_pixels: Numbers of an image.
        num_features: Projections.
        num_labels: Labels of all tasks together.
        seed: Of the projections.
    """

    def __init__(self, num_pixels: int, *, num_features: int, num_labels: int, seed: int) -> None:
        source = generator(seed, "innate embedding")
        self._projection = torch.randn(num_pixels, num_features, generator=source) / math.sqrt(num_pixels)
        self._readout = LinearDiscriminant(num_features, num_labels)

    def learn(self, images: Tensor, labels: Int64[Tensor, " N"]) -> None:
        """Takes labelled images in, one after another."""
        for features, label in zip(self._features(images), labels, strict=True):
            self._readout.learn(features, label)

    def scores(self, images: Tensor) -> Float[Tensor, "N labels"]:
        """A logit for every label."""
        return self._readout.predict(self._features(images))

    def num_bytes(self) -> int:
        """Of what is learned."""
        return num_bytes(self._readout.state)

    def _features(self, images: Tensor) -> Tensor:
        return (images.flatten(1) @ self._projection).relu()


@torch.no_grad()
def said_by(networks: Sequence[nn.Module], images: Tensor) -> Float[Tensor, "images tasks outputs"]:
    """Log-probabilities that the network of every task gives."""
    return torch.stack([network(images).log_softmax(1) for network in networks], 1)


def negative_entropy(said: Float[Tensor, "images tasks outputs"]) -> Scores:
    """How sure every network is: `sum p log p`, from log-probabilities, so that a probability of 0 adds nothing."""
    return torch.special.xlogy(said.exp(), said.exp()).sum(2)


class _Seen(NamedTuple):
    """Images of every task that is to be inferred.

    Attributes:
        images: Of all tasks.
        labels: As their tasks have them.
        tasks: Which task each is of.
    """

    images: Tensor
    labels: Tensor
    tasks: Tensor


def infer_tasks(
    tasks: Tasks, networks: Sequence[nn.Module], settings: InferenceSettings, *, seed: int
) -> Iterator[InferenceLine]:
    """Infers tasks after the last of them in every way.

    Where a task is one class against others, only images of that class belong to one task alone: they are what is inferred, and a
    network is as sure of its task as it is of label 1.

    Args:
        tasks: The tasks.
        networks: The network of every task, as it is recollected.
        settings: Sizes.
        seed: Of the embedding, and of the order of examples.
    """
    seen = _seen(tasks, settings)
    said = said_by(networks, seen.images)
    own = said[torch.arange(len(said)), seen.tasks].argmax(1)
    yield _line("known", "told", "which task an image is of is known", tasks, seen, seen.tasks, own, 0)
    sure = said[:, :, 1] if tasks.one_class else negative_entropy(said)
    yield _inferred("entropy", "surest network", _SUREST[tasks.one_class], tasks, seen, sure, said, 0)
    learned = [_of_task(tasks, number, "train", settings.inference_images) for number in range(len(tasks))]
    densities = [
        Density(data.images, num_components=settings.density_components, pool=settings.density_pool) for data in learned
    ]
    likely = torch.stack([density.log_likelihood(seen.images) for density in densities], 1)
    kept = sum(num_bytes(density.kept) for density in densities)
    note = f"the task whose images' Gaussian with {settings.density_components} directions is densest at the image"
    yield _inferred("density", "density of images", note, tasks, seen, likely, said, kept)
    yield from _by_embedding(tasks, learned, seen, said, settings, seed)


_SUREST = {
    False: "the task whose network has the least entropy",
    True: "the task whose network gives label 1 the most probability",
}


def _by_embedding(
    tasks: Tasks, learned: Sequence[TaskData], seen: _Seen, said: Tensor, settings: InferenceSettings, seed: int
) -> Iterator[InferenceLine]:
    per_task = 1 if tasks.one_class else tasks.num_outputs
    embedding = Embedding(
        learned[0].images[0].numel(),
        num_features=settings.embedding_features,
        num_labels=per_task * len(tasks),
        seed=seed,
    )
    for number, data in enumerate(learned):
        order = torch.randperm(len(data.labels), generator=generator(seed, f"embedding, task {number}"))
        labels = data.labels * 0 if tasks.one_class else data.labels
        embedding.learn(data.images[order], number * per_task + labels[order])
    scores = embedding.scores(seen.images).reshape(len(seen.tasks), len(tasks), per_task)
    note = (
        f"{settings.embedding_features} rectified random projections, and a streaming linear discriminant of all labels"
    )
    kept = embedding.num_bytes()
    yield _inferred("embedding", "innate embedding", note, tasks, seen, scores.amax(2), said, kept)
    chosen = scores.amax(2).argmax(1)
    labels = torch.ones_like(chosen) if tasks.one_class else scores[torch.arange(len(chosen)), chosen].argmax(1)
    yield _line(
        "no_network", "innate embedding alone", "its label too, and no network", tasks, seen, chosen, labels, kept
    )


def _inferred(
    rule: str, title: str, note: str, tasks: Tasks, seen: _Seen, scores: Scores, said: Tensor, kept: int
) -> InferenceLine:
    chosen = scores.argmax(1)
    labels = said[torch.arange(len(said)), chosen].argmax(1)
    return _line(rule, title, note, tasks, seen, chosen, labels, kept)


def _line(
    rule: str, title: str, note: str, tasks: Tasks, seen: _Seen, chosen: Tensor, labels: Tensor, kept: int
) -> InferenceLine:
    found = chosen == seen.tasks
    if tasks.one_class:
        right = found if rule != "known" else labels == 1
    else:
        right = (labels == seen.labels) & (found | tasks.labels_are_shared)
    numbers = range(len(tasks))
    return InferenceLine(
        rule=rule,
        title=title,
        note=note,
        found=tuple(round(float(found[seen.tasks == number].float().mean()), 5) for number in numbers),
        right=tuple(round(float(right[seen.tasks == number].float().mean()), 5) for number in numbers),
        num_bytes=kept,
    )


def _seen(tasks: Tasks, settings: InferenceSettings) -> _Seen:
    data = [_of_task(tasks, number, "test", settings.inferred_images) for number in range(len(tasks))]
    numbers = [torch.full_like(own.labels, number) for number, own in enumerate(data)]
    return _Seen(torch.cat([own.images for own in data]), torch.cat([own.labels for own in data]), torch.cat(numbers))


def _of_task(tasks: Tasks, number: int, split: str, most: int) -> TaskData:
    data = tasks.train(number) if split == "train" else tasks.test(number)
    if tasks.one_class:
        data = TaskData(data.images[data.labels == 1], data.labels[data.labels == 1])
    order = torch.randperm(len(data.labels), generator=generator(number, f"images of {split} that are inferred"))[:most]
    return TaskData(data.images[order], data.labels[order])
