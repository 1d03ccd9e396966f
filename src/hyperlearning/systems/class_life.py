"""The life of a classifier on images of one's own: a network's, or that of a last layer on an embedding.

Shape suffixes: B images of a batch, C channels, S side, K outputs.
"""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.tensor_files import load_tensors
from hyperlearning.data.user_images import as_images, ground_of
from hyperlearning.learners.deployment import Deployment
from hyperlearning.systems.class_labels import ClassLabel, MetClasses


class ClassifierLife:
    """One classifier that keeps learning classes from images it need not keep: only its plastic parameters ever change.

    Images are given as `as_images` takes them: a tensor, an array or a list of shape (B, S, S), (B, C, S, S) or (B, S, S, C);
    uint8 from 0 (ground) to 255 (ink), or floats from 0 to 1. Labels are whole numbers from 0 to K - 1, which are outputs, or
    strings, which are names of classes: a name that was never met takes the first free output.

    Args:
        deployment: The network's life: its task loss is what it learns by, and it shows a cross entropy in nats.
        num_outputs: Outputs of the network, K.
        side: Height and width of its images, S.
        channels: Their channels, C.
        steps_per_task: Updates that `learn` makes on each batch, as in the run's own lives.
        features: Maps images (B, C, S, S) from 0 to 1 to what the network takes, if that is not images; no life changes it.
        one_by_one: Whether `learn` makes its updates on one image after another, and not on the batch as a whole.
        learns: How else it learns, as JSON: kept with a saved life, and the same in the life that goes on.

    Raises:
        ValueError: If `steps_per_task` is not positive.
    """

    def __init__(
        self,
        deployment: Deployment,
        *,
        num_outputs: int,
        side: int,
        steps_per_task: int,
        channels: int = 1,
        features: Callable[[Tensor], Tensor] | None = None,
        one_by_one: bool = False,
        learns: Mapping[str, Any],
    ) -> None:
        if steps_per_task < 1:
            raise ValueError(f"Expected `steps_per_task` to be positive, but got {steps_per_task}.")
        self._life, self._side, self._channels, self._steps_per_task = deployment, side, channels, steps_per_task
        self._learns = {**learns, "steps_per_task": steps_per_task, "side": side}
        self._features, self._one_by_one = features, one_by_one
        self._classes = MetClasses(num_outputs)
        self._like = kind_of(deployment)

    @property
    def innate(self) -> Mapping[str, Tensor]:
        """Copies of the innate parameters: changing one changes nothing here."""
        return self._life.innate

    @property
    def plastic(self) -> Mapping[str, Tensor]:
        """Copies of the plastic parameters as they are now."""
        return self._life.plastic

    @property
    def num_updates(self) -> int:
        """Updates made so far."""
        return self._life.num_updates

    @property
    def num_stored(self) -> int:
        """Numbers that change in life and have to be kept: plastic parameters and the optimizer's moments."""
        return self._life.num_stored

    @property
    def side(self) -> int:
        """Height and width of images, S."""
        return self._side

    @property
    def steps_per_task(self) -> int:
        """Updates that `learn` makes on a batch, or on each of its images if they are learned one by one."""
        return self._steps_per_task

    @property
    def num_outputs(self) -> int:
        """Outputs, K: the classes that it can tell apart."""
        return self._classes.num_outputs

    @property
    def classes(self) -> tuple[ClassLabel, ...]:
        """The classes met, in the order in which they were: names, or outputs where they were met as numbers."""
        return self._classes.labels

    def output_of(self, label: ClassLabel) -> int:
        """The output that stands for a class: the column of `predict`.

        Raises:
            ValueError: If it was never met.
        """
        if label not in self.classes:
            raise ValueError(f"Expected a class that was met, {list(self.classes)}, but got {label!r}.")
        return self._classes.outputs[self.classes.index(label)]

    def learn(self, images: Any, label: Any) -> float:
        """Learns a class as the run's own lives did, from one batch met once: `steps_per_task` updates on it, then forgotten.

        A last layer on an embedding learns as in a meta-test instead: one image after another.

        Args:
            images: The batch; the run's own lives met `num_instances` images of a class.
            label: The class of all of them, or a label an image.

        Returns:
            The cross entropy before the first update, over all outputs, in nats; one by one, of the
            first image. Of a class never met it may be far above `log K`: what has learned at a high temperature has large
            logits.

        Raises:
            ValueError: As `observe`. Updates made before the loss was no longer finite stay.
        """
        return self._updated(images, label, self._steps_per_task, one_by_one=self._one_by_one)

    def observe(self, images: Any, labels: Any) -> float:
        """Makes one update from one batch, which may be a single image, and forgets it.

        Args:
            images: The batch.
            labels: A label for all images or one an image.

        Returns:
            The cross entropy before the update, over all outputs, in nats.

        Raises:
            ValueError: If images or labels are not what they should be, there are more names than outputs, or the loss is not
                finite; nothing has changed then.
        """
        return self._updated(images, labels, 1)

    def _updated(self, images: Any, labels: Any, times: int, *, one_by_one: bool = False) -> float:
        batch = self._batch(images)
        targets, classes = self._classes.understand(labels, num_images=len(batch))
        warn_of_light_ground(batch)
        size, inputs, losses = 1 if one_by_one else len(batch), self._inputs(batch), []
        for met, own in zip(inputs.split(size), targets.to(batch.device).split(size), strict=True):
            for _ in range(times):
                losses.append(self._life.observe(met, own))
                self._classes = classes
        return losses[0]

    def predict(self, images: Any) -> Float[Tensor, "B K"]:
        """Gives a logit per output. Nothing changes.

        Raises:
            ValueError: If images are not what they should be.
        """
        return self._life.predict(self._inputs(self._batch(images)))

    def classify(self, images: Any) -> list[ClassLabel]:
        """Says of each image which of the classes met it is, as it was met: by name, or by number. Nothing changes.

        Raises:
            ValueError: If images are not what they should be, or no class was met.
        """
        return self._classes.best(self.predict(images))

    def save(self, path: str | Path) -> None:
        """Writes the life, and which classes it has met, to one safetensors file."""
        self._life.save(path, facts={"classes": self._classes.facts(), "learns": self._learns})

    def load(self, path: str | Path) -> None:
        """Goes on where a saved life of the same run stood. In a file of earlier versions any output may have been met.

        Raises:
            FileError: If the file is missing, truncated or altered.
            ValueError: If it is a life of another network, or one that learns otherwise.
        """
        facts = load_tensors(Path(path)).facts
        if (learns := facts.get("learns", self._learns)) != self._learns:
            names = sorted(name for name in {*learns, *self._learns} if learns.get(name) != self._learns.get(name))
            other, own = (", ".join(f"`{name}` {each.get(name)}" for name in names) for each in (learns, self._learns))
            raise ValueError(f"Expected a life that learns as this one ({own}), but {path} is of {other}.")
        self._life.load(path)
        self._classes = self._classes.restored(facts)

    def _batch(self, images: Any) -> Tensor:
        return as_images(images, side=self._side, channels=self._channels).to(self._like)

    @torch.no_grad()
    def _inputs(self, batch: Tensor) -> Tensor:
        return batch if self._features is None else self._features(batch)

    def __reduce__(self) -> NoReturn:
        raise TypeError("Expected a life to be kept by `save` and `load`: it cannot be pickled.")


def kind_of(life: Deployment) -> Tensor:
    """An empty tensor of the type and on the device of what a life learns, so of its inputs."""
    return next(iter(life.plastic.values())).new_empty(0)


def warn_of_light_ground(images: Float[Tensor, "B C S S"]) -> None:
    """Warns the caller of a life's method, two calls further out, if ink seems to be 0 and its ground 1."""
    if all(ground_of(image) == "light" for image in images):
        warnings.warn(
            "Expected ink of 1 on a ground of 0, but these images have a light ground. If ink is dark, invert them: `1 - images` "
            "(of uint8: `255 - images`).",
            stacklevel=4,
        )
