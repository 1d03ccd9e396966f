"""Characters in a row read by a sequence model: its meta-training on streams of background classes, and its tests.

A class of a stream is a label drawn anew for every stream, so that what belongs to it has to be read from the stream.

Source: Lee, Son and Kim, "Recasting Continual Learning as Sequence Modeling" (2023), sections 3 and 5.

Shape suffixes: L lives, C classes, n images of a class, N examples of a life, Q queries.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.func import functional_call

from hyperlearning.core.expect import AtLeast, Count, Rate, Seed, Some, check_ranges
from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.params import Params
from hyperlearning.core.seeding import generator
from hyperlearning.engine.fitting import FitState, Fitting, first_fit_state
from hyperlearning.engine.hyper_training import outer_schedule
from hyperlearning.evaluation.recognition import Accuracy
from hyperlearning.learners.optimizers import adam
from hyperlearning.networks.backbones import mlp
from hyperlearning.networks.dan.input_dans import InputDANs
from hyperlearning.networks.sequence_model import Memory, SequenceModel
from hyperlearning.streams.augmentation import AUGMENTATIONS
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.trajectories import TRAIN_IMAGES, MetaTestRuns
from hyperlearning.systems.trajectories.build import Embed, EmbeddingTraining, Read
from hyperlearning.systems.trajectories.characters import Characters, CharacterSettings

_MAX_GRAD_NORM, _WARM_UP, _NUM_LINES = 1.0, 0.05, 200
_NUM_HEADS = 4


@dataclass(frozen=True, kw_only=True)
class SequenceSettings:
    """The sequence model and its meta-training."""

    sequence_steps: Count = 2500
    """Steps of meta-training."""
    sequence_population: Count = 4
    """Streams of a step."""
    sequence_classes: Annotated[int, AtLeast(2)] = 10
    """Most classes of a stream, in meta-training as in tests; as many labels there are."""
    sequence_shots: Count = 5
    """Images of a class that a stream of meta-training has; tests have 15."""
    sequence_queries: Count = 2
    """Other images of each that it asks about."""
    sequence_maps: Annotated[tuple[Count, ...], Some()] = (32, 32, 64, 64)
    """Feature maps of the convolutions that encode an image."""
    sequence_width: Count = 64
    """Features of a token, a multiple of 4."""
    sequence_layers: Count = 2
    """Layers."""
    sequence_lr: Rate = 0.003
    """Highest rate of Adam."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.sequence_width % _NUM_HEADS:
            raise ValueError(
                f"Expected `sequence_width` to be a multiple of {_NUM_HEADS}, but got {self.sequence_width}."
            )


@dataclass(frozen=True, kw_only=True)
class SequenceTraining:
    """All that a trained sequence model follows from."""

    data: CharacterSettings = field(default_factory=CharacterSettings)
    sequence: SequenceSettings = field(default_factory=SequenceSettings)
    seed: Seed = 0


def sequence_training(
    settings: SequenceTraining, images: Characters, *, label: str, title: str
) -> EmbeddingTraining[FitState]:
    """Builds the meta-training on streams of these classes; the convolutions are what it leaves as an embedding.

    How many classes a stream has is drawn at every step with a chance inverse to it.

    Args:
        settings: What to build.
        images: The classes of meta-training, rotated ones included.
        label: The model's short name.
        title: What a figure calls it.

    Raises:
        ValueError: If there are fewer classes or images than a stream asks for.
    """
    model, own = _build(settings), settings.sequence
    params = {name: value.detach().clone() for name, value in model.named_parameters()}
    source, outer = generator(settings.seed, "streams of characters"), adam()

    def loss(params: Params, lives: HyperStream) -> Tensor:
        met = (lives.inputs[:, :, 0].transpose(0, 1), lives.targets[:, :, 0].transpose(0, 1))
        answers = functional_call(model, params, (*met, lives.hyper_inputs[0, 0]))
        return cross_entropy(answers, lives.hyper_targets[0, 0])

    def embed(state: FitState) -> Embed:
        encoder = trained_model(settings, state).encoder
        return lambda images: encoder(_floats(images)[None])[0]

    def read(state: FitState) -> Read:
        return partial(read_runs, trained_model(settings, state))

    job = Fitting(
        initial=first_fit_state(params, outer, source),
        loss_fn=loss,
        draw=_drawing(settings, images),
        optimizer=outer,
        lr=outer_schedule("cosine", own.sequence_lr, warmup_share=_WARM_UP),
        num_epochs=own.sequence_steps,
        source=source,
        max_grad_norm=_MAX_GRAD_NORM,
        record_every=max(1, own.sequence_steps // _NUM_LINES),
        title="meta-training",
    )
    return EmbeddingTraining(label=label, title=title, order="no inner loop", job=job, embed=embed, read=read)


def trained_model(settings: SequenceTraining, state: FitState) -> SequenceModel:
    """What a state of the job amounts to."""
    model = _build(settings)
    model.load_state_dict(state.params)
    return model.requires_grad_(False)


@torch.no_grad()
def read_runs(model: SequenceModel, images: Characters, runs: MetaTestRuns, source: torch.Generator) -> Accuracy:
    """Reads every run image by image, then asks about all images of its classes.

    Args:
        model: The model.
        images: Classes that runs are drawn from, (K, n, 1, S, S); the first 15 of each are learned.
        runs: The runs; shuffled ones are read in their order.
        source: Source of the classes' labels.

    Raises:
        ValueError: If a run has more classes than the model has labels.
    """
    num_labels, num_classes = model.num_outputs, runs.classes.shape[1]
    if num_classes > num_labels:
        raise ValueError(f"Expected runs of at most {num_labels} classes, one a label, but got {num_classes}.")
    learned, held_out = images[:, :TRAIN_IMAGES], images[:, TRAIN_IMAGES:]
    flat, shares = learned.flatten(0, 1), []
    for classes, order, places in zip(*runs, strict=True):
        labels = torch.randperm(num_labels, generator=source)[:num_classes].to(images.device)
        memory = model.read(_floats(flat[order])[None], labels[places][None], model.begin(1))
        shares.append([_shares(model, memory, asked[classes], labels) for asked in (learned, held_out)])
    scores = torch.tensor(shares)
    return Accuracy(scores[:, 0, 0], scores[:, 1, 0], scores[:, 0, 1], scores[:, 1, 1])


def _shares(model: SequenceModel, memory: Memory, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Shares recognised of images (C, n, ...) among all labels, and among those of the run's classes."""
    logits_CnY = model.answer(_floats(images.flatten(0, 1))[None], memory)[0].unflatten(0, images.shape[:2])
    wanted_C1 = torch.arange(len(labels), device=labels.device)[:, None]
    among_all = logits_CnY.argmax(-1) == labels[:, None]
    in_run = logits_CnY[..., labels].argmax(-1) == wanted_C1
    return float(among_all.float().mean()), float(in_run.float().mean())


def _build(settings: SequenceTraining) -> SequenceModel:
    own, source = settings.sequence, generator(settings.seed, "sequence model")
    labels = nn.Embedding(own.sequence_classes, own.sequence_width)
    nn.init.normal_(labels.weight, generator=source)
    return SequenceModel(
        _ImageEncoder(settings.data.side, own, source),
        labels,
        width=own.sequence_width,
        num_layers=own.sequence_layers,
        num_heads=_NUM_HEADS,
        num_outputs=own.sequence_classes,
        alike=True,
        generator=source,
    )


class _ImageEncoder(nn.Module):
    """Convolutions and a linear map of what they find in images (L, N, 1, S, S), from 0 to 1."""

    def __init__(self, side: int, settings: SequenceSettings, source: torch.Generator) -> None:
        super().__init__()
        maps = settings.sequence_maps
        self.trunk = InputDANs(
            (1, side, side),
            maps=maps,
            normalization="group",
            num_groups=8 if all(size % 8 == 0 for size in maps) else 1,
            rectifier="relu",
            centred=True,
            generator=source,
        )
        self.mix = mlp((self.trunk.num_features, settings.sequence_width), generator=source)

    def forward(self, images: Tensor) -> Tensor:
        return self.mix(self.trunk(images.flatten(0, 1))).unflatten(0, images.shape[:2])


def _floats(images: Tensor) -> Tensor:
    return images.float() / 255


def _drawing(settings: SequenceTraining, images: Characters) -> Callable[[torch.Generator], HyperStream]:
    own, augment = settings.sequence, AUGMENTATIONS[settings.data.augmentation]
    chances = 1 / torch.arange(2.0, own.sequence_classes + 1)
    needed = (own.sequence_classes, own.sequence_shots + own.sequence_queries)
    if needed[0] > len(images) or needed[1] > images.shape[1]:
        raise ValueError(
            f"Expected {needed[0]} classes of {needed[1]} images or more for a stream of meta-training, "
            f"but got {len(images)} of {images.shape[1]}."
        )

    def draw(source: torch.Generator) -> HyperStream:
        num_classes = 2 + int(torch.multinomial(chances, 1, generator=source))
        met, asked, labels = [], [], []
        for _ in range(own.sequence_population):
            classes = torch.randperm(len(images), generator=source)[:num_classes]
            picks_Cn = torch.stack([torch.randperm(images.shape[1], generator=source) for _ in classes])
            own_images = images[classes[:, None], picks_Cn[:, : own.sequence_shots + own.sequence_queries]]
            met.append(own_images[:, : own.sequence_shots].flatten(0, 1))
            asked.append(own_images[:, own.sequence_shots :].flatten(0, 1))
            labels.append(torch.randperm(own.sequence_classes, generator=source)[:num_classes])
        drawn_L = [_floats(torch.stack(each)) for each in (met, asked)]
        if augment:
            drawn_L = [augment.apply(some.flatten(0, 1), source).unflatten(0, some.shape[:2]) for some in drawn_L]
        wanted = [
            torch.stack(labels).repeat_interleave(count, dim=1) for count in (own.sequence_shots, own.sequence_queries)
        ]
        return HyperStream(
            inputs=drawn_L[0].transpose(0, 1)[:, :, None],
            targets=wanted[0].T[:, :, None],
            hyper_inputs=drawn_L[1][None, None],
            hyper_targets=wanted[1][None, None],
        )

    return draw
