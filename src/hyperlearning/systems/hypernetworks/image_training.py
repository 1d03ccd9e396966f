"""How a coder of images learns, as a job from look to look, and how it is tested.

Shape suffixes: B images, C channels, S side, P points.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from hyperlearning.core.errors import NonFiniteLossError
from hyperlearning.core.params import joined, on_default_device, part_of
from hyperlearning.core.seeding import generator
from hyperlearning.engine.rounds import Played, Rounds, RoundsState
from hyperlearning.learners.optimizers import adam, clip_by_global_norm
from hyperlearning.learners.rates import warmed_cosine
from hyperlearning.systems.hypernetworks.image_coders import CODERS, Coder, LearnedCoder, pixel_points
from hyperlearning.systems.hypernetworks.image_lines import CoderLook
from hyperlearning.systems.hypernetworks.image_settings import CoderName, CoderSettings

_MOST_NORM = 1.0
_AT_A_TIME = 200
"""Images tested at once."""


def build_coder(name: CoderName, settings: CoderSettings, shape: tuple[int, int, int], seed: int) -> LearnedCoder:
    """Builds a coder that descends, untrained."""
    build = CODERS[name].build
    assert build is not None
    return build(settings, shape, generator(seed, f"first weights of {name}"))


@torch.no_grad()
def psnrs(coder: Coder, images: Float[Tensor, "B C S S"]) -> Float[Tensor, " B"]:
    """Peak signal to noise of each image, in decibels: `-10 log10(mean squared error)`, where 1 is the peak.

    Args:
        coder: What codes them and gives them back; what is beyond 0 or 1 counts as these.
        images: From 0 to 1.
    """
    points = pixel_points(images.shape[-1], device=images.device)
    found = []
    for batch in images.split(_AT_A_TIME):
        given = coder.decode(coder.encode(batch), points).clamp(0, 1)
        error = (given - _pixels(batch)).square().flatten(1).mean(1)
        found.append(-10 * torch.log10(error))
    return torch.cat(found)


def coder_job(
    name: CoderName,
    settings: CoderSettings,
    train: Float[Tensor, "N C S S"],
    tests: Float[Tensor, "B C S S"],
    seed: int,
) -> Rounds:
    """Makes the job that trains a coder, a round from look to look.

    Args:
        name: Which.
        settings: How.
        train: Images to learn from, from 0 to 1.
        tests: Images that are looked at; nothing is chosen by them.
        seed: Of the run.
    """
    shape = (train.shape[1], train.shape[2], train.shape[3])
    coder = build_coder(name, settings, shape, seed)
    rule, source = adam(), generator(seed, "batches of images")
    points, pixels = pixel_points(shape[1], device=train.device), _pixels(train)
    num_points = round(settings.points * len(points)) if CODERS[name].is_written else len(points)

    def loss_of(own: torch.Generator) -> Tensor:
        places = torch.randint(len(train), (settings.batch,), generator=own)
        wanted, seen = pixels[places], points
        if num_points < len(points):
            drawn = torch.randperm(len(points), generator=own)[:num_points]
            wanted, seen = wanted[:, drawn], points[drawn]
        return (coder.decode(coder.encode(train[places]), seen) - wanted).square().mean()

    def play(state: RoundsState, own: torch.Generator) -> Played:
        coder.load_state_dict(part_of(state.tensors, "now"))
        coder.train()
        moments, losses = part_of(state.tensors, "moments"), []
        first, last = (settings.updates * (state.round + more) // settings.looks for more in (0, 1))
        for update in range(first, last):
            loss = loss_of(own)
            params = dict(coder.named_parameters())
            grads = clip_by_global_norm(list(torch.autograd.grad(loss, list(params.values()))), _MOST_NORM)
            rate = settings.coder_lr * warmed_cosine(update / settings.updates, settings.warm_up)
            with torch.no_grad():
                detached = {key: tensor.detach() for key, tensor in params.items()}
                values, moments = rule.update(detached, grads, moments, torch.tensor(rate))
                for key, tensor in params.items():
                    tensor.copy_(values[key])
            losses.append(loss.detach())
        mean = float(torch.stack(losses).mean())
        if not math.isfinite(mean):
            raise NonFiniteLossError(f"Expected finite losses, but got {mean} by update {last}. Lower `coder_lr`.")
        coder.eval()
        look = CoderLook(updates=last, loss=mean, psnr=float(psnrs(coder, tests).mean()))
        now = {key: tensor.detach().clone() for key, tensor in coder.state_dict().items()}
        return Played(joined({"now": now, "moments": moments}), {}, look, f"error {mean:.4f}, tests {look.psnr:.2f} dB")

    now = {key: tensor.detach().clone() for key, tensor in coder.state_dict().items()}
    moments = rule.init(dict(coder.named_parameters()))
    return Rounds(
        initial=RoundsState(joined({"now": now, "moments": moments}), {}, 0, source.get_state()),
        play=play,
        num_rounds=settings.looks,
        source=source,
        title=CODERS[name].title,
        unit="looks",
    )


def trained_coder(
    name: CoderName, settings: CoderSettings, shape: tuple[int, int, int], seed: int, state: RoundsState
) -> LearnedCoder:
    """A coder as a job left it, in evaluation mode."""
    coder = build_coder(name, settings, shape, seed)
    coder.load_state_dict({key: on_default_device(tensor) for key, tensor in part_of(state.tensors, "now").items()})
    return coder.eval()


def _pixels(images: Tensor) -> Float[Tensor, "B P C"]:
    return images.flatten(2).transpose(1, 2)
