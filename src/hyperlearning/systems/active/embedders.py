"""Features of a folder's images, by name: how they come to be, and how they are had again from a file.

Shape suffixes: N images, C channels, S side, D features.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.seeding import generator
from hyperlearning.engine.rounds import Rounds, RoundsState
from hyperlearning.networks.variational.encoders import strided
from hyperlearning.systems.active.features import Embedder, PixelComponents, find_pixel_components
from hyperlearning.systems.active.learned import LearnedFeatures, learned_from
from hyperlearning.systems.active.pretraining import pretraining_job
from hyperlearning.systems.active.settings import PretrainingSettings

FeatureKind = Literal["pixels", "learned"]
Work = Callable[[Rounds], RoundsState]
"""Does a job to its end, in a record where it may stop and go on."""

_NUM_COMPONENTS = 64
"""Of a folder's pixels, at most."""
_IMAGES_PER_COMPONENT = 4
"""Fewer, and the last components, which are scaled up as much as the first, tell images apart but not classes."""
_UPDATES, _BATCH = 2000, 128
"""Of learning from a folder, however many images it has: four minutes of one core's time for images of 32 x 32 in colour."""


class EmbedderKind(NamedTuple):
    """How features of a folder come to be.

    Attributes:
        learn: From images, a seed, and what does long work.
        restore: From the tensors of one that was learned.
    """

    learn: Callable[[Float[Tensor, "N C S S"], int, Work], Embedder]
    restore: Callable[[Mapping[str, Tensor]], Embedder]


def _learn_pixels(images: Float[Tensor, "N C S S"], seed: int, work: Work) -> Embedder:
    return find_pixel_components(images, max(1, min(_NUM_COMPONENTS, len(images) // _IMAGES_PER_COMPONENT)))


def _restore_pixels(kept: Mapping[str, Tensor]) -> Embedder:
    return PixelComponents(**kept)


def _learn_by_twins(images: Float[Tensor, "N C S S"], seed: int, work: Work) -> Embedder:
    if bool((images == images[:1]).all()):
        raise ValueError(
            f"Expected images that differ, but all {len(images)} are the same once they have been resized."
        )
    settings = settings_of_folder(len(images), images.shape[1])
    return learned_from(work(pretraining_job(images, settings, seed=seed)), settings, images)


def settings_of_folder(num_images: int, num_channels: int) -> PretrainingSettings:
    """How features of a folder are learned; grey images are not mirrored, for they may be characters."""
    each = num_images // min(_BATCH, num_images)
    return PretrainingSettings(
        views="characters" if num_channels == 1 else "photos",
        pretrain_epochs=max(1, round(_UPDATES / each)),
        pretrain_batch=_BATCH,
        bfloat16=False,
    )


def _restore_by_twins(kept: Mapping[str, Tensor]) -> Embedder:
    prefix = "encoder."
    own = {name.removeprefix(prefix): tensor for name, tensor in kept.items() if name.startswith(prefix)}
    width, channels = own["0.weight"].shape[:2]
    encoder = strided(
        generator(0, "weights that are replaced"), num_channels=channels, widths=(width, 2 * width, 4 * width)
    )
    encoder.load_state_dict(own)
    return LearnedFeatures(encoder.eval(), kept["mean_D"], kept["axes_DD"], bool(kept["mirrored"]))


EMBEDDERS: Mapping[FeatureKind, EmbedderKind] = MappingProxyType(
    {
        "pixels": EmbedderKind(_learn_pixels, _restore_pixels),
        "learned": EmbedderKind(_learn_by_twins, _restore_by_twins),
    }
)
"""What features of a folder may be, by name."""


def folder_features(
    images: Float[Tensor, "N C S S"], kind: FeatureKind = "pixels", *, seed: int = 0
) -> Float[Tensor, "N D"]:
    """Features of images that need no label.

    Args:
        images: Such as `hl.read_unlabelled_folder(FOLDER).images`.
        kind: `pixels`: the first principal components of pixels, each over its standard deviation; 64, or one for four images.
            `learned`: 128 numbers by Barlow Twins on these very images, which takes four minutes of one core's
            time for images of 32 x 32 in colour.
        seed: Of chance, where features are learned.

    Raises:
        ValueError: If all images are the same.
    """
    return EMBEDDERS[kind].learn(images, seed, to_its_end)(images)


def to_its_end(job: Rounds) -> RoundsState:
    """Does a job without a record."""
    state = job.begin()
    for step in job.steps(state):
        state = step.state
    return state
