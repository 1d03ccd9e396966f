"""Tasks of a stream with their examples, and the target network that learns one of them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from hyperlearning.core.seeding import generator
from hyperlearning.data.images import ImageSet, load
from hyperlearning.networks.first_weights import draw_weights
from hyperlearning.streams.binary_tasks import TaskData
from hyperlearning.streams.image_tasks import held_out, of_classes, permuted
from hyperlearning.systems.hypernetworks.continual_settings import ContinualTaskSettings

_MAPS, _PATCH = (16, 32), 5


class Tasks:
    """Tasks, each with as many labels.

    Args:
        settings: Which.
        seed: What is random about them follows from it.
        validation: Whether tasks are other ones of the same kind, from images to learn from alone.

    Raises:
        ValueError: If there are too few classes.
        AbsentDataError: If the data set is not there; the message names the command that fetches it.
    """

    def __init__(self, settings: ContinualTaskSettings, seed: int, *, validation: bool = False) -> None:
        self._settings, self._seed, self._validation = settings, seed, validation
        root = Path(settings.data_root) if settings.data_root else None
        train, test = (load(settings.dataset, split, root=root) for split in ("train", "test"))
        if validation:
            train, test = held_out(train)
        self._splits = {"train": train, "test": test}
        self.shape = tuple(train.images.shape[1:])
        size = train.num_classes // settings.num_tasks
        if settings.shifted and settings.stream == "permuted":
            raise ValueError("Expected no `shifted` images of permuted pixels, which have no neighbours.")
        if settings.stream == "split" and size < 2:
            most = train.num_classes // 2
            raise ValueError(
                f"Expected at most {most} tasks of two classes or more of {settings.dataset}, but got {settings.num_tasks}."
            )
        self.num_outputs = size if settings.stream == "split" else train.num_classes
        self._known: dict[tuple[int, str], TaskData] = {}

    def __len__(self) -> int:
        """Returns the number of tasks."""
        return self._settings.num_tasks

    @property
    def titles(self) -> tuple[str, ...]:
        """What each is called."""
        if self._settings.stream == "permuted":
            return tuple(f"permutation {number + 1}" for number in range(len(self)))
        return tuple(", ".join(map(str, self._classes(number))) for number in range(len(self)))

    def train(self, number: int) -> TaskData:
        """What a task is learned from; pixels from 0 to 1."""
        data = self._of(number, "train", self._settings.most_images)
        return _with_shifted(data) if self._settings.shifted else data

    def test(self, number: int) -> TaskData:
        """What it is tested on."""
        if (number, "test") not in self._known:
            self._known[number, "test"] = self._of(number, "test", self._settings.test_images)
        return self._known[number, "test"]

    def network(self, *, num_outputs: int | None = None) -> nn.Sequential:
        """The target network, with its first weights."""
        units = (*self._settings.units, num_outputs or self.num_outputs)
        return target_network(
            self._settings.target, self.shape, units, generator(self._seed, "first weights of the target")
        )

    @property
    def num_weights(self) -> int:
        """Weights of a network of one task."""
        return sum(tensor.numel() for tensor in self.network().parameters())

    def _classes(self, number: int) -> tuple[int, ...]:
        shift = 1 if self._validation else 0  # Other classes meet, in trials.
        num_classes = self._splits["train"].num_classes
        return tuple((self.num_outputs * number + place + shift) % num_classes for place in range(self.num_outputs))

    def _of(self, number: int, split: str, most: int) -> TaskData:
        images = self._splits[split]
        if self._settings.stream == "split":
            picked = of_classes(images, self._classes(number), most=min(most, len(images)))
            return TaskData(_pixels(picked), picked.labels)
        some = replace(images, images=images.images[:most], labels=images.labels[:most])
        purpose = "validation permutation" if self._validation else "permutation"
        return TaskData(permuted(_pixels(some), generator(self._seed, f"{purpose} {number}")), some.labels)


def _with_shifted(data: TaskData) -> TaskData:
    """Images, and again by a pixel down, up, right and left; what leaves on one side comes in on the other."""
    shifts = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
    images = torch.cat([data.images.roll(shift, (2, 3)) for shift in shifts])
    return TaskData(images, data.labels.repeat(len(shifts)))


def _pixels(images: ImageSet) -> Tensor:
    return images.images.float() / 255


def target_network(kind: str, shape: tuple[int, ...], units: tuple[int, ...], source: torch.Generator) -> nn.Sequential:
    """Makes a target network.

    Args:
        kind: "dense", or "convolutional" for two convolutions of 5 x 5, each with ReLU and pooling, before dense layers.
        shape: Of an image.
        units: Of dense layers, the last of which gives outputs.
        source: Of first weights.
    """
    layers: list[nn.Module] = []
    channels, *sides = shape
    if kind == "convolutional":
        for maps in _MAPS:
            layers += [nn.Conv2d(channels, maps, _PATCH, padding=_PATCH // 2), nn.ReLU(), nn.MaxPool2d(2)]
            channels, sides = maps, [side // 2 for side in sides]
    layers.append(nn.Flatten())
    size = channels * sides[0] * sides[1]
    for place, width in enumerate(units):
        layers += [nn.Linear(size, width), *([nn.ReLU()] if place < len(units) - 1 else [])]
        size = width
    network = nn.Sequential(*layers)
    draw_weights(network, source)
    return network


Scores = Callable[[Tensor], Tensor]
"""Maps images (M, ...) to what the networks of all tasks say, (T, M, outputs)."""
