"""Embeddings of finished runs, and the life of a last layer on one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperlearning.core.errors import RunError
from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.seeding import generator
from hyperlearning.data.errors import AbsentDataError
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import load_model
from hyperlearning.learners.deployment import Deployment
from hyperlearning.learners.last_layer import draw_last_layers
from hyperlearning.systems.class_life import ClassifierLife
from hyperlearning.systems.folder_lives import Descending, FolderLife
from hyperlearning.systems.innate import Innate, innate_of
from hyperlearning.systems.trajectories.build import Embed, Embedding, check_parameters, embedding_of
from hyperlearning.systems.trajectories.characters import CharacterSettings, meta_train_characters, pool_of
from hyperlearning.systems.trajectories.lines import LongTestLine
from hyperlearning.systems.trajectories.meta_test import PUBLISHED_OUTPUTS
from hyperlearning.systems.trajectories.settings import ContinualConfig, ContinualSettings, LongTestSettings
from hyperlearning.systems.trajectories.training import LOOK_LR

EXPERIMENTS = ("omniglot-oml", "omniglot-anml")
"""Whose runs hold one network."""


def layer_life(
    embed: Embed, *, side: int, inner_lr: float, num_outputs: int = PUBLISHED_OUTPUTS, seed: int = 0
) -> ClassifierLife:
    """Begins the life of a last layer on a fixed embedding, which alone ever changes: `learn` takes one image after another.

    Args:
        embed: The embedding.
        side: Height and width of images.
        inner_lr: Rate of Adam.
        num_outputs: Classes that it can tell apart.
        seed: Of the first weights, which are drawn as in a meta-test.
    """
    num_features = embed(torch.zeros((1, 1, side, side), dtype=torch.uint8)).shape[1]
    return ClassifierLife(
        _layer(num_features, num_outputs, inner_lr=inner_lr, seed=seed),
        num_outputs=num_outputs,
        side=side,
        steps_per_task=1,
        features=partial(_features, embed),
        one_by_one=True,
        learns={"inner_lr": inner_lr, "inner_optimizer": "adam"},
    )


def _layer(num_features: int, num_outputs: int, *, inner_lr: float, seed: int) -> Deployment:
    drawn = draw_last_layers(1, num_features, num_outputs, generator(seed, "layer of a life"))
    layer = nn.Linear(num_features, num_outputs)
    layer.weight.data.copy_(drawn.weight[0].T)
    layer.bias.data.copy_(drawn.bias[0])
    return Deployment(layer, {}, inner_lr=inner_lr, inner_optimizer="adam", loss_fn=cross_entropy)


def _features(embed: Embed, images: Tensor) -> Tensor:
    """An embedding of images from 0 to 1; it was trained on those from 0 to 255."""
    return embed(images * 255)


@dataclass(frozen=True, kw_only=True)
class TrainedEmbedding:
    """An embedding that a finished run trained.

    Attributes:
        embedding: The embedding.
        data: The characters that it was trained and tested on.
        test: The long tests that it was put to.
        rates: Adam's rate that the run chose for a last layer, by number of classes.
        untrained: Builds a network of its form anew, of images from 0 to 1, given the least number of outputs and a seed.
    """

    embedding: Embedding
    data: CharacterSettings
    test: LongTestSettings
    rates: Mapping[int, float] = field(default_factory=dict)
    untrained: Callable[[int, int], nn.Module]

    def deployment(
        self, *, num_classes: int | None = None, inner_lr: float | None = None, seed: int = 0
    ) -> ClassifierLife:
        """Begins a life: a new last layer on the embedding, which stays as it is.

        Args:
            num_classes: Classes that it is going to learn, which the rate depends on; as many as were tested if absent.
            inner_lr: Rate of Adam; if absent, what the run chose for so many classes, or .001 if it chose none.
            seed: Of the layer's first weights.
        """
        return layer_life(
            self.embedding.embed,
            side=self.side,
            inner_lr=self._rate(num_classes) if inner_lr is None else inner_lr,
            num_outputs=_num_outputs(num_classes),
            seed=seed,
        )

    def _rate(self, num_classes: int | None) -> float:
        tested = sorted(count for count in self.rates if num_classes is not None and count >= num_classes)
        return self.rates[(tested or [max(self.rates)])[0]] if self.rates else LOOK_LR

    @property
    def side(self) -> int:
        """Height and width of its images, S."""
        return self.data.side

    @property
    def num_learned(self) -> int:
        """Images of a class that a layer learns in a meta-test."""
        return self.test.learned_images

    @property
    def most_classes(self) -> None:
        """A layer has as many outputs as there are classes."""
        return

    def features(self, images: Float[Tensor, "N C S S"]) -> Float[Tensor, "N F"]:
        """What the embedding makes of images from 0 to 1."""
        return _features(self.embedding.embed, images)

    def own_lives(self, *, num_classes: int, seed: int) -> tuple[FolderLife]:
        """The life of `deployment`, on features, for a folder."""
        num_outputs, lr = _num_outputs(num_classes), self._rate(num_classes)

        def begin() -> Descending:
            num_features = self.features(torch.zeros(1, 1, self.side, self.side)).shape[1]
            life = _layer(num_features, num_outputs, inner_lr=lr, seed=seed)
            return Descending(life, 1, one_by_one=True)

        note = f"a layer of {num_outputs:,} outputs as in the run's meta-tests, Adam {lr:g}, an update an image"
        return (FolderLife("last_layer", f"last layer on {self.embedding.title}", note, begin),)

    def plain_network(self, *, num_classes: int, seed: int) -> nn.Module:
        """A network of the embedding's form drawn anew."""
        return self.untrained(num_classes, seed)

    def innate(self) -> Innate | None:
        """What meta-train classes say of the features; nothing if their images are not there."""
        try:
            images = meta_train_characters(self.data, rotated=False)
        except AbsentDataError:
            return None
        return innate_of(self.features, pool_of(images), seed=0)


def _num_outputs(num_classes: int | None) -> int:
    """As many outputs as in a meta-test, which rates were chosen with, or as there are classes."""
    return max(PUBLISHED_OUTPUTS, num_classes or 0)


def continual_network(settings: ContinualSettings, data: CharacterSettings) -> Callable[[int, int], nn.Module]:
    """Makes what builds OML's or ANML's network anew, given the least number of outputs and a seed.

    Args:
        settings: The network.
        data: What it was trained on.
    """
    return lambda num_outputs, seed: settings.build(data, seed, at_least=num_outputs)


def load_embedding(record: RunRecord) -> TrainedEmbedding:
    """Opens what a run of `omniglot-oml` or `omniglot-anml` has meta-trained.

    Raises:
        RunError: If it is of another experiment or version, or has not finished meta-training.
        FileError: If its model file was altered.
        ValueError: If it is of another architecture.
    """
    if record.experiment not in EXPERIMENTS:
        raise RunError(
            f"Expected a run of {' or '.join(EXPERIMENTS)}, but {record.path} is one of {record.experiment}."
        )
    config = record.settings(ContinualConfig)
    innate, start = load_model(record)
    network = config.network.build(config.data, config.seed)
    check_parameters(network, start | innate, where=str(record.path))
    label, title = config.network.architecture, f"{record.experiment} {record.path.name}"
    return TrainedEmbedding(
        embedding=Embedding(label, title, config.system.order, embedding_of(network, start | innate)),
        data=config.data,
        test=config.test,
        rates=rates_of(record, label),
        untrained=continual_network(config.network, config.data),
    )


def rates_of(record: RunRecord, label: str) -> dict[int, float]:
    """Adam's rates that a run chose for the last layer on an embedding, by number of classes."""
    return {
        line.num_classes: line.lr
        for line in record.lines(LongTestLine)
        if line.embedding == label and line.head == "last_layer" and line.lr is not None
    }
