"""Tasks of a life, the random network that the first of them begin from, and how well networks do on them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor, nn

from hyperlearning.core.seeding import generator
from hyperlearning.core.weight_vectors import Weights, weights_of, with_weights
from hyperlearning.data.images import ImageSet, load
from hyperlearning.streams.binary_tasks import BinaryTask, TaskData, draw_binary_tasks, examples_of
from hyperlearning.streams.image_tasks import class_groups, held_out, of_classes, one_against_four, permuted
from hyperlearning.systems.selfnet.settings import StreamSettings, TaskSettings
from hyperlearning.systems.selfnet.task_networks import ColourNetwork, PatchNetwork, TaskNetwork, standardised
from hyperlearning.systems.selfnet.together import accuracies

Examples = Callable[[int, str], TaskData]
"""Maps a task's number and a split, "train" or "test", to its examples."""
_VALIDATION = "validation tasks"


class Tasks:
    """Tasks with their examples, made when they are needed; those of tests are kept.

    Args:
        titles: What every task is called.
        examples: Makes them.
        first: Makes the random network that the first tasks begin from.
        one_class: Whether a task is one class, label 1, against others that are of other tasks too.
        labels_are_shared: Whether a label means the same in all tasks.
    """

    def __init__(
        self,
        titles: Sequence[str],
        examples: Examples,
        first: Callable[[], nn.Module],
        *,
        one_class: bool = False,
        labels_are_shared: bool = False,
    ) -> None:
        self.titles, self._examples, self.first = tuple(titles), examples, first
        self.one_class, self.labels_are_shared = one_class, labels_are_shared
        self._tests: dict[int, TaskData] = {}

    def __len__(self) -> int:
        """Returns the number of tasks."""
        return len(self.titles)

    @property
    def num_weights(self) -> int:
        """Weights of a task network."""
        return sum(parameter.numel() for parameter in self.first().parameters())

    @property
    def num_outputs(self) -> int:
        """Labels of a task."""
        return int(list(self.first().parameters())[-1].numel())

    def train(self, number: int) -> TaskData:
        """What a task is learned from."""
        return self._examples(number, "train")

    def test(self, number: int) -> TaskData:
        """What it is tested on."""
        if number not in self._tests:
            self._tests[number] = self._examples(number, "test")
        return self._tests[number]


def first_network(seed: int, *, num_outputs: int = 2) -> TaskNetwork:
    """The random network that the first tasks of grey images begin from."""
    return TaskNetwork(generator(seed, "task networks"), num_outputs=num_outputs)


def drawn_tasks(settings: TaskSettings, seed: int, *, validation: bool = False) -> Tasks:
    """Draws tasks of one digit against a few others.

    Args:
        settings: Which.
        seed: The draw follows from it.
        validation: Whether to make another draw, of images to learn from alone.

    Raises:
        ValueError: If there are not so many.
        AbsentDataError: If the data set is not there; the message names the command that fetches it.
    """
    source = generator(seed, _VALIDATION if validation else "tasks")
    tasks = draw_binary_tasks(settings.num_tasks, source, num_negatives=settings.num_negatives)
    splits = _splits(settings, validation=validation)

    def examples(number: int, split: str) -> TaskData:
        images = splits[split]
        return _binary(images, tasks[number], settings.negative_share, min(settings.most_images, len(images)))

    return Tasks([task.title for task in tasks], examples, lambda: first_network(seed), one_class=True)


def stream_tasks(settings: StreamSettings, seed: int, *, validation: bool = False) -> Tasks:
    """Makes the tasks of a stream.

    Args:
        settings: Which.
        seed: What is random about them follows from it.
        validation: Whether to make other tasks of the same kind, from images to learn from alone, in place of the stream's own.

    Raises:
        ValueError: If the data set has too few classes, or colours where the network is for grey images.
        AbsentDataError: If it is not there; the message names the command that fetches it.
    """
    splits = _splits(settings, validation=validation)
    train = splits["train"]
    most = {"train": settings.most_images, "test": settings.test_images}
    purpose = _VALIDATION if validation else "tasks"
    titles, num_outputs, of = _kinds(settings, train, seed, purpose)

    def examples(number: int, split: str) -> TaskData:
        return of(number, splits[split], min(most[split], len(splits[split])))

    if settings.network == "patches" and train.images.shape[1] != 1:
        raise ValueError(f"Expected grey images for `network` patches, but got {settings.dataset}, which has colours.")

    def first() -> nn.Module:
        if settings.network == "patches":
            return PatchNetwork(generator(seed, "task networks"), num_outputs=num_outputs)
        if train.images.shape[1] == 3:
            return ColourNetwork(generator(seed, "task networks"), num_outputs=num_outputs)
        return first_network(seed, num_outputs=num_outputs)

    return Tasks(
        titles,
        examples,
        first,
        one_class=settings.stream == "one_against_four",
        labels_are_shared=settings.stream == "permuted",
    )


_Of = Callable[[int, ImageSet, int], TaskData]


def _kinds(settings: StreamSettings, images: ImageSet, seed: int, purpose: str) -> tuple[list[str], int, _Of]:
    """Titles, outputs and examples of a stream's tasks."""
    numbers, source = range(settings.num_tasks), generator(seed, purpose)
    if settings.stream == "permuted":

        def of_permuted(number: int, images: ImageSet, most: int) -> TaskData:
            own = generator(seed, f"{purpose}, permutation {number}")
            return TaskData(permuted(_seen(images.images[:most]), own), images.labels[:most])

        return [f"permutation {number + 1}" for number in numbers], images.num_classes, of_permuted
    if settings.stream == "class_groups":
        groups = class_groups(images.num_classes, settings.num_tasks, source)

        def of_group(number: int, images: ImageSet, most: int) -> TaskData:
            picked = of_classes(images, groups[number], most=most)
            return TaskData(_seen(picked.images), picked.labels)

        return [", ".join(map(str, group)) for group in groups], len(groups[0]), of_group
    tasks = one_against_four(images.num_classes)
    if settings.num_tasks > len(tasks):
        raise ValueError(
            f"Expected at most {len(tasks)} tasks of one class against four, but got {settings.num_tasks}."
        )
    if purpose == _VALIDATION:
        tasks = draw_binary_tasks(settings.num_tasks, source, num_classes=images.num_classes, num_negatives=4)
    tasks = tasks[: settings.num_tasks]

    def of_binary(number: int, images: ImageSet, most: int) -> TaskData:
        share = settings.negative_share
        return _binary(images, tasks[number], share, max(1, int(most / (1 + share * len(tasks[number].negatives)))))

    return [task.title for task in tasks], 2, of_binary


def _binary(images: ImageSet, task: BinaryTask, negative_share: float, most: int) -> TaskData:
    data = examples_of(images, task, negative_share=negative_share, most=most)
    return TaskData(_of_range(data.images), data.labels)


def _seen(images: Tensor) -> Tensor:
    return _of_range(images.float() / 255)


def _of_range(images: Tensor) -> Tensor:
    return (images - 0.5) / 0.5 if images.shape[1] == 3 else standardised(images)


def _splits(settings: TaskSettings | StreamSettings, *, validation: bool) -> dict[str, ImageSet]:
    root = Path(settings.data_root) if settings.data_root else None
    train, test = (load(settings.dataset, split, root=root) for split in ("train", "test"))
    if validation:
        train, test = held_out(train)
    return {"train": train, "test": test}


class Judge:
    """Tests vectors of weights on tasks; a vector that it has seen on a task is not tested again.

    Args:
        tasks: The tasks.
    """

    def __init__(self, tasks: Tasks) -> None:
        self._tasks, self._like = tasks, tasks.first()
        self._header = weights_of(self._like).header
        self._known: dict[tuple[int, bytes], float] = {}

    def accuracies(self, vectors: Tensor) -> list[float]:
        """The accuracy of the first vector on the first task, and so on; those not known yet in one batched call."""
        keys = [(number, vector.cpu().numpy().tobytes()) for number, vector in enumerate(vectors)]
        new = [number for number, key in enumerate(keys) if key not in self._known]
        found = accuracies(vectors[new], [self._tasks.test(number) for number in new], self._like)
        self._known |= {keys[number]: value for number, value in zip(new, found, strict=True)}
        return [self._known[key] for key in keys]

    def network(self, vector: Tensor) -> nn.Module:
        """The network of a vector."""
        return with_weights(self._like, Weights(self._header, vector, {}))
