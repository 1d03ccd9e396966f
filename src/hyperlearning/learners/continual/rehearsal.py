"""Replay: some images of every task are kept, a byte a pixel, and learned again beside every new batch."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from hyperlearning.core.params import Params
from hyperlearning.learners.continual.learner import Images, Labels, Remedy
from hyperlearning.networks.many_headed import ManyHeaded


class Rehearsal(Remedy):
    """Keeps images, as many of each task, and replays as many with every batch as are new.

    The loss is that of a mean over all tasks so far: the new one counts as much as each of the old ones.

    Args:
        num_kept: The most images kept in all.
        generator: Source of what is replayed; what is kept comes from the learner's.

    Raises:
        ValueError: If `num_kept` is not positive.
    """

    def __init__(self, *, num_kept: int, generator: torch.Generator) -> None:
        if num_kept < 1:
            raise ValueError(f"Expected `num_kept` to be positive, but got {num_kept}.")
        self._num_kept, self._generator = num_kept, generator
        self._bytes, self._range = torch.zeros(0, dtype=torch.uint8), torch.zeros(2)
        self._labels, self._tasks = torch.zeros(0, dtype=torch.uint8), torch.zeros(0, dtype=torch.uint8)

    def loss(self, network: ManyHeaded, images: Tensor, labels: Tensor, task: int) -> Tensor:
        """Cross-entropy of new and replayed labels."""
        if not len(self._labels):
            return cross_entropy(network(images, task), labels)
        chosen = torch.randint(len(self._labels), (len(labels),), generator=self._generator)
        features = network.body(torch.cat([images, self._pixels(self._bytes[chosen])]))
        new, old = features.split(len(labels))
        said = torch.stack([network.head(number)(old) for number in range(task)], 1)
        replayed = said[torch.arange(len(old)), self._tasks[chosen].long()]
        share = 1 / (task + 1)
        return share * cross_entropy(network.head(task)(new), labels) + (1 - share) * cross_entropy(
            replayed, self._labels[chosen].long()
        )

    def after_task(self, network: ManyHeaded, images: Images, labels: Labels, source: torch.Generator) -> None:
        """Keeps some of the task's images, and fewer of the others."""
        task = network.num_tasks - 1
        each = max(1, self._num_kept // network.num_tasks)
        if not len(self._labels):
            self._range = torch.stack([images.min(), images.max()])
        kept = [torch.nonzero(self._tasks == earlier)[:each, 0] for earlier in range(task)]
        room = self._num_kept - sum(len(places) for places in kept)
        places, chosen = (
            torch.cat([self._tasks.new_zeros(0).long(), *kept]),
            torch.randperm(len(labels), generator=source),
        )
        chosen = chosen[: min(each, room)]
        self._bytes = _joined(self._bytes, places, self._as_bytes(images[chosen]))
        self._labels = torch.cat([self._labels[places], labels[chosen].to(torch.uint8)])
        self._tasks = torch.cat([self._tasks[places], torch.full_like(labels[chosen], task, dtype=torch.uint8)])

    def _as_bytes(self, images: Tensor) -> Tensor:
        low, high = self._range
        return ((images - low) / (high - low).clamp(min=1e-12) * 255).round().clamp(0, 255).to(torch.uint8)

    def _pixels(self, kept: Tensor) -> Tensor:
        low, high = self._range
        return kept.float() / 255 * (high - low) + low

    def tensors(self) -> Params:
        """Images, labels and tasks, a byte each, and where the order of replay stands."""
        return {
            "images": self._bytes,
            "labels": self._labels,
            "tasks": self._tasks,
            "range": self._range,
            "generator": self._generator.get_state(),
        }

    def restore(self, tensors: Params) -> None:
        """Goes on from them."""
        self._bytes, self._range = tensors["images"], tensors["range"]
        self._labels, self._tasks = tensors["labels"], tensors["tasks"]
        self._generator.set_state(tensors["generator"])


def _joined(kept: Tensor, places: Tensor, new: Tensor) -> Tensor:
    return torch.cat([kept[places], new]) if len(places) else new
