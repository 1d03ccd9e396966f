"""Features that are learned from a pool's images without any label: Barlow Twins, as a job that can stop between a few updates.

Shape suffixes: N images, D features.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from hyperlearning.core.errors import NonFiniteLossError
from hyperlearning.core.params import Params, detach, joined, part_of
from hyperlearning.core.seeding import generator
from hyperlearning.engine.rounds import Played, Rounds, RoundsState
from hyperlearning.learners.adamw import adamw
from hyperlearning.learners.barlow_twins import barlow_twins_loss
from hyperlearning.learners.lars import lars
from hyperlearning.learners.optimizers import Optimizer
from hyperlearning.learners.rates import warmed_cosine
from hyperlearning.networks.projector import projector
from hyperlearning.networks.variational.encoders import lenet, num_features_of, small_resnet, strided
from hyperlearning.streams.views import CHARACTERS, GREY_THINGS, SMALL_PHOTOS, Distortion, two_views
from hyperlearning.systems.active.settings import PretrainingSettings, ViewsName

_VIEWS: Mapping[ViewsName, tuple[Distortion, Distortion]] = {
    "characters": CHARACTERS,
    "grey_things": GREY_THINGS,
    "photos": SMALL_PHOTOS,
}
_UPDATES = 20
"""Of a round: what a killed job does again at most, beside what its checkpoint is old."""
_LARS_TRUST = 0.02
"""What others have for images of 32 x 32; the authors have .001 for photos."""


@dataclass(frozen=True, kw_only=True)
class TwinsLine:
    """Learning without labels, after a few updates.

    Attributes:
        update: Updates finished.
        epoch: Passes over the images, in part.
        loss: Mean over these updates.
        lr: The last one's rate.
        seconds: What they took.
    """

    kind: ClassVar[str] = "twins"

    update: int
    epoch: float
    loss: float
    lr: float
    seconds: float


def make_pretrained(
    settings: PretrainingSettings, image: Float[Tensor, "C S S"], source: torch.Generator
) -> nn.Sequential:
    """Makes an encoder for images like one, with random weights."""
    channels, side, _ = image.shape
    widths = (settings.width, 2 * settings.width, 4 * settings.width)
    if settings.pretrained == "lenet":
        return lenet(source, side=side, num_channels=channels)
    if settings.pretrained == "small_resnet":
        return small_resnet(source, num_channels=channels, widths=widths, num_blocks=1)
    return strided(source, num_channels=channels, widths=widths)


def pretraining_job(images: Float[Tensor, "N C S S"], settings: PretrainingSettings, *, seed: int) -> Rounds:
    """Builds the job: a round is a few updates, each on two views of some images.

    Images of a pass come in an order that follows from the seed and the pass; what is left of a pass over whole batches is left
    out. Labels have no part in it.

    Args:
        images: Of the pool, from 0 to 1.
        settings: How.
        seed: Of weights, order and views.

    Raises:
        ValueError: If there are fewer than two images.
    """
    if len(images) < 2:
        raise ValueError(f"Expected two images or more to learn from, but got {len(images)}.")
    network = _twins(settings, images[0], generator(seed, "pretraining, weights"))
    rule = _rule(settings)
    size = min(settings.pretrain_batch, len(images))
    each = len(images) // size
    total = settings.pretrain_epochs * each

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun, losses, lr = time.monotonic(), [], 0.0
        params, moments, buffers = (_part(state.tensors, name) for name in ("params", "moments", "buffers"))
        first = state.round * _UPDATES
        for update in range(first, min(first + _UPDATES, total)):
            epoch, batch = divmod(update, each)
            order = torch.randperm(len(images), generator=generator(seed, f"pretraining, pass {epoch}"))
            lr = settings.pretrain_lr * warmed_cosine(update / total, settings.warm_up)
            views = two_views(images[order[batch * size :][:size]], source, _VIEWS[settings.views])
            leaves = {name: tensor.detach().requires_grad_() for name, tensor in params.items()}
            loss = _loss(network, leaves | buffers, views, settings)
            grads = torch.autograd.grad(loss, list(leaves.values()))
            losses.append(float(loss.detach()))
            with torch.no_grad():
                params, moments = rule.update(detach(leaves), grads, moments, torch.tensor(lr))
        done, mean = first + len(losses), sum(losses) / len(losses)
        if not math.isfinite(mean):
            raise NonFiniteLossError(f"Expected finite losses, but got {mean} at update {done}. Lower `pretrain_lr`.")
        took = round(time.monotonic() - begun, 3)
        line = TwinsLine(update=done, epoch=round(done / each, 3), loss=round(mean, 5), lr=round(lr, 8), seconds=took)
        return Played(_tensors(params, moments, buffers), {}, line, f"pass {done / each:.1f}, loss {mean:.2f}")

    params = {name: _laid_out(tensor.detach().clone()) for name, tensor in network.named_parameters()}
    buffers = {name: tensor.clone() for name, tensor in network.named_buffers()}
    source = generator(seed, "pretraining, views")
    return Rounds(
        initial=RoundsState(_tensors(params, rule.init(params), buffers), {}, 0, source.get_state()),
        play=play,
        num_rounds=-(-total // _UPDATES),
        source=source,
        title="learning without labels",
        unit=f"rounds of {_UPDATES} updates",
    )


def _twins(settings: PretrainingSettings, image: Tensor, source: torch.Generator) -> nn.Sequential:
    encoder = make_pretrained(settings, image, source)
    num_features = num_features_of(encoder, (image.shape[0], image.shape[1], image.shape[2]))
    return nn.Sequential(encoder, projector(source, num_features, widths=(settings.projections,) * 3))


def _loss(network: nn.Module, named: Params, views: tuple[Tensor, Tensor], settings: PretrainingSettings) -> Tensor:
    with torch.autocast(views[0].device.type, torch.bfloat16, enabled=settings.bfloat16):
        first, second = (
            functional_call(network, named, (view.contiguous(memory_format=torch.channels_last),)) for view in views
        )
    return barlow_twins_loss(first.float(), second.float(), redundancy_weight=settings.redundancy_weight or None)


def _rule(settings: PretrainingSettings) -> Optimizer:
    if settings.pretrain_optimizer == "lars":
        return lars(weight_decay=settings.pretrain_decay, trust=_LARS_TRUST)
    return adamw(weight_decay=settings.pretrain_decay)


def _part(tensors: Params, part: str) -> Params:
    """Copies of one part, laid out as they are computed with."""
    return {name: _laid_out(tensor.clone()) for name, tensor in part_of(tensors, part).items()}


def _tensors(params: Params, moments: Params, buffers: Params) -> Params:
    return detach(joined({"params": params, "moments": moments, "buffers": buffers}))


def _laid_out(tensor: Tensor) -> Tensor:
    """Channels last, which convolutions on a CPU are faster with."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
