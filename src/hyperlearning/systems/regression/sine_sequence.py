"""OML's sine waves read by a sequence model, meta-trained on the lives that the other systems are hyper-trained on.

Shape suffixes: T batches, L lives, N examples of a life, P points of the grid.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import count
from hyperlearning.core.seeding import generator
from hyperlearning.data.sine_mixtures import DOMAIN
from hyperlearning.engine.fitting import FitState, Fitting, first_fit_state
from hyperlearning.engine.hyper_training import outer_schedule
from hyperlearning.learners.optimizers import adam
from hyperlearning.networks.backbones import mlp
from hyperlearning.networks.features import GaussianBumps
from hyperlearning.networks.sequence_model import SequenceModel
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.sine_tasks import draw_sine_hyper_stream, draw_sine_tasks
from hyperlearning.systems.regression.lives import HeldOut, LifeErrors, errors_of
from hyperlearning.systems.regression.sine_settings import LifeSettings, SequenceSettings, TrainingSettings
from hyperlearning.systems.system import Method

_TARGET_SCALE = 5.0
"""What targets are divided by and answers multiplied by: about the largest amplitude, 5.1."""
_NUM_BUMPS, _BUMP_WIDTH, _CODE_SCALE = 16, 1.0, 2.0
_RECORD_EVERY = 10


class SequenceSystem(NamedTuple):
    """A sequence model with its meta-training, ready to begin.

    Attributes:
        model: The model; its own values are not the trained ones.
        job: Its meta-training.
    """

    model: SequenceModel
    job: Fitting

    def trained(self, state: FitState) -> SequenceModel:
        """Gives the model a state's values, for good, and returns it."""
        self.model.load_state_dict({**dict(self.model.named_buffers()), **state.params})
        return self.model.requires_grad_(False)


def sequence_system(
    settings: SequenceSettings, training: TrainingSettings, life: LifeSettings, *, seed: int
) -> SequenceSystem:
    """Builds the model and the job that meta-trains it: to answer the points of the outer loss after a stretch of a life.

    A stretch is some whole waves in a row. Which is drawn at every step, their number with a chance inverse to it, so that
    stretches of every length cost about the same in all.

    Raises:
        ValueError: If settings are out of range.
    """
    model = _build(settings, life, generator(seed, "sequence model"))
    params = {name: value.detach().clone() for name, value in model.named_parameters()}
    source, outer = generator(seed, "sequence lives"), adam()

    def loss(params: dict[str, Tensor], lives: HyperStream) -> Tensor:
        further = (lives.hyper_inputs[0, 0], lives.hyper_targets[0, 0])
        met = (_by_life(lives.inputs), _by_life(lives.targets))
        return mean_squared_error(functional_call(model, params, (*met, further[0])), further[1])

    return SequenceSystem(
        model,
        Fitting(
            initial=first_fit_state(params, outer, source),
            loss_fn=loss,
            draw=lambda source: _draw_stretches(settings, training, life, source),
            optimizer=outer,
            lr=outer_schedule("cosine", settings.sequence_lr, warmup_share=training.warmup_share),
            num_epochs=settings.sequence_steps,
            source=source,
            max_grad_norm=training.max_grad_norm,
            record_every=_RECORD_EVERY,
            title="meta-training",
        ),
    )


def sequence_method(model: SequenceModel, life: LifeSettings) -> Method[HeldOut, LifeErrors]:
    """Lives of a meta-trained model, which reads one example after another and answers after every wave."""
    num_examples = life.num_updates * life.batch_size
    return Method(
        "sequence",
        "Sequence model, meta-trained",
        "a causal transformer reads the examples, one forward step each; plastic are the keys and values at the end",
        lambda held_out: live_reading(model, held_out),
        {"num_plastic": num_kept(model, num_examples), "num_innate": count(dict(model.named_parameters()))},
    )


def num_kept(model: SequenceModel, num_examples: int) -> int:
    """Numbers kept of so many examples and the first token."""
    kept = sum(tensor.numel() for layer in model.begin(1) for tensor in layer)
    return kept * (num_examples + 1) if model.attention == "softmax" else kept


@torch.no_grad()
def live_reading(model: SequenceModel, held_out: HeldOut) -> LifeErrors:
    """Lives many lives at once, task after task; what it arrives at is what `learners.SequenceLife` does example by example."""
    memory, every = model.begin(len(held_out.grid)), len(held_out.stream.inputs) // held_out.num_tasks
    predictions_LP = [model.answer(held_out.grid, memory)[..., 0]]
    for inputs, targets in zip(*(tensor.split(every) for tensor in held_out.stream), strict=True):
        memory = model.read(_by_life(inputs), _by_life(targets), memory)
        predictions_LP.append(model.answer(held_out.grid, memory)[..., 0])
    return errors_of(torch.stack(predictions_LP), held_out)


def _build(settings: SequenceSettings, life: LifeSettings, source: torch.Generator) -> SequenceModel:
    width = settings.sequence_width
    return SequenceModel(
        _Encoder(life.capacity, width, source),
        mlp((1, width), generator=source),
        width=width,
        num_layers=settings.sequence_layers,
        num_heads=settings.sequence_heads,
        num_outputs=1,
        attention=settings.sequence_attention,
        generator=source,
    )


class _Encoder(nn.Module):
    """A linear map of a wave's code and of bumps of x."""

    def __init__(self, capacity: int, width: int, source: torch.Generator) -> None:
        super().__init__()
        self._capacity = capacity
        self.bumps = GaussianBumps(_NUM_BUMPS, width=_BUMP_WIDTH, domain=DOMAIN)
        self.mix = mlp((capacity + _NUM_BUMPS, width), generator=source)

    def forward(self, inputs: Tensor) -> Tensor:
        code, x = inputs.split([self._capacity, 1], dim=-1)
        return self.mix(torch.cat([_CODE_SCALE * code, self.bumps(x)], dim=-1))


def _draw_stretches(
    settings: SequenceSettings, training: TrainingSettings, life: LifeSettings, source: torch.Generator
) -> HyperStream:
    lives = draw_sine_hyper_stream(
        draw_sine_tasks(settings.sequence_population, life.num_tasks, source),
        source,
        updates_per_task=life.updates_per_task,
        batch_size=life.batch_size,
        points_per_task=training.hyper_points,
        capacity=life.capacity,
    )
    chances = 1 / torch.arange(1.0, life.num_tasks + 1)
    num_tasks = 1 + int(torch.multinomial(chances, 1, generator=source))
    first = int(torch.randint(life.num_tasks - num_tasks + 1, (), generator=source, device=source.device))
    met, asked = (
        slice(first * each, (first + num_tasks) * each) for each in (life.updates_per_task, training.hyper_points)
    )
    return HyperStream(
        lives.inputs[met], lives.targets[met], lives.hyper_inputs[:, :, :, asked], lives.hyper_targets[:, :, :, asked]
    )


def _by_life(batches: Tensor) -> Tensor:
    """(T, L, B, ...) as (L, N, ...)."""
    return batches.transpose(0, 1).flatten(1, 2)
