"""Networks of several architectures with their tasks: five for digits, one for colour images, one of a user's.

Source: dissertation, section 2.4.8.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from hyperlearning.core.expect import Count, check_ranges
from hyperlearning.core.seeding import generator
from hyperlearning.data.images import load
from hyperlearning.streams.binary_tasks import TaskData, draw_binary_tasks, examples_of
from hyperlearning.systems.selfnet.robust_networks import RobustnessData, network_set
from hyperlearning.systems.selfnet.settings import TaskTraining
from hyperlearning.systems.selfnet.task_networks import ColourNetwork, train_by_adam, train_task

NUM_SMALL = 5
"""Networks for digits beside the one for colour images (text: 5)."""
COLOUR, ROWS = "colour", "rows"
"""Names of the network for colour images, and of a user's."""
_ROWS_EPOCHS, _ROWS_LR = 12, 0.01
_SIDE = 32


@dataclass(frozen=True, kw_only=True)
class SplitsData:
    """What networks are trained on."""

    dataset: Literal["published", "digits"] = "published"
    """CIFAR-10 and MNIST; digits, in colours too, for a machine without data."""
    most_images: Count = 2000
    """The most images of a class that a network is to recognise."""
    test_images: Count = 1000
    """The most that it is tested on, likewise."""
    data_root: str = ""
    """Where data lie; HYPERLEARNING_DATA, or the user's cache, if empty."""

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def colours(self) -> str:
        """The set that colour images are of."""
        return "cifar10" if self.dataset == "published" else "digits"

    @property
    def small(self) -> Literal["split-mnist", "digits"]:
        """The networks for digits."""
        return "split-mnist" if self.dataset == "published" else "digits"


class RowReader(nn.Module):
    """Reads an image of 8 x 8 row by row: batch norm, an LSTM and a dense layer. It stands for a network of a user's.

    Args:
        source: Source of first weights.
    """

    def __init__(self, source: torch.Generator) -> None:
        super().__init__()
        self.norm, self.reader, self.output = nn.BatchNorm1d(8), nn.LSTM(8, 64, batch_first=True), nn.Linear(64, 10)
        with torch.no_grad():
            for tensor in (*self.reader.parameters(), *self.output.parameters()):
                tensor.uniform_(-(64**-0.5), 64**-0.5, generator=source)

    def forward(self, images: Tensor) -> Tensor:
        """Scores ten digits, given images (N, 1, 8, 8)."""
        states, _ = self.reader(self.norm(images[:, 0]))
        return self.output(states[:, -1])


class Taught(NamedTuple):
    """A network with its task.

    Attributes:
        title: What a figure calls it.
        first: The random network that it begins at.
        data: Maps a split, "train" or "test", to its examples.
        train: Trains it on them, in place.
    """

    title: str
    first: nn.Module
    data: Callable[[str], TaskData]
    train: Callable[[nn.Module, TaskData, torch.Generator], None]


def taught_networks(data: SplitsData, training: TaskTraining, seed: int, repetition: int) -> Mapping[str, Taught]:
    """Lists the networks of a repetition: five for digits, one for colour images, one of a user's.

    Raises:
        AbsentDataError: If a data set is not there; the message names the command that fetches it.
    """
    own = f", repetition {repetition}"
    small = network_set(
        data.small,
        RobustnessData(
            num_networks=NUM_SMALL,
            most_images=data.most_images,
            test_images=data.test_images,
            data_root=data.data_root,
        ),
        seed + repetition,
    )

    def by_sgd(network: nn.Module, examples: TaskData, source: torch.Generator) -> None:
        train_task(network, examples, training, source)

    def by_adam(network: nn.Module, examples: TaskData, source: torch.Generator) -> None:
        network.train()
        train_by_adam(network, examples, source, lr=_ROWS_LR, num_epochs=_ROWS_EPOCHS, batch=training.task_batch)
        network.eval()

    colour = ColourNetwork(generator(seed, f"colour network{own}"), num_outputs=2)
    reader = RowReader(generator(seed, f"row reader{own}")).eval()
    made = {
        f"digit-{number + 1}": Taught(f"digits {number + 1}", small.first(), partial(small.data, number), by_sgd)
        for number in range(NUM_SMALL)
    }
    made[COLOUR] = Taught("colour images", colour, partial(_colour_examples, data, seed, repetition), by_sgd)
    made[ROWS] = Taught("a user's", reader, partial(_row_examples, data), by_adam)
    return made


def _colour_examples(data: SplitsData, seed: int, repetition: int, which: str) -> TaskData:
    """One class against all others, about as many of them, as images of 32 x 32 in three colours from -1 to 1."""
    images = load(data.colours, which, root=Path(data.data_root) if data.data_root else None)
    tasks = draw_binary_tasks(10, generator(seed, "colour tasks"), num_negatives=9)
    most = data.most_images if which == "train" else data.test_images
    found = examples_of(images, tasks[repetition % len(tasks)], negative_share=1 / 9, most=min(most, len(images)))
    coloured = found.images.expand(-1, 3, -1, -1)
    if coloured.shape[-1] != _SIDE:
        coloured = interpolate(coloured, size=(_SIDE, _SIDE), mode="bilinear", align_corners=False)
    return TaskData((coloured - 0.5) / 0.5, found.labels)


def _row_examples(data: SplitsData, which: str) -> TaskData:
    """As many images in all as there may be of ten classes."""
    digits, most = load("digits", which), 10 * (data.most_images if which == "train" else data.test_images)
    return TaskData(digits.images[:most].float() / 255, digits.labels[:most])
