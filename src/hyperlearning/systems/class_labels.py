"""Labels as users have them: which of a network's outputs stands for which class.

Shape suffixes: B images of a batch, K outputs.
"""

import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

ClassLabel = int | str
"""A class by the number of its output, or by its name."""


@runtime_checkable
class _Column(Protocol):
    """A column of a table, as pandas and polars have it; an index too."""

    def to_numpy(self, *arguments: Any) -> np.ndarray: ...


class MetClasses(NamedTuple):
    """The classes that a life has met.

    Attributes:
        num_outputs: Outputs of the network, K: there cannot be more classes.
        outputs: Those that stand for a class, in the order in which they were met.
        names: Names of classes that were met by name, by output.
    """

    num_outputs: int
    outputs: tuple[int, ...] = ()
    names: Mapping[int, str] = MappingProxyType({})

    @property
    def labels(self) -> tuple[ClassLabel, ...]:
        """The classes in the order in which they were met: names, or outputs where they were met as numbers."""
        return tuple(self.label(output) for output in self.outputs)

    def best(self, logits: Float[Tensor, "B K"]) -> list[ClassLabel]:
        """The class of the highest logit among the classes met, as it was met, for each image.

        Raises:
            ValueError: If no class was met.
        """
        if not self.outputs:
            raise ValueError("Expected a life that has met a class, but it has met none: `learn` one first.")
        return [self.labels[i] for i in logits[:, list(self.outputs)].argmax(1).tolist()]

    def label(self, output: int) -> ClassLabel:
        """The class that an output stands for, as it was met: its name, else the output's number."""
        return self.names.get(output, output)

    def understand(self, labels: Any, *, num_images: int) -> "tuple[Int64[Tensor, ' B'], MetClasses]":
        """Finds the output of each label; a name that was never met takes the first output that stands for no class.

        Args:
            labels: One for all images, or as many as images, in a list, an array or a tensor: whole numbers of any width from 0
                to K - 1, which are outputs, or strings, which are names.
            num_images: Images of the batch, B.

        Returns:
            The outputs, and the classes met with these.

        Raises:
            ValueError: If a label is neither, out of range, or a name too many, or there are not as many labels as images.
        """
        return self._understood(_listed(labels, num_images))

    def understand_first(self, labels: Any, *, num_images: int) -> "tuple[Int64[Tensor, ' known'], MetClasses]":
        """Finds the outputs of the first images' labels, of which there may be fewer than images, or none.

        Args:
            labels: A list, an array or a tensor of labels, as for `understand`.
            num_images: Images of the batch, B.

        Returns:
            The outputs, and the classes met with these.

        Raises:
            ValueError: As `understand`, or if there are more labels than images, or one that may be of the first image or of all.
        """
        known = _plain(labels)
        if not isinstance(known, list):
            raise ValueError(
                f"Expected a list of labels, those of the first images, but got {known!r}: write [{known!r}]."
            )
        if len(known) > num_images:
            raise ValueError(f"Expected at most {num_images} labels, one an image, but got {len(known)}.")
        return self._understood(_listed(known, len(known)))

    def _understood(self, each: list[ClassLabel]) -> "tuple[Int64[Tensor, ' labels'], MetClasses]":
        met = self
        for label in dict.fromkeys(each):
            met = met._with_name(label) if isinstance(label, str) else met._with_output(label)
        output_of = {name: output for output, name in met.names.items()}
        outputs = [output_of[label] if isinstance(label, str) else label for label in each]
        return torch.tensor(outputs, dtype=torch.int64), met

    def _with_output(self, output: int) -> "MetClasses":
        if not 0 <= output < self.num_outputs:
            raise ValueError(
                f"Expected labels from 0 to {self.num_outputs - 1}, or names of classes, but got {output}."
            )
        if output in self.names:
            raise ValueError(
                f"Expected class '{self.names[output]}' by its name, as it was met, but got its output, {output}."
            )
        return self if output in self.outputs else self._replace(outputs=(*self.outputs, output))

    def _with_name(self, name: str) -> "MetClasses":
        if name in self.names.values():
            return self
        free = next((output for output in range(self.num_outputs) if output not in self.outputs), None)
        if free is None:
            raise ValueError(
                f"Expected at most {self.num_outputs} classes, one for each output of the network, but '{name}' is one more. "
                "A run with a higher `--num-outputs` has more; of a last layer on an embedding, `deployment(num_classes=...)`."
            )
        return self._replace(outputs=(*self.outputs, free), names=MappingProxyType({**self.names, free: name}))

    def facts(self) -> dict[str, Any]:
        """What a file keeps, as JSON."""
        return {"outputs": list(self.outputs), "names": {str(output): name for output, name in self.names.items()}}

    def restored(self, facts: Mapping[str, Any]) -> "MetClasses":
        """The classes that a saved life's facts keep; any output may have been met, if it was saved by an earlier version."""
        kept = facts.get("classes", {"outputs": range(self.num_outputs), "names": {}})
        names = {int(output): name for output, name in kept["names"].items()}
        return self._replace(outputs=tuple(kept["outputs"]), names=MappingProxyType(names))


def _listed(labels: Any, num_images: int) -> list[ClassLabel]:
    """One label for each image."""
    plain = _plain(labels)
    if not isinstance(plain, list):
        return [_checked(plain)] * num_images
    if len(plain) != num_images:
        raise ValueError(f"Expected one label for all or {num_images}, one an image, but got {len(plain)}.")
    each = [_checked(_plain(label)) for label in plain]
    if len({type(label) for label in each}) > 1:
        raise ValueError(f"Expected labels that are all numbers or all names, but got both: {each}.")
    return each


def _plain(labels: Any) -> Any:
    """A list, or a single label, as Python has them."""
    if not isinstance(labels, Tensor | np.ndarray | np.generic) and isinstance(labels, _Column):
        labels = labels.to_numpy(object)
    if isinstance(labels, Tensor | np.ndarray | np.generic):
        if labels.ndim > 1:
            raise ValueError(f"Expected one label an image, but got labels of shape {tuple(labels.shape)}.")
        return labels.tolist()
    return list(labels) if isinstance(labels, tuple | range) else labels


def _checked(label: Any) -> ClassLabel:
    if isinstance(label, str) and label.strip():
        return unicodedata.normalize("NFC", label)
    if isinstance(label, int) and not isinstance(label, bool):
        return int(label)
    raise ValueError(f"Expected labels that are whole numbers or names of classes, but got {label!r}.")
