"""Characters in a row read by a sequence model: its meta-training on streams of background classes, and its tests.

A class of a stream is a label drawn anew for every stream, so that what belongs to it has to be read from the stream. What the
model reads are features of images, by an embedding that was trained before and stays as it is.

Source: Lee, Son and Kim, "Recasting Continual Learning as Sequence Modeling" (2023), sections 3 and 5.

Shape suffixes: L lives, K classes of a split, C classes of a stream, n images of a class, F features.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.func import functional_call

from hyperlearning.core.expect import AtLeast, Count, Rate, check_ranges
from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.params import Params
from hyperlearning.core.seeding import generator
from hyperlearning.engine.fitting import FitState, Fitting, first_fit_state
from hyperlearning.engine.hyper_training import outer_schedule
from hyperlearning.evaluation.recognition import Accuracy, ClassFeatures
from hyperlearning.learners.optimizers import adam
from hyperlearning.networks.backbones import mlp
from hyperlearning.networks.sequence_model import Memory, SequenceModel
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.trajectories import MetaTestRuns
from hyperlearning.systems.trajectories.build import Embed, EmbeddingTraining
from hyperlearning.systems.trajectories.characters import Characters
from hyperlearning.systems.trajectories.meta_test import class_features

_MAX_GRAD_NORM, _WARM_UP, _NUM_LINES = 1.0, 0.05, 200
_NUM_HEADS = 4
_IMAGES_AT_A_TIME = 256


@dataclass(frozen=True, kw_only=True)
class SequenceSettings:
    """The sequence model and its meta-training."""

    sequence_steps: Count = 6000
    """Steps of meta-training."""
    sequence_population: Count = 4
    """Streams of a step."""
    sequence_classes: Annotated[int, AtLeast(2)] = 100
    """Most classes of a stream, in meta-training as in tests; as many labels there are."""
    sequence_shots: Count = 5
    """Images of a class that a stream of meta-training has."""
    sequence_queries: Count = 2
    """Other images of each that it asks about."""
    sequence_width: Count = 128
    """Features of a token, a multiple of 4."""
    sequence_layers: Count = 2
    """Layers."""
    sequence_lr: Rate = 0.002
    """Highest rate of Adam."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.sequence_width % _NUM_HEADS:
            raise ValueError(
                f"Expected `sequence_width` to be a multiple of {_NUM_HEADS}, but got {self.sequence_width}."
            )


def sequence_training(
    settings: SequenceSettings, embed: Embed, images: Characters, *, seed: int, label: str, title: str
) -> EmbeddingTraining[FitState]:
    """Builds the meta-training on streams of these classes.

    How many classes a stream has is drawn at every step with a chance inverse to it.

    Args:
        settings: The model and its training.
        embed: What the model reads of an image; it is not trained.
        images: The classes of meta-training, rotated ones included. Their features are computed when they are first needed.
        seed: Of the first weights and of the streams.
        label: The model's short name.
        title: What a figure calls it.

    Raises:
        ValueError: If there are fewer classes or images than a stream asks for.
    """
    check_streams(settings, images)
    model = _build(settings, _middle(embed, images), seed)
    params = {name: value.detach().clone() for name, value in model.named_parameters()}
    source, outer = generator(seed, "streams of characters"), adam()

    def loss(params: Params, lives: HyperStream) -> Tensor:
        met = (lives.inputs[:, :, 0].transpose(0, 1), lives.targets[:, :, 0].transpose(0, 1))
        answers = functional_call(model, params, (*met, lives.hyper_inputs[0, 0]))
        return cross_entropy(answers, lives.hyper_targets[0, 0])

    job = Fitting(
        initial=first_fit_state(params, outer, source),
        loss_fn=loss,
        draw=_drawing(settings, embed, images),
        optimizer=outer,
        lr=outer_schedule("cosine", settings.sequence_lr, warmup_share=_WARM_UP),
        num_epochs=settings.sequence_steps,
        source=source,
        max_grad_norm=_MAX_GRAD_NORM,
        record_every=max(1, settings.sequence_steps // _NUM_LINES),
        title="meta-training",
    )
    return EmbeddingTraining(
        label=label,
        title=title,
        order="no inner loop",
        job=job,
        embed=lambda state: embed,
        read=lambda state: partial(read_runs, trained_model(settings, state)),
    )


def check_streams(settings: SequenceSettings, images: Characters) -> None:
    """Checks that a stream of meta-training can be drawn.

    Raises:
        ValueError: If there are fewer classes or images than it asks for.
    """
    needed = (settings.sequence_classes, settings.sequence_shots + settings.sequence_queries)
    if needed[0] > len(images) or needed[1] > images.shape[1]:
        raise ValueError(
            f"Expected {needed[0]} classes of {needed[1]} images or more for a stream of meta-training, "
            f"but got {len(images)} of {images.shape[1]}."
        )


def trained_model(settings: SequenceSettings, state: FitState) -> SequenceModel:
    """What a state of the job amounts to: a model that reads features."""
    model = _build(settings, state.params["encoder.centre"], seed=0)
    model.load_state_dict(state.params)
    return model.requires_grad_(False)


@torch.no_grad()
def read_runs(model: SequenceModel, features: ClassFeatures, runs: MetaTestRuns, source: torch.Generator) -> Accuracy:
    """Reads every run image by image, then asks about all images of its classes.

    Args:
        model: The model.
        features: Of the classes that runs are drawn from.
        runs: The runs; shuffled ones are read in their order.
        source: Source of the classes' labels.

    Raises:
        ValueError: If a run has more classes than the model has labels.
    """
    num_labels, num_classes = model.num_outputs, runs.classes.shape[1]
    if num_classes > num_labels:
        raise ValueError(f"Expected runs of at most {num_labels} classes, one a label, but got {num_classes}.")
    flat, shares = features.train.flatten(0, 1), []
    for classes, order, places in zip(*runs, strict=True):
        labels = torch.randperm(num_labels, generator=source)[:num_classes].to(flat.device)
        memory = model.read(flat[order][None], labels[places][None], model.begin(1))
        shares.append([_shares(model, memory, asked[classes], labels) for asked in (features.train, features.held_out)])
    scores = torch.tensor(shares)
    return Accuracy(scores[:, 0, 0], scores[:, 1, 0], scores[:, 0, 1], scores[:, 1, 1])


def _shares(model: SequenceModel, memory: Memory, asked_CnF: Tensor, labels: Tensor) -> tuple[float, float]:
    """Shares recognised among all labels, and among those of the run's classes."""
    logits_CnY = model.answer(asked_CnF.flatten(0, 1)[None], memory)[0].unflatten(0, asked_CnF.shape[:2])
    wanted_C1 = torch.arange(len(labels), device=labels.device)[:, None]
    among_all = logits_CnY.argmax(-1) == labels[:, None]
    in_run = logits_CnY[..., labels].argmax(-1) == wanted_C1
    return float(among_all.float().mean()), float(in_run.float().mean())


def _build(settings: SequenceSettings, centre: Tensor, seed: int) -> SequenceModel:
    source, width = generator(seed, "sequence model"), settings.sequence_width
    labels = nn.Embedding(settings.sequence_classes, width)
    nn.init.normal_(labels.weight, generator=source)
    return SequenceModel(
        _FeatureEncoder(centre, width, source),
        labels,
        width=width,
        num_layers=settings.sequence_layers,
        num_heads=_NUM_HEADS,
        num_outputs=settings.sequence_classes,
        alike=True,
        generator=source,
    )


class _FeatureEncoder(nn.Module):
    """A linear map of features, from where their middle was at first."""

    def __init__(self, centre: Tensor, width: int, source: torch.Generator) -> None:
        super().__init__()
        self.centre = nn.Parameter(centre.clone())
        self.mix = mlp((len(centre), width), generator=source)

    def forward(self, features: Tensor) -> Tensor:
        return self.mix(features - self.centre)


@torch.no_grad()
def _middle(embed: Embed, images: Characters) -> Tensor:
    """The mean feature of one image a class."""
    return torch.cat([embed(some) for some in images[:, 0].split(_IMAGES_AT_A_TIME)]).mean(0)


def _drawing(settings: SequenceSettings, embed: Embed, images: Characters) -> Callable[[torch.Generator], HyperStream]:
    chances = 1 / torch.arange(2.0, settings.sequence_classes + 1)
    shots, queries = settings.sequence_shots, settings.sequence_queries

    @cache
    def features_KnF() -> Tensor:
        features = class_features(embed, images, split="meta-train")
        return torch.cat([features.train, features.held_out], dim=1)

    def draw(source: torch.Generator) -> HyperStream:
        num_classes = 2 + int(torch.multinomial(chances, 1, generator=source))
        met, asked, labels = [], [], []
        for _ in range(settings.sequence_population):
            classes = torch.randperm(len(images), generator=source)[:num_classes]
            picks_Cn = torch.stack([torch.randperm(images.shape[1], generator=source) for _ in classes])
            own_CnF = features_KnF()[classes[:, None], picks_Cn[:, : shots + queries]]
            met.append(own_CnF[:, :shots].flatten(0, 1))
            asked.append(own_CnF[:, shots:].flatten(0, 1))
            labels.append(torch.randperm(settings.sequence_classes, generator=source)[:num_classes])
        met_labels, asked_labels = (torch.stack(labels).repeat_interleave(count, dim=1) for count in (shots, queries))
        return HyperStream(
            inputs=torch.stack(met, dim=1)[:, :, None],
            targets=met_labels.T[:, :, None],
            hyper_inputs=torch.stack(asked)[None, None],
            hyper_targets=asked_labels[None, None],
        )

    return draw
