"""All coders on the same test images: each is trained, or gone on with, then tested, and some of what it gives back is kept."""

import time
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from rich.console import Console
from torch import Tensor
from torch.nn.functional import interpolate

from hyperlearning.core.params import count
from hyperlearning.core.seeding import generator
from hyperlearning.data.images import load
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import train_below
from hyperlearning.streams.image_pool import image_pool
from hyperlearning.systems.hypernetworks.image_coders import (
    CODERS,
    Coder,
    LearnedCoder,
    PrincipalCoder,
    WrittenImages,
    pixel_points,
)
from hyperlearning.systems.hypernetworks.image_lines import CoderLine, CoderLook, ShownLine
from hyperlearning.systems.hypernetworks.image_settings import CodedImages, CoderName, CoderSettings
from hyperlearning.systems.hypernetworks.image_training import coder_job, psnrs, trained_coder
from hyperlearning.systems.packed_images import pack_images

_SHOWN = 12
"""Test images that a record keeps."""
FINER = 4
"""How many times as many pixels along an axis."""
_SPLITS = {"omniglot": ("background", "evaluation")}


class ImagePlan(NamedTuple):
    """All that a comparison follows from.

    Attributes:
        train: Images to learn from, (N, C, S, S), from 0 to 1.
        tests: Images that none learns from.
        settings: What codes them.
        seed: Of the run.
    """

    train: Tensor
    tests: Tensor
    settings: CoderSettings
    seed: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image."""
        return (self.train.shape[1], self.train.shape[2], self.train.shape[3])


def draw_images(data: CodedImages, settings: CoderSettings, seed: int) -> ImagePlan:
    """Reads images, and draws by chance which are learned from and which are tested.

    Raises:
        DataError: If the data are absent or not what they should be.
    """
    train_split, test_split = _SPLITS.get(data.dataset, ("train", "test"))
    root = data.data_root or None
    train = _drawn(data.dataset, train_split, root, data.train_images, generator(seed, "images to learn from"))
    tests = _drawn(data.dataset, test_split, root, data.test_images, generator(seed, "images to test"))
    return ImagePlan(train, tests, settings, seed)


def _drawn(name: str, split: str, root: str | None, most: int, source: torch.Generator) -> Tensor:
    images = image_pool([load(name, split, root=root)]).images
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(source.initial_seed()))
    return (images[order[:most]].float() / 255).to(torch.get_default_device())


def check_images(plan: ImagePlan) -> None:
    """Refuses a code that is no shorter than an image, or longer than what there is to learn from.

    Raises:
        ValueError: If so.
    """
    most = min(len(plan.train), plan.train[0].numel() - 1)
    if plan.settings.code_size > most:
        raise ValueError(
            f"Expected `code_size` of at most {most}, below pixels and images, but got {plan.settings.code_size}."
        )


def compare_coders(plan: ImagePlan, config: Any, record: RunRecord, console: Console) -> None:
    """Trains all coders, or goes on doing so, each in a record below the run's, tests them and keeps some images."""
    record.once(ShownLine, {"coder": "truth"}, partial(_truth, plan.tests[:_SHOWN]))
    for name in plan.settings.coders:
        coder, seconds, looks = _made(plan, name, config, record, console)
        record.once(CoderLine, {"coder": name}, partial(_tested, plan, name, coder, seconds, looks))
        for side in _sides(plan, name):
            record.once(ShownLine, {"coder": name, "side": side}, partial(_shown, plan, name, coder, side))
    side = FINER * plan.shape[1]
    record.once(ShownLine, {"coder": "bicubic"}, partial(_bicubic, plan.tests[:_SHOWN], side))


def _made(
    plan: ImagePlan, name: CoderName, config: Any, record: RunRecord, console: Console
) -> tuple[PrincipalCoder | LearnedCoder, float, tuple[CoderLook, ...]]:
    if CODERS[name].build is None:
        begun = time.monotonic()
        return PrincipalCoder(plan.train, plan.settings.code_size), round(time.monotonic() - begun, 3), ()
    job = coder_job(name, plan.settings, plan.train, plan.tests, plan.seed)
    trained = train_below(record, name, config, job, console, num_looks=1)
    coder = trained_coder(name, plan.settings, plan.shape, plan.seed, trained.state)
    looks = tuple(trained.record.lines(CoderLook))
    return coder, trained.record.manifest["training_seconds"], looks


def _tested(
    plan: ImagePlan, name: CoderName, coder: PrincipalCoder | LearnedCoder, seconds: float, looks: tuple[CoderLook, ...]
) -> CoderLine:
    found = psnrs(coder, plan.tests).tolist()
    solved = isinstance(coder, PrincipalCoder)
    num_numbers = coder.num_numbers if solved else count(dict(coder.named_parameters()))
    emitted = sum(tensor.size for tensor in coder.hyper.tensors()) if isinstance(coder, WrittenImages) else None
    return CoderLine(
        coder=name,
        title=CODERS[name].title,
        psnrs=tuple(round(one, 4) for one in found),
        num_numbers=num_numbers,
        num_emitted=emitted,
        seconds=seconds,
        looks=looks,
    )


def _sides(plan: ImagePlan, name: CoderName) -> tuple[int, ...]:
    side = plan.shape[1]
    return (side, FINER * side) if CODERS[name].is_written else (side,)


@torch.no_grad()
def _shown(plan: ImagePlan, name: CoderName, coder: Coder, side: int) -> ShownLine:
    images = plan.tests[:_SHOWN]
    given = coder.decode(coder.encode(images), pixel_points(side, device=images.device))
    return _packed(name, CODERS[name].title, given.transpose(1, 2).unflatten(2, (side, side)))


def _truth(images: Float[Tensor, "B C S S"]) -> ShownLine:
    return _packed("truth", "as they are", images)


def _bicubic(images: Float[Tensor, "B C S S"], side: int) -> ShownLine:
    return _packed("bicubic", "as they are, bicubic", interpolate(images, (side, side), mode="bicubic"))


def _packed(coder: str, title: str, images: Float[Tensor, "B C S S"]) -> ShownLine:
    return ShownLine(coder=coder, title=title, side=images.shape[-1], images=pack_images(images.cpu()))
