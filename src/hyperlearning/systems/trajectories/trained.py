"""Embeddings of finished runs, and the life of a last layer on one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from hyperlearning.core.errors import RunError
from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.seeding import generator
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import load_model
from hyperlearning.learners.deployment import Deployment
from hyperlearning.learners.last_layer import draw_last_layers
from hyperlearning.systems.trajectories.build import Embed, Embedding, check_parameters, embedding_of
from hyperlearning.systems.trajectories.characters import CharacterSettings
from hyperlearning.systems.trajectories.lines import LongTestLine
from hyperlearning.systems.trajectories.meta_test import PUBLISHED_OUTPUTS
from hyperlearning.systems.trajectories.settings import ContinualConfig, LongTestSettings
from hyperlearning.systems.trajectories.training import LOOK_LR

EXPERIMENTS = ("omniglot-oml", "omniglot-anml")
"""Whose runs hold one network."""


class LayerLife:
    """A last layer that learns on a fixed embedding, one image at a time or a few: only the layer ever changes.

    Args:
        embed: The embedding.
        side: Height and width of images.
        inner_lr: Rate of Adam.
        num_outputs: Labels that it can tell apart.
        seed: Of the first weights, which are drawn as in a meta-test.
    """

    def __init__(
        self, embed: Embed, *, side: int, inner_lr: float, num_outputs: int = PUBLISHED_OUTPUTS, seed: int = 0
    ) -> None:
        self._embed, self._shape, self._num_outputs = embed, (1, side, side), num_outputs
        features = self._features(torch.zeros((1, *self._shape), dtype=torch.uint8))
        drawn = draw_last_layers(1, features.shape[1], num_outputs, generator(seed, "layer of a life"))
        layer = nn.Linear(features.shape[1], num_outputs)
        layer.weight.data.copy_(drawn.weight[0].T)
        layer.bias.data.copy_(drawn.bias[0])
        self._life = Deployment(layer, {}, inner_lr=inner_lr, inner_optimizer="adam", loss_fn=cross_entropy)

    @property
    def num_updates(self) -> int:
        """Updates made so far."""
        return self._life.num_updates

    def observe(self, images: UInt8[Tensor, "batch 1 side side"], labels: Int64[Tensor, " batch"]) -> float:
        """Makes one update from one image, or a batch, and forgets it.

        Args:
            images: From 0 (ground) to 255 (ink).
            labels: From 0 to the number of outputs, exclusive.

        Returns:
            The loss before the update, in nats.

        Raises:
            ValueError: If there is no image, images are of another side, a label is out of range or the loss is not finite;
                nothing has changed then.
        """
        if not len(labels) or not 0 <= int(labels.min()) <= int(labels.max()) < self._num_outputs:
            raise ValueError(
                f"Expected one or more labels from 0 to {self._num_outputs - 1}, but got {labels.tolist()}."
            )
        return self._life.observe(self._features(images), labels)

    def predict(self, images: UInt8[Tensor, "batch 1 side side"]) -> Float[Tensor, "batch outputs"]:
        """Gives a logit per label; the largest is the answer. Nothing changes."""
        return self._life.predict(self._features(images))

    def save(self, path: str | Path) -> None:
        """Writes the layer and the optimizer's moments to one safetensors file."""
        self._life.save(path)

    def load(self, path: str | Path) -> None:
        """Goes on where a saved life on the same embedding stood, with the errors of `Deployment.load`."""
        self._life.load(path)

    def _features(self, images: Tensor) -> Tensor:
        if images.shape[1:] != self._shape or images.dtype != torch.uint8:
            raise ValueError(
                f"Expected images of shape (batch, {', '.join(map(str, self._shape))}) and type uint8, "
                f"but got {tuple(images.shape)} and {images.dtype}."
            )
        with torch.no_grad():
            return self._embed(images)


@dataclass(frozen=True, kw_only=True)
class TrainedEmbedding:
    """An embedding that a finished run trained.

    Attributes:
        embedding: The embedding.
        data: The characters that it was trained and tested on.
        test: The long tests that it was put to.
        rates: Adam's rate that the run chose for a last layer, by number of classes.
    """

    embedding: Embedding
    data: CharacterSettings
    test: LongTestSettings
    rates: Mapping[int, float] = field(default_factory=dict)

    def deployment(self, *, num_classes: int | None = None, inner_lr: float | None = None, seed: int = 0) -> LayerLife:
        """Begins a life: a new last layer on the embedding, which stays as it is.

        Args:
            num_classes: Classes that it is going to learn, which the rate depends on; as many as were tested if absent.
            inner_lr: Rate of Adam; if absent, what the run chose for so many classes, or .001 if it chose none.
            seed: Of the layer's first weights.
        """
        if inner_lr is None:
            tested = sorted(count for count in self.rates if num_classes is not None and count >= num_classes)
            inner_lr = self.rates[(tested or [max(self.rates)])[0]] if self.rates else LOOK_LR
        return LayerLife(self.embedding.embed, side=self.data.side, inner_lr=inner_lr, seed=seed)


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
    )


def rates_of(record: RunRecord, label: str) -> dict[int, float]:
    """Adam's rates that a run chose for the last layer on an embedding, by number of classes."""
    return {
        line.num_classes: line.lr
        for line in record.lines(LongTestLine)
        if line.embedding == label and line.head == "last_layer" and line.lr is not None
    }
