"""A life of a last layer on a fixed embedding."""

from pathlib import Path

import pytest
import torch

from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.seeding import generator
from hyperlearning.learners.last_layer import draw_last_layers, learn_one_by_one
from hyperlearning.systems.trajectories.build import Embedding
from hyperlearning.systems.trajectories.characters import CharacterSettings
from hyperlearning.systems.trajectories.settings import ContinualSettings, LongTestSettings
from hyperlearning.systems.trajectories.trained import TrainedEmbedding, continual_network, layer_life


def _embed(images: torch.Tensor):
    return images.flatten(1)[:, 300:340].float() / 255


def _images(num: int):
    return torch.randint(0, 256, (num, 1, 28, 28), generator=torch.Generator().manual_seed(0)).byte()


def _trained(rates: dict[int, float]):
    return TrainedEmbedding(
        embedding=Embedding("a", "A", "none", _embed),
        data=CharacterSettings(),
        test=LongTestSettings(),
        rates=rates,
        untrained=continual_network(ContinualSettings(width=1 / 16), CharacterSettings()),
    )


def _life():
    return layer_life(_embed, side=28, inner_lr=0.01, num_outputs=7, seed=3)


def test_a_life_learns_what_a_layer_of_a_meta_test_learns():
    life, images, labels = _life(), _images(12), torch.arange(12) % 7
    losses = [life.observe(image[None], label[None]) for image, label in zip(images, labels, strict=True)]
    drawn = draw_last_layers(1, 40, 7, generator(3, "layer of a life"))
    first = cross_entropy((_embed(images[:1]) @ drawn.weight[0])[None], labels[None, :1])
    layers = learn_one_by_one(
        drawn, _embed(images), torch.arange(12)[None], labels[None], lrs=torch.tensor([0.01], dtype=torch.float64)
    )
    expected = _embed(images) @ layers.weight[0] + layers.bias[0]
    torch.testing.assert_close(life.predict(images), expected, rtol=1e-4, atol=1e-4)
    assert losses[0] == pytest.approx(first.item(), rel=1e-5)
    assert life.num_updates == 12


def test_a_saved_life_goes_on_where_it_stood(tmp_path: Path):
    life, other, images = _life(), _life(), _images(3)
    life.observe(images[:1], torch.tensor([2]))
    life.save(tmp_path / "life.safetensors")
    other.load(tmp_path / "life.safetensors")
    assert other.num_updates == 1
    torch.testing.assert_close(other.predict(images), life.predict(images), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("num_classes", "rates", "lr"),
    [(None, {10: 0.3, 50: 0.1}, 0.1), (8, {10: 0.3, 50: 0.1}, 0.3), (90, {10: 0.3, 50: 0.1}, 0.1), (5, {}, 0.001)],
)
def test_the_rate_is_what_the_run_chose_for_as_many_classes(
    num_classes: int | None, rates: dict[int, float], lr: float
):
    trained = _trained(rates)
    chosen, given = (trained.deployment(num_classes=num_classes, inner_lr=rate) for rate in (None, lr))
    for life in (chosen, given):
        life.observe(_images(1), torch.tensor([0]))
    torch.testing.assert_close(chosen.predict(_images(1)), given.predict(_images(1)), rtol=0, atol=0)
