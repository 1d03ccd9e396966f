"""Random changes of images, a whole batch at a time and on its device; every image has parameters of its own.

In this order: one resampling for all that moves pixels (crop, flip, zoom, shear, rotation, translation, elastic bending),
stroke thickness, brightness and contrast, grey, blur, solarization.

Shape suffixes: N images, C channels, S side, K points of the elastic lattice along a side.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from hyperlearning.data.user_images import LUMA

_BLUR_SIGMA = (0.1, 2.0)
"""Standard deviations of the blur in pixels."""

_MAX_EROSION = 0.5
"""Share of the way to the darkest neighbour that a stroke is thinned by at most: a stroke of one pixel must not vanish."""

_LATTICE = 4
"""Points of the elastic lattice along a side; bends are as wide as its meshes."""

_NUM_GEOMETRY, _NUM_VALUES = 10, 9
"""Random numbers per image: always all of them, so that one change does not alter what another one draws."""

Images = Float[Tensor, "N C S S"]
PerImage = Float[Tensor, " N"]


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Ranges that each image's changes are drawn from, uniformly; by default there are none.

    Measured on one CPU thread with grey images of 28 x 28: 45,000 images a second with `MILD_AUGMENTATION`, 35,000 with
    `PAPER_AUGMENTATION`; with colour images of 32 x 32: 22,000 and 12,000.

    Attributes:
        crop_area: Least and greatest share of the image's area that is cropped and resized to the whole.
        crop_aspect: Least and greatest width over height of the crop, log-uniform.
        rotation: Greatest rotation either way, in degrees.
        shear: Greatest horizontal shear either way, in degrees, below 90.
        zoom: Least and greatest magnification about the centre.
        translation: Greatest move either way along each axis, in sides of the image.
        elastic: Greatest move either way, along each axis, of each point of a lattice of 4 x 4, in sides of the image; pixels
            between follow smoothly.
        flip_prob: Probability of a mirror image, left for right.
        stroke_prob: Probability that strokes (bright on dark) become thicker or, as often, thinner.
        jitter_prob: Probability that brightness and contrast change.
        brightness: Greatest change of the brightness factor from 1, 0 to 1; needs `jitter_prob`.
        contrast: Greatest change of the contrast factor from 1, 0 to 1; needs `jitter_prob`.
        grey_prob: Probability that a colour image becomes grey; grey images stay as they are.
        blur_prob: Probability of a Gaussian blur of .1 to 2 pixels.
        solarize_prob: Probability that values from .5 are inverted.

    Raises:
        ValueError: If a range or a probability is out of bounds.
    """

    crop_area: tuple[float, float] = (1.0, 1.0)
    crop_aspect: tuple[float, float] = (1.0, 1.0)
    rotation: float = 0.0
    shear: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    translation: float = 0.0
    elastic: float = 0.0
    flip_prob: float = 0.0
    stroke_prob: float = 0.0
    jitter_prob: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    grey_prob: float = 0.0
    blur_prob: float = 0.0
    solarize_prob: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what cannot be."""
        for name in ("flip_prob", "stroke_prob", "jitter_prob", "grey_prob", "blur_prob", "solarize_prob"):
            _check_within(name, (getattr(self, name),), 0.0, 1.0)
        _check_within("brightness", (self.brightness,), 0.0, 1.0)
        _check_within("contrast", (self.contrast,), 0.0, 1.0)
        _check_within("rotation", (self.rotation,), 0.0, 180.0)
        _check_within("shear", (self.shear,), 0.0, 89.0)
        _check_within("translation", (self.translation,), 0.0, 1.0)
        _check_within("elastic", (self.elastic,), 0.0, 1.0)
        _check_within("crop_area", self.crop_area, 1e-3, 1.0)
        _check_within("crop_aspect", self.crop_aspect, 0.1, 10.0)
        _check_within("zoom", self.zoom, 0.1, 10.0)
        if bool(self.jitter_prob) is not bool(self.brightness or self.contrast):
            raise ValueError(
                f"Expected `jitter_prob` and `brightness` or `contrast`, or none of them, "
                f"but got {self.jitter_prob}, {self.brightness} and {self.contrast}."
            )

    @property
    def moves_pixels(self) -> bool:
        """Whether images are resampled at all."""
        still = (1.0, 1.0)
        ranges = (self.crop_area, self.crop_aspect, self.zoom)
        return any((self.rotation, self.shear, self.translation, self.elastic, self.flip_prob)) or any(
            r != still for r in ranges
        )

    def apply(self, images: Images, generator: torch.Generator) -> Images:
        """Changes each image in its own way.

        Args:
            images: (N, C, S, S), values from 0 to 1; they are not modified.
            generator: Source of all parameters, on the device of the images.

        Returns:
            As many images, values from 0 to 1.
        """
        unit = torch.rand(_NUM_GEOMETRY + _NUM_VALUES, len(images), generator=generator, device=images.device)
        if self.moves_pixels and len(images):
            bends = self._bends(images, generator) if self.elastic else None
            images = resample(images, affine_matrices(self._geometry(unit[:_NUM_GEOMETRY])), bends)
        # Interpolation weights sum to 1 only up to rounding.
        return self._with_new_values(images, unit[_NUM_GEOMETRY:]).clamp(0, 1)

    def _geometry(self, unit: Float[Tensor, "draws N"]) -> "Geometry":
        area = _between(unit[0], self.crop_area)
        aspect = _between(unit[1], (math.log(self.crop_aspect[0]), math.log(self.crop_aspect[1]))).exp()
        return Geometry(
            crop_width=(area * aspect).sqrt().clamp(max=1),
            crop_height=(area / aspect).sqrt().clamp(max=1),
            crop_x=unit[2],
            crop_y=unit[3],
            rotation=_either_way(unit[4], self.rotation),
            shear=_either_way(unit[5], self.shear),
            zoom=_between(unit[6], self.zoom),
            move_x=_either_way(unit[7], self.translation),
            move_y=_either_way(unit[8], self.translation),
            is_flipped=unit[9] < self.flip_prob,
        )

    def _bends(self, images: Images, generator: torch.Generator) -> Float[Tensor, "N 2 K K"]:
        shape = (len(images), 2, _LATTICE, _LATTICE)
        return 2 * self.elastic * (2 * torch.rand(shape, generator=generator, device=images.device) - 1)

    def _with_new_values(self, images: Images, unit: Float[Tensor, "draws N"]) -> Images:
        if self.stroke_prob:
            images = thicken(images, torch.where(unit[0] < self.stroke_prob, 2 * unit[1] - 1, 0))
        if self.jitter_prob:
            chosen = unit[2] < self.jitter_prob
            brightness, contrast = _either_way(unit[3], self.brightness), _either_way(unit[4], self.contrast)
            images = jitter(images, torch.where(chosen, 1 + brightness, 1), torch.where(chosen, 1 + contrast, 1))
        if self.grey_prob and images.shape[1] == 3:
            images = torch.where(_chosen(unit[5], self.grey_prob), luma(images), images)
        if self.blur_prob:
            images = blur(images, torch.where(unit[6] < self.blur_prob, _between(unit[7], _BLUR_SIGMA), 0))
        if self.solarize_prob:
            images = torch.where(_chosen(unit[8], self.solarize_prob), solarize(images), images)
        return images


class Geometry(NamedTuple):
    """Where each image's pixels go: it is cropped, flipped, magnified, sheared, rotated and moved, in this order.

    Attributes:
        crop_width: Width of the crop as a share of the image's.
        crop_height: Likewise.
        crop_x: Place of the crop, 0 (leftmost) to 1 (rightmost).
        crop_y: Likewise from the top.
        rotation: Degrees, counterclockwise.
        shear: Degrees by which vertical lines lean.
        zoom: Magnification.
        move_x: Move to the right, in sides of the image.
        move_y: Likewise downwards.
        is_flipped: Whether left and right are exchanged.
    """

    crop_width: PerImage
    crop_height: PerImage
    crop_x: PerImage
    crop_y: PerImage
    rotation: PerImage
    shear: PerImage
    zoom: PerImage
    move_x: PerImage
    move_y: PerImage
    is_flipped: Bool[Tensor, " N"]


def affine_matrices(geometry: Geometry) -> Float[Tensor, "N 2 3"]:
    """Composes the maps from places in the new images to places in the old ones, both from -1 to 1."""
    turn = geometry.rotation.deg2rad()
    cos, sin, tan = turn.cos(), turn.sin(), geometry.shear.deg2rad().tan()
    # The inverses, last change first: rotation, shear, zoom; then flip and crop scale what results.
    rows = (
        torch.stack([cos - tan * sin, -sin - tan * cos, sin, cos], -1).unflatten(-1, (2, 2))
        / geometry.zoom[:, None, None]
    )
    mirror = torch.where(geometry.is_flipped, -1, 1)
    scale = torch.stack([mirror * geometry.crop_width, geometry.crop_height], -1)
    linear = scale[:, :, None] * rows
    centre = torch.stack(
        [
            (1 - geometry.crop_width) * (2 * geometry.crop_x - 1),
            (1 - geometry.crop_height) * (2 * geometry.crop_y - 1),
        ],
        -1,
    )
    move = 2 * torch.stack([geometry.move_x, geometry.move_y], -1)
    return torch.cat([linear, centre[:, :, None] - linear @ move[:, :, None]], -1)


def resample(images: Images, matrices: Float[Tensor, "N 2 3"], bends: Float[Tensor, "N 2 K K"] | None = None) -> Images:
    """Takes each new pixel from its place in the old image, bilinearly; beyond the border all is 0, the ground of grey sets.

    Args:
        images: (N, C, S, S).
        matrices: From `affine_matrices`.
        bends: (N, 2, K, K), by how much a lattice of places in the old image is moved right and down, where its side is 2;
            bicubic between the lattice's points.
    """
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    if bends is not None:
        grid = grid + F.interpolate(bends, images.shape[-2:], mode="bicubic").movedim(1, -1)
    return F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)


def thicken(images: Images, strength: PerImage) -> Images:
    """Moves each pixel towards the brightest of its 3 x 3 neighbourhood, or towards the darkest where `strength` is negative.

    Args:
        images: Bright strokes on a dark ground.
        strength: -1 to 1; 1 is a full dilation, -1 half an erosion, 0 no change.
    """
    # Dilation of the negative is erosion; shifted maxima are several times faster on a CPU than pooling.
    sign = _spread(torch.where(strength < 0, -1.0, 1.0))
    share = _spread(torch.where(strength < 0, -_MAX_EROSION * strength, strength))
    return images + share * (sign * _dilated(sign * images) - images)


def jitter(images: Images, brightness: PerImage, contrast: PerImage) -> Images:
    """Scales values by `brightness`, then their distance from the image's mean grey by `contrast`; both cut to 0 to 1."""
    bright = (images * _spread(brightness)).clamp(0, 1)
    mean = luma(bright).mean((1, 2, 3), keepdim=True)
    return (mean + _spread(contrast) * (bright - mean)).clamp(0, 1)


def luma(images: Images) -> Float[Tensor, "N 1 S S"]:
    """Grey values of colour images; grey images as they are."""
    if images.shape[1] == 1:
        return images
    return torch.einsum("nchw,c->nhw", images, images.new_tensor(LUMA)).unsqueeze(1)


def blur(images: Images, sigma: PerImage) -> Images:
    """Convolves each image with a Gaussian of `sigma` pixels along rows and columns, weights normalized at the border.

    As two matrix products, which need no kernel size and take a width of each image's own; 0 leaves an image as it is.
    """
    place = torch.arange(images.shape[-1], device=images.device)
    distance = (place[:, None] - place) / sigma.clamp(min=1e-3)[:, None, None]
    weights = (-0.5 * distance**2).softmax(-1).unsqueeze(1)
    return weights @ images @ weights.mT


def solarize(images: Images) -> Images:
    """Inverts values from .5."""
    return torch.where(images < 0.5, images, 1 - images)


def _dilated(images: Images) -> Images:
    for axis in (2, 3):
        first, last = images.narrow(axis, 0, 1), images.narrow(axis, -1, 1)
        size = images.shape[axis] - 1
        before = torch.cat([first, images.narrow(axis, 0, size)], axis)
        after = torch.cat([images.narrow(axis, 1, size), last], axis)
        images = images.maximum(before).maximum(after)
    return images


def _between(unit: PerImage, bounds: tuple[float, float]) -> PerImage:
    return bounds[0] + (bounds[1] - bounds[0]) * unit


def _either_way(unit: PerImage, greatest: float) -> PerImage:
    return greatest * (2 * unit - 1)


def _chosen(unit: PerImage, prob: float) -> Bool[Tensor, "N 1 1 1"]:
    return _spread(unit) < prob


def _spread(values: PerImage) -> Float[Tensor, "N 1 1 1"]:
    return values[:, None, None, None]


def _check_within(name: str, bounds: Sequence[float], low: float, high: float) -> None:
    if not all(low <= bound <= high for bound in bounds) or list(bounds) != sorted(bounds):
        raise ValueError(f"Expected `{name}` from {low} to {high}, a lower bound first, but got {list(bounds)}.")


PAPER_AUGMENTATION = Augmentation(
    crop_area=(0.08, 1.0),
    crop_aspect=(3 / 4, 4 / 3),
    rotation=45.0,
    jitter_prob=0.8,
    brightness=0.4,
    contrast=0.4,
    grey_prob=0.2,
    blur_prob=0.1,
    solarize_prob=0.2,
)
"""As in the DAN authors' class-incremental script. Deviations: saturation and hue stay, and all that moves pixels is one
resampling, so that a rotated crop shows its surroundings in the corners. The strengths of the jitter are ours."""

MILD_AUGMENTATION = Augmentation(rotation=10.0, zoom=(0.8, 1.2), shear=10.0, translation=0.1, stroke_prob=0.3)
"""For characters, which stay what they are."""

STRONG_AUGMENTATION = Augmentation(
    rotation=15.0, zoom=(0.7, 1.2), shear=20.0, translation=0.1, stroke_prob=0.9, blur_prob=0.3
)
"""For characters of one set that are to stand for those of another, drawn with other pens in other hands."""

ELASTIC_AUGMENTATION = replace(STRONG_AUGMENTATION, elastic=0.05)
"""The same, and bent."""

AugmentationName = Literal["none", "mild", "strong", "elastic", "paper"]

AUGMENTATIONS: dict[AugmentationName, Augmentation | None] = {
    "none": None,
    "mild": MILD_AUGMENTATION,
    "strong": STRONG_AUGMENTATION,
    "elastic": ELASTIC_AUGMENTATION,
    "paper": PAPER_AUGMENTATION,
}
