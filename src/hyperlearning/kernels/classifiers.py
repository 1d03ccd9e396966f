"""Compiled CPU kernel for populations of small convolutional classifiers, each with images of its own.

On batches of a few small images PyTorch spends its time in pooling and in gradients that are zero. This module compiles
`classifiers.cpp` for one architecture at a time and takes all members through forward, backward and update in one call.

Shape suffixes: K members, P weights of a member, N images of a member, B images of a batch.
"""

import ctypes
import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.kernels import toolchain
from hyperlearning.kernels.dan_spec import joined
from hyperlearning.kernels.tensors import check_memory, contiguous, expect, expect_kind, expect_shape, pointers
from hyperlearning.kernels.toolchain import DOUBLE, INT, POINTER, Source

# Working memory of a thread is some times that, and has to stay in an outer cache.
LARGEST_BYTES = 1 << 20
_WINDOW = 2
_NO_SUCH_PLACE, _NO_SUCH_LABEL = 2, 3
_SOURCE = Source(
    name="classifiers",
    what="convolutional classifiers",
    seconds=4,
    functions={
        "classifier_logits": (INT, *[INT] * 2, *[POINTER] * 4),
        "classifier_gradients": (INT, *[INT] * 2, *[POINTER] * 8),
        "classifier_descend": (INT, *[INT] * 2, *[POINTER] * 7, *[DOUBLE] * 3, POINTER),
    },
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierSpec:
    """Everything about a classifier that is fixed when its kernel is compiled.

    Convolutions without padding, each with the maximum of every 2 x 2 window and ReLU; dense layers with ReLU between them.

    Attributes:
        channels: Of an image.
        side: Of an image, in pixels.
        maps: Feature maps of each convolution, at least one.
        kernel_size: Side of its kernels.
        units: Of each dense layer, at least one; the last are the logits.
        dtype: Floating-point type of all tensors.
    """

    channels: int
    side: int
    maps: tuple[int, ...]
    kernel_size: int
    units: tuple[int, ...]
    dtype: torch.dtype = torch.float32

    @property
    def side_left(self) -> int:
        """Side of the last maps."""
        side = self.side
        for _ in self.maps:
            side = (side - self.kernel_size + 1) // _WINDOW
        return side

    @property
    def shapes(self) -> tuple[torch.Size, ...]:
        """Shapes of weights and biases, in the order in which a member's row has them."""
        kernel, features = (self.kernel_size, self.kernel_size), self.maps[-1] * self.side_left**2
        convolutions = [((b, a, *kernel), (b,)) for a, b in itertools.pairwise((self.channels, *self.maps))]
        dense = [((b, a), (b,)) for a, b in itertools.pairwise((features, *self.units))]
        return tuple(map(torch.Size, itertools.chain(*convolutions, *dense)))

    @property
    def size(self) -> int:
        """Weights of a member."""
        return sum(map(math.prod, self.shapes))

    @property
    def definitions(self) -> dict[str, object]:
        """The same as macros of `classifiers.cpp`."""
        return {
            "CLASSIFIER_CHANNELS": self.channels,
            "CLASSIFIER_SIDE": self.side,
            "CLASSIFIER_MAPS": joined(self.maps),
            "CLASSIFIER_KERNEL": self.kernel_size,
            "CLASSIFIER_UNITS": joined(self.units),
        }


class Examples(NamedTuple):
    """Images and labels of every member, as a kernel has checked them.

    Attributes:
        images: (N, channels, side, side) each; N differs.
        labels: (N,) each.
        images_at: Where they are.
        labels_at: Likewise.
        sizes_K: How many.
    """

    images: Sequence[Tensor]
    labels: Sequence[Tensor]
    images_at: "ctypes.Array[ctypes.c_void_p] | None"
    labels_at: "ctypes.Array[ctypes.c_void_p] | None"
    sizes_K: Tensor


def unsupported(spec: ClassifierSpec) -> str | None:
    """Returns why no kernel can be built for `spec`, or None if one can.

    Args:
        spec: Architecture to build a kernel for.
    """
    reason = toolchain.why_missing(spec.dtype)
    if reason is not None:
        return reason
    if not spec.maps or not spec.units:
        return "a classifier has at least one convolution and one dense layer"
    if min(*spec.maps, *spec.units, spec.kernel_size, spec.channels) < 1:
        return "all sizes must be positive"
    if spec.side_left < 1:
        return f"images of {spec.side} x {spec.side} are too small for the convolutions"
    size = spec.size * torch.finfo(spec.dtype).bits // 8
    if size > LARGEST_BYTES:
        return f"a classifier has {size >> 10} KiB, more than {LARGEST_BYTES >> 10} KiB"
    return None


@functools.cache
def build(spec: ClassifierSpec) -> "ClassifierKernel":
    """Compiles the kernel of an architecture, or loads it if it was compiled before.

    Raises:
        ValueError: If the architecture is not supported.
        RuntimeError: If the compiler fails.
    """
    reason = unsupported(spec)
    if reason is not None:
        raise ValueError(f"Expected `spec` to be supported, but {reason}: {spec}.")
    return ClassifierKernel(spec, toolchain.load(_SOURCE, spec.dtype, definitions=spec.definitions))


class ClassifierKernel:
    """Compiled forward and backward pass of one architecture, its `spec`."""

    def __init__(self, spec: ClassifierSpec, library: ctypes.CDLL) -> None:
        self.spec = spec
        self._library = library

    def examples(self, images: Sequence[Tensor], labels: Sequence[Tensor]) -> Examples:
        """Checks images (N, channels, side, side) and labels (N,) of every member once for all calls.

        Raises:
            ValueError: If they do not fit the architecture, or one another.
        """
        expect(len(labels) == len(images), "labels", f"of {len(images)} members", len(labels))
        for own, named in zip(images, labels, strict=True):
            self._check_images(own)
            expect_shape("labels", (len(own),), named)
            expect_kind("labels", torch.int64, named)
        images, labels = contiguous(images), contiguous(labels)
        return Examples(images, labels, pointers(images), pointers(labels), torch.tensor([len(own) for own in labels]))

    def logits(self, weights_KP: Float[Tensor, "members weights"], images: Sequence[Tensor]) -> list[Tensor]:
        """Runs every member on images of its own: (N, channels, side, side) to (N, logits).

        Raises:
            ValueError: If a tensor does not fit the architecture.
            MemoryError: If there is no working memory.
        """
        self._check_weights("weights", weights_KP, len(images))
        for own in images:
            self._check_images(own)
        weights_KP, images = weights_KP.contiguous(), contiguous(images)
        made, counts_K = [own.new_empty(len(own), self.spec.units[-1]) for own in images], _lengths(images)
        self._call("logits", weights_KP, weights_KP.data_ptr(), pointers(images), counts_K.data_ptr(), pointers(made))
        return made

    def gradients(
        self, weights_KP: Float[Tensor, "members weights"], examples: Examples, places: Sequence[Tensor]
    ) -> tuple[Float[Tensor, " members"], Float[Tensor, "members weights"]]:
        """Mean cross-entropy of every member on a batch of its own, and its gradient.

        Args:
            weights_KP: A row a member.
            examples: Of as many members or more, of which the first count.
            places: Of every member's batch among its examples, (B,) of int64; B differs, and is at least 1.

        Raises:
            ValueError: If a tensor does not fit the architecture, or there is no such place or label.
            MemoryError: If there is no working memory.
        """
        self._check_weights("weights", weights_KP, len(places))
        weights_KP = weights_KP.detach().contiguous()
        losses_K, gradients_KP = weights_KP.new_empty(len(places)), torch.empty_like(weights_KP)
        targets = (gradients_KP.data_ptr(), losses_K.data_ptr())
        self._learn("gradients", weights_KP, (), examples, places, targets)
        return losses_K, gradients_KP

    def descend(
        self,
        weights_KP: Float[Tensor, "members weights"],
        velocities_KP: Float[Tensor, "members weights"],
        examples: Examples,
        places: Sequence[Tensor],
        *,
        lr: float,
        momentum: float = 0.0,
        pull: float = 0.0,
        towards: Float[Tensor, " weights"] | None = None,
    ) -> None:
        """Makes a step of gradient descent of every member, in place, as `torch.optim.SGD` does.

        `v <- momentum * v + gradient + 2 * pull / P * (w - towards)`, `w <- w - lr * v`.

        Args:
            weights_KP: A row a member.
            velocities_KP: Likewise; zeros at first.
            examples: As for `gradients`.
            places: As for `gradients`.
            lr: Learning rate.
            momentum: Share of the last velocity that is kept.
            pull: Strength of the mean squared distance to `towards`, as a term of the loss.
            towards: What weights are pulled to, if anything.

        Raises:
            ValueError: As for `gradients`, or if weights or velocities are not contiguous.
            MemoryError: If there is no working memory.
        """
        for name, tensor in {"weights": weights_KP, "velocities": velocities_KP}.items():
            self._check_weights(name, tensor, len(places))
            expect(tensor.is_contiguous(), name, "contiguous", f"strides {tensor.stride()}")
        if towards is not None:
            expect_shape("towards", (self.spec.size,), towards)
            expect_kind("towards", self.spec.dtype, towards)
            towards = towards.contiguous()
        rule = (lr, momentum, pull, None if towards is None else towards.data_ptr())
        self._learn("descend", weights_KP, (velocities_KP.data_ptr(),), examples, places, rule)

    def _learn(
        self,
        name: str,
        weights_KP: Tensor,
        moved: tuple[int, ...],
        examples: Examples,
        places: Sequence[Tensor],
        last: tuple[object, ...],
    ) -> None:
        most = len(examples.images)
        expect(len(places) <= most, "places", f"of at most {most} members", len(places))
        for own in places:
            expect_kind("places", torch.int64, own)
            expect(own.dim() == 1 and len(own) > 0, "places", "a vector of one or more", tuple(own.shape))
        places, counts_K = contiguous(places), _lengths(places)
        data = (examples.images_at, examples.labels_at, pointers(places), counts_K.data_ptr())
        self._call(name, weights_KP, weights_KP.data_ptr(), *moved, *data, examples.sizes_K.data_ptr(), *last)

    def _call(self, name: str, weights_KP: Tensor, *arguments: object) -> None:
        function = getattr(self._library, f"classifier_{name}")
        outcome = function(len(weights_KP), torch.get_num_threads(), *arguments)
        expect(outcome != _NO_SUCH_PLACE, "places", "less than the number of examples and not negative", "others")
        expect(outcome != _NO_SUCH_LABEL, "labels", f"from 0 to {self.spec.units[-1] - 1}", "others")
        check_memory(outcome)

    def _check_weights(self, name: str, rows_KP: Tensor, members: int) -> None:
        expect_shape(name, (members, self.spec.size), rows_KP)
        expect_kind(name, self.spec.dtype, rows_KP)

    def _check_images(self, images: Tensor) -> None:
        shape = (self.spec.channels, self.spec.side, self.spec.side)
        expect(images.shape[1:] == shape, "images", f"of shape (N, {', '.join(map(str, shape))})", tuple(images.shape))
        expect_kind("images", self.spec.dtype, images)


def _lengths(tensors: Sequence[Tensor]) -> Tensor:
    return torch.tensor([len(tensor) for tensor in tensors])
