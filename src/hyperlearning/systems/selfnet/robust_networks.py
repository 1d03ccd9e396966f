"""Networks that are trained to be disturbed: of permuted MNIST, of one digit against others, of CIFAR-10."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor, nn

from hyperlearning.core.expect import Count, Within, check_ranges
from hyperlearning.core.seeding import generator
from hyperlearning.data.images import ImageSet, load
from hyperlearning.streams.binary_tasks import TaskData, draw_binary_tasks, examples_of
from hyperlearning.systems.selfnet.task_networks import ColourNetwork, TaskNetwork, standardised

SetName = Literal["permuted-mnist", "split-mnist", "cifar10", "digits"]


@dataclass(frozen=True, kw_only=True)
class RobustnessData:
    """Which networks are disturbed."""

    dataset: Literal["all", SetName] = "all"
    """permuted-mnist, split-mnist or cifar10, or all three; digits, one against others, for a machine without data."""
    num_networks: Annotated[int, Within(2, 100)] = 3
    """Networks of each set: of other permutations, other digits, another order of images."""
    most_images: Count = 20_000
    """The most images that a network learns from; of one digit against others, of each."""
    test_images: Count = 2000
    """The most that it is tested on, likewise."""
    data_root: str = ""
    """Where data lie; HYPERLEARNING_DATA, or the user's cache, if empty."""

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def sets(self) -> tuple[SetName, ...]:
        """Sets by name."""
        return ("permuted-mnist", "split-mnist", "cifar10") if self.dataset == "all" else (self.dataset,)


class NetworkSet(NamedTuple):
    """Networks of one form, each with a task of its own.

    Attributes:
        title: What a figure calls them.
        first: Makes the random network that all begin at.
        data: Maps a network's number and a split, "train" or "test", to its examples.
    """

    title: str
    first: Callable[[], nn.Module]
    data: Callable[[int, str], TaskData]


def network_set(name: SetName, settings: RobustnessData, seed: int) -> NetworkSet:
    """Finds a set's networks and their tasks.

    Raises:
        AbsentDataError: If a data set is not there; the message names the command that fetches it.
    """
    root = Path(settings.data_root) if settings.data_root else None
    catalogued = {"permuted-mnist": "mnist", "split-mnist": "mnist", "cifar10": "cifar10", "digits": "digits"}[name]
    splits: Mapping[str, ImageSet] = {split: load(catalogued, split, root=root) for split in ("train", "test")}
    most = {"train": settings.most_images, "test": settings.test_images}
    tasks = draw_binary_tasks(settings.num_networks, generator(seed, "tasks"))

    def first(make: Callable[..., nn.Module], num_outputs: int) -> Callable[[], nn.Module]:
        return lambda: make(generator(seed, f"first network of {name}"), num_outputs=num_outputs)

    def one_against_others(number: int, split: str) -> TaskData:
        data = examples_of(splits[split], tasks[number], most=min(most[split], len(splits[split])))
        return TaskData(standardised(data.images), data.labels)

    def permuted(number: int, split: str) -> TaskData:
        images = standardised(splits[split].images[: most[split]].float() / 255)
        order = torch.randperm(images[0].numel(), generator=generator(seed, f"permutation {number}"))
        return TaskData(images.flatten(1)[:, order].reshape(images.shape), splits[split].labels[: most[split]])

    def colours(number: int, split: str) -> TaskData:
        return TaskData(
            _centred(splits[split].images[: most[split]].float() / 255), splits[split].labels[: most[split]]
        )

    return {
        "permuted-mnist": NetworkSet("permuted MNIST", first(TaskNetwork, 10), permuted),
        "split-mnist": NetworkSet("MNIST, one digit against others", first(TaskNetwork, 2), one_against_others),
        "cifar10": NetworkSet("CIFAR-10", first(ColourNetwork, 10), colours),
        "digits": NetworkSet("built-in digits, one against others", first(TaskNetwork, 2), one_against_others),
    }[name]


def _centred(images: Tensor) -> Tensor:
    return (images - 0.5) / 0.5
