"""Lives in which few images of a class have a label, and all of them are to be reconstructed.

The images of a batch are in random order, so the first ones are any of them.

Shape suffixes: C channels, S side.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from hyperlearning.core.image_losses import pack_targets
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.streams.hyper_stream import HyperStream


def as_semi_supervised(stream: HyperStream, *, num_labelled: int, pixel_side: int) -> HyperStream:
    """Makes a semi-supervised stream of a classifier's: just the first images of a batch have labels, in hyper-batches all.

    Args:
        stream: From `draw_class_hyper_stream`.
        num_labelled: Labelled images of each batch, from 1.
        pixel_side: Side of the images to reconstruct, which the images' side is a multiple of.

    Returns:
        The stream with targets that `pack_targets` made.

    Raises:
        ValueError: If there are fewer images or the sides do not fit.
    """
    return stream._replace(
        targets=packed_targets(stream.inputs, stream.targets, num_labelled, pixel_side),
        hyper_targets=packed_targets(
            stream.hyper_inputs, stream.hyper_targets, stream.hyper_targets.shape[-1], pixel_side
        ),
    )


def lives_as_semi_supervised(lives: ClassLives, *, num_labelled: int, pixel_side: int) -> ClassLives:
    """Makes semi-supervised lives of a classifier's, as `as_semi_supervised` does."""
    return lives._replace(targets=packed_targets(lives.inputs, lives.targets, num_labelled, pixel_side))


def small_images(images: Float[Tensor, "*shape C S S"], pixel_side: int) -> Float[Tensor, "*shape pixels"]:
    """Averages square blocks of pixels, down to images of a side, and flattens them.

    Raises:
        ValueError: If the images' side is no multiple of that.
    """
    side = images.shape[-1]
    if pixel_side < 1 or side % pixel_side:
        raise ValueError(f"Expected `pixel_side` to divide the images' side, {side}, but got {pixel_side}.")
    flat = images.flatten(0, -4)
    small = torch.nn.functional.avg_pool2d(flat, side // pixel_side) if pixel_side < side else flat
    return small.flatten(1).unflatten(0, images.shape[:-3])


def packed_targets(
    images: Float[Tensor, "*shape batch C S S"],
    labels: Shaped[Tensor, "*shape batch"],
    num_labelled: int,
    pixel_side: int,
) -> Float[Tensor, "*shape batch columns"]:
    """Packs the targets of batches, of which the first images have a label: `pack_targets` of them and of small images.

    Raises:
        ValueError: If there are fewer images or the sides do not fit.
    """
    if not 1 <= num_labelled <= labels.shape[-1]:
        raise ValueError(f"Expected `num_labelled` from 1 to {labels.shape[-1]}, but got {num_labelled}.")
    known = (torch.arange(labels.shape[-1], device=labels.device) < num_labelled).to(images.dtype)
    return pack_targets(labels.to(images.dtype), known.expand(labels.shape), small_images(images, pixel_side))
