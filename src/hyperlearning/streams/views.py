"""Distorted views of images for learning without labels, and the shifts and flips of learning with them, a batch at a time.

Every image has random numbers of its own, and all of them come from one generator. A crop is resized as if it stood alone: unlike
in `augmentation`, nothing beyond its border is looked at.

Shape suffixes: N images, C channels, S side, T tries.
"""

import math
from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from hyperlearning.core.expect import Amount, Rate, Share, Within, check_ranges
from hyperlearning.data.user_images import LUMA
from hyperlearning.streams.augmentation import Images, PerImage, blur

_NUM_TRIES = 10
"""Of a box that fits into the image, before the whole image is taken."""

_PIECE = 2**18
"""Values that a CPU changes at a time, so that they stay in its caches: 2.7 times faster than 256 colour images of 32 x 32 at
once."""

_NUM_VALUES = 12
"""Random numbers per image beside its boxes: always all of them, so that one change does not alter what another one draws."""


class Boxes(NamedTuple):
    """A rectangle of whole pixels in each image.

    Attributes:
        left: First column.
        top: First row.
        width: Columns.
        height: Rows.
    """

    left: PerImage
    top: PerImage
    width: PerImage
    height: PerImage


@dataclass(frozen=True, kw_only=True)
class ShiftAndFlip:
    """A crop of the image's own size from a wider one with a black border, and a mirror image: the usual recipe on small photos.

    Attributes:
        padding: Pixels of the border on every side; chapter 3's code has 3 for CIFAR-10 and 4 for CIFAR-100.
        flip_prob: Probability of a mirror image, left for right.

    Raises:
        ValueError: If a value is out of range.
    """

    padding: Amount = 4
    flip_prob: Share = 0.5

    def __post_init__(self) -> None:
        """Refuses what cannot be."""
        check_ranges(self)

    def apply(self, images: Images, source: torch.Generator) -> Images:
        """Shifts and flips each image in its own way.

        Args:
            images: (N, C, S, S); they are not modified.
            source: Source of all parameters, on the device of the images.
        """
        left, top, flip = torch.rand(3, len(images), generator=source, device=images.device)
        places = 2 * self.padding + 1
        return pad_and_crop(
            images,
            (left * places).long().clamp(max=places - 1),
            (top * places).long().clamp(max=places - 1),
            padding=self.padding,
            is_flipped=flip < self.flip_prob,
        )


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """How a view differs from its image: crop and flip, colours, grey, blur, solarization, in this order.

    Brightness, contrast, saturation and hue change in this order; the authors' order is random. Crops are resized bilinearly,
    theirs bicubically.

    Attributes:
        crop_area: Least and greatest share of the image's area that is cropped and resized to the whole.
        crop_aspect: Least and greatest width over height of the crop, log-uniform.
        flip_prob: Probability of a mirror image, left for right.
        jitter_prob: Probability that colours change.
        brightness: Greatest change of the brightness factor from 1.
        contrast: Greatest change of the contrast factor from 1.
        saturation: Greatest change of the saturation factor from 1; grey images stay as they are.
        hue: Greatest turn of the hue either way, in turns, up to half a one; grey images stay as they are.
        grey_prob: Probability that a colour image becomes grey.
        blur_prob: Probability of a Gaussian blur.
        blur_sigma: Least and greatest standard deviation of the blur, in pixels.
        solarize_prob: Probability that values from .5 are inverted.

    Raises:
        ValueError: If a value is out of range, or colours are to change by nothing.

    Measured on one thread of a busy CPU with 256 colour images of 32 x 32: 8 ms a view with `SMALL_PHOTOS`, 12 ms with
    `BARLOW_TWINS`; kornia 0.9.0 takes 29 ms for either.

    Source: Zbontar et al., "Barlow Twins" (2021), section 3.1, and their code; dissertation, section 4.4.1.
    """

    crop_area: tuple[Annotated[float, Within(1e-3, 1)], Annotated[float, Within(1e-3, 1)]] = (0.08, 1.0)
    crop_aspect: tuple[Rate, Rate] = (3 / 4, 4 / 3)
    flip_prob: Share = 0.5
    jitter_prob: Share = 0.8
    brightness: Share = 0.4
    contrast: Share = 0.4
    saturation: Share = 0.2
    hue: Annotated[float, Within(0, 0.5)] = 0.1
    grey_prob: Share = 0.2
    blur_prob: Share = 0.0
    blur_sigma: tuple[Rate, Rate] = (0.1, 2.0)
    solarize_prob: Share = 0.0

    def __post_init__(self) -> None:
        """Refuses what cannot be."""
        check_ranges(self)
        for name in ("crop_area", "crop_aspect", "blur_sigma"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"Expected `{name}` to begin with its lower bound, but got {low} and {high}.")
        if bool(self.jitter_prob) is not any((self.brightness, self.contrast, self.saturation, self.hue)):
            raise ValueError(
                "Expected `jitter_prob` and some of `brightness`, `contrast`, `saturation` and `hue`, or none of them, but got "
                f"{self.jitter_prob}, {self.brightness}, {self.contrast}, {self.saturation} and {self.hue}."
            )

    def apply(self, images: Images, source: torch.Generator) -> Images:
        """Makes a view of each image.

        Args:
            images: (N, C, S, S), values from 0 to 1; they are not modified.
            source: Source of all parameters, on the device of the images.

        Returns:
            As many views, values from 0 to 1.
        """
        draws = torch.rand(_NUM_VALUES + 2 * _NUM_TRIES, len(images), generator=source, device=images.device)
        size = (
            max(1, _PIECE // images[0].numel()) if len(images) and images.device.type == "cpu" else max(1, len(images))
        )
        return torch.cat(
            [self._views(some, own) for some, own in zip(images.split(size), draws.split(size, 1), strict=True)]
        )

    def _views(self, images: Images, draws: Float[Tensor, "draws N"]) -> Images:
        """Views from images and the random numbers of each of them."""
        if not len(images):
            return images.clone()
        side, unit = images.shape[-1], draws[:_NUM_VALUES]
        tries = draws[_NUM_VALUES:].unflatten(0, (2, _NUM_TRIES))
        boxes = place_boxes(*fitting_sizes(tries, self.crop_area, self.crop_aspect, side), unit[0], unit[1], side)
        views = crop_and_resize(images, boxes, is_flipped=unit[2] < self.flip_prob)
        # Interpolation weights sum to 1 only up to rounding.
        return self._with_new_values(views, unit[3:]).clamp_(0, 1)

    def _with_new_values(self, images: Images, unit: Float[Tensor, "draws N"]) -> Images:
        if self.jitter_prob:
            reach = (self.brightness, self.contrast, self.saturation, self.hue)
            moves = [
                torch.where(unit[0] < self.jitter_prob, r * (2 * u - 1), 0)
                for r, u in zip(reach, unit[1:5], strict=True)
            ]
            images = change_colours(images, 1 + moves[0], 1 + moves[1], 1 + moves[2], moves[3])
        if self.grey_prob and images.shape[1] == 3:
            images = _apart(images, _grey(images), (unit[5] >= self.grey_prob).to(images.dtype))
        if self.blur_prob:
            low, high = self.blur_sigma
            images = blur(images, torch.where(unit[6] < self.blur_prob, low + (high - low) * unit[7], 0))
        if self.solarize_prob:
            images = solarize_some(images, unit[8] < self.solarize_prob)
        return images


def two_views(
    images: Images, source: torch.Generator, distortions: tuple[Distortion, Distortion]
) -> tuple[Images, Images]:
    """Makes two views of each image, independently.

    Args:
        images: (N, C, S, S), values from 0 to 1; they are not modified.
        source: Source of all parameters, on the device of the images.
        distortions: Of the first and the second view.
    """
    first, second = distortions
    return first.apply(images, source), second.apply(images, source)


def pad_and_crop(images: Images, left: Tensor, top: Tensor, *, padding: int, is_flipped: Bool[Tensor, " N"]) -> Images:
    """Crops each image's own size out of the image with a black border, then exchanges left and right where wanted.

    Args:
        images: (N, C, S, S).
        left: (N,), whole columns from 0 to twice the padding; the padding itself leaves an image where it is.
        top: Likewise of rows.
        padding: Pixels of the border on every side.
        is_flipped: Which images are mirrored.
    """
    num, channels, side = images.shape[:3]
    wide = side + 2 * padding
    steps = torch.arange(side, device=images.device)
    columns_NS = left[:, None] + torch.where(is_flipped[:, None], side - 1 - steps, steps)
    rows_NS = top[:, None] + steps
    places = (
        (rows_NS[:, :, None] * wide + columns_NS[:, None]).view(num, 1, side * side).expand(num, channels, side * side)
    )
    return F.pad(images, (padding,) * 4).flatten(2).gather(2, places).view(images.shape)


def fitting_sizes(
    tries: Float[Tensor, "2 T N"], area: tuple[float, float], aspect: tuple[float, float], side: int
) -> tuple[PerImage, PerImage]:
    """Widths and heights of boxes, in whole pixels: of each image's tries the first that fits, else the whole image.

    Args:
        tries: Numbers from 0 to 1: of the area and of the aspect.
        area: Least and greatest share of the image's area.
        aspect: Least and greatest width over height, log-uniform.
        side: Of the images.
    """
    areas_TN = side**2 * (area[0] + (area[1] - area[0]) * tries[0])
    low, high = math.log(aspect[0]), math.log(aspect[1])
    aspects_TN = (low + (high - low) * tries[1]).exp()
    width_TN = (areas_TN * aspects_TN).sqrt().round().clamp(min=1)
    height_TN = (areas_TN / aspects_TN).sqrt().round().clamp(min=1)
    fits_TN = (width_TN <= side) & (height_TN <= side)
    first = fits_TN.to(torch.uint8).argmax(0, keepdim=True)
    any_fits = fits_TN.any(0)
    width, height = (torch.where(any_fits, sizes.gather(0, first)[0], side) for sizes in (width_TN, height_TN))
    return width, height


def place_boxes(width: PerImage, height: PerImage, x: PerImage, y: PerImage, side: int) -> Boxes:
    """Puts boxes somewhere within their images, every place as likely as any other.

    Args:
        width: Whole pixels, 1 to the side.
        height: Likewise.
        x: Numbers from 0 to 1.
        y: Likewise.
        side: Of the images.
    """
    left, top = ((unit * (side - size + 1)).floor().minimum(side - size) for unit, size in ((x, width), (y, height)))
    return Boxes(left, top, width, height)


def crop_and_resize(images: Images, boxes: Boxes, *, is_flipped: Bool[Tensor, " N"]) -> Images:
    """Enlarges each image's box to the whole, bilinearly, then exchanges left and right where wanted.

    At the border of a box its own outermost pixels are repeated, as if what is cropped were resized by itself.

    Args:
        images: (N, C, S, S).
        boxes: Within the images.
        is_flipped: Which images are mirrored.
    """
    side = images.shape[-1]
    x_NS = _sampled(boxes.left, boxes.width, side)
    y_NS = _sampled(boxes.top, boxes.height, side)
    x_NS = torch.where(is_flipped[:, None], x_NS.flip(1), x_NS)
    grid = torch.stack(torch.broadcast_tensors(x_NS[:, None, :], y_NS[:, :, None]), -1)
    return F.grid_sample(images, grid.to(images.dtype), padding_mode="border", align_corners=False)


def _sampled(start: PerImage, size: PerImage, side: int) -> Float[Tensor, "N S"]:
    """Where new pixels come from along one axis: centres of `side` equal parts of a box, from -1 to 1 over the image."""
    parts = (torch.arange(side, device=start.device) + 0.5) / side
    places = (parts * size[:, None] - 0.5).clamp(min=0).minimum(size[:, None] - 1)
    return (2 * (start[:, None] + places) + 1) / side - 1


def change_colours(
    images: Images, brightness: PerImage, contrast: PerImage, saturation: PerImage, hue: PerImage
) -> Images:
    """Scales values, their distance from the image's mean grey, their distance from their own grey, and turns the hue.

    Args:
        images: (N, C, S, S), values from 0 to 1. Without three channels there is neither saturation nor hue.
        brightness: Factors from 0; 1 changes nothing.
        contrast: Likewise.
        saturation: Likewise; 0 makes an image grey.
        hue: Turns; whole ones change nothing.
    """
    # In place on a tensor of our own: new memory costs a CPU more than the arithmetic.
    new = (images * _spread(brightness)).clamp_(0, 1)
    new = _apart(new, _grey(new).mean((2, 3), keepdim=True), contrast)
    if images.shape[1] != 3:
        return new
    return turn_hue(_apart(new, _grey(new), saturation), hue)


def _apart(images: Images, centre: Float[Tensor, "N 1 _ _"], factors: PerImage) -> Images:
    return images.sub_(centre).mul_(_spread(factors)).add_(centre).clamp_(0, 1)


def _grey(images: Images) -> Float[Tensor, "N 1 S S"]:
    """As `luma`, in an order that needs no copy of the images."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    red, green, blue = images.split(1, dim=1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def turn_hue(images: Float[Tensor, "N 3 S S"], turns: PerImage) -> Float[Tensor, "N 3 S S"]:
    """Turns the hue of each image; value and saturation of every pixel (HSV) stay.

    With v the largest of a pixel's channels, c its distance from the smallest, h the hue in sixths of a turn, a channel is
    `v - c * clip(2 - |k|, 0, 1)`, with k from -3 to 3 what is left of `h + n` on the circle of 6, and n = 3, 1, -1 for red, green
    and blue.

    Args:
        images: (N, 3, S, S).
        turns: Of the hue; 1 is all the way round.
    """
    red, green, blue = images.unbind(1)
    value = red.maximum(green).maximum(blue)
    chroma = value - red.minimum(green).minimum(blue)
    # Products with 0 and 1, and below a distance on the circle: several times faster on a CPU than choices and remainders.
    is_red = (value == red).to(images.dtype)
    is_green = (value == green).to(images.dtype) * (1 - is_red)
    is_blue = 1 - is_red - is_green
    ahead = (green - blue) * is_red + (blue - red) * is_green + (red - green) * is_blue
    hue = (
        ahead / chroma.clamp(min=torch.finfo(images.dtype).tiny) + 2 * is_green + 4 * is_blue + 6 * turns[:, None, None]
    )
    phase = hue[:, None] + images.new_tensor([3.0, 1.0, -1.0])[:, None, None]
    phase = phase.sub_((phase / 6).round_(), alpha=6)
    return value[:, None] - phase.abs_().neg_().add_(2).clamp_(0, 1).mul_(chroma[:, None])


def solarize_some(images: Images, chosen: Bool[Tensor, " N"]) -> Images:
    """Inverts values from .5 where wanted: `min(x, 1 - x)`, or `min(x, 2 - x)`, which is x, where not.

    Args:
        images: (N, C, S, S), values from 0 to 1.
        chosen: Which images.
    """
    return images.minimum(_spread(2 - chosen.to(images.dtype)) - images)


def _spread(values: Tensor) -> Tensor:
    return values[:, None, None, None]


BARLOW_TWINS = (Distortion(blur_prob=1.0), Distortion(blur_prob=0.1, solarize_prob=0.2))
"""The first and the second view of the authors, for photos of some hundred pixels a side."""

SMALL_PHOTOS = (Distortion(crop_area=(0.2, 1.0)), Distortion(crop_area=(0.2, 1.0), solarize_prob=0.2))
"""For photos of about 32 pixels a side: no blur, which would leave nothing, and larger crops."""

_CHARACTER = Distortion(
    crop_area=(0.4, 1.0), flip_prob=0.0, saturation=0.0, hue=0.0, grey_prob=0.0, blur_sigma=(0.1, 1.0)
)
CHARACTERS = (replace(_CHARACTER, blur_prob=0.5), replace(_CHARACTER, blur_prob=0.1, solarize_prob=0.2))
"""For grey characters, whose mirror images are something else, and of which a small crop says little."""

_GREY_THING = Distortion(crop_area=(0.3, 1.0), saturation=0.0, hue=0.0, grey_prob=0.0)
GREY_THINGS = (_GREY_THING, replace(_GREY_THING, solarize_prob=0.2))
"""For small grey pictures of things, which are the same mirrored."""
