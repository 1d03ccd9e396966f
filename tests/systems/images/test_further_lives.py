"""Lives of autoencoders and of networks with two outputs take images and labels as a classifier's life does."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hyperlearning.core.image_losses import semi_supervised_loss, summed_pixel_error
from hyperlearning.learners.deployment import Deployment
from hyperlearning.systems.images.autoencoder import AutoencoderLife
from hyperlearning.systems.images.semi_supervised import TwoOutputLife

SIDE, PIXEL_SIDE, NUM_LABELS = 4, 2, 3


def network(num_outputs: int) -> torch.nn.Module:
    source = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(SIDE**2, num_outputs)
    layer.weight.data.copy_(0.1 * torch.randn(layer.weight.shape, generator=source))
    layer.bias.data.zero_()
    return torch.nn.Sequential(torch.nn.Flatten(), layer)


def autoencoder() -> AutoencoderLife:
    life = Deployment(network(SIDE**2), {}, inner_lr=0.1, loss_fn=summed_pixel_error)
    return AutoencoderLife(life, side=SIDE, steps_per_task=3)


def two_outputs() -> TwoOutputLife:
    losses = [semi_supervised_loss(NUM_LABELS, pixel_weight=0.0, temperature=each) for each in (100.0, 1.0)]
    network_of_both = network(NUM_LABELS + PIXEL_SIDE**2)
    life = Deployment(network_of_both, {}, inner_lr=0.5, loss_fn=losses[0], shown_loss_fn=losses[1])
    return TwoOutputLife(life, num_labels=NUM_LABELS, side=SIDE, pixel_side=PIXEL_SIDE, steps_per_task=3)


def drawn() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE), np.uint8)


def test_an_autoencoder_learns_from_images_of_any_type():
    as_bytes, as_floats = autoencoder(), autoencoder()
    assert as_bytes.learn(drawn()) == as_floats.learn(torch.from_numpy(drawn()).float()[:, None] / 255)
    assert as_bytes.num_updates == 3
    assert torch.equal(as_bytes.predict(drawn()), as_floats.predict(drawn()))
    assert as_bytes.predict(drawn()).shape == (3, 1, SIDE, SIDE)
    assert as_bytes.observe(drawn()) < autoencoder().observe(drawn())


@pytest.mark.parametrize(
    "images", [drawn() * 1.0, np.full((1, SIDE, SIDE), np.nan), np.zeros((0, SIDE, SIDE)), np.zeros((3, 5, 5))]
)
def test_what_is_no_image_is_refused_by_both(images: Any):
    reconstructing, classifying = autoencoder(), two_outputs()
    calls = (
        reconstructing.observe,
        reconstructing.learn,
        reconstructing.predict,
        classifying.predict,
        classifying.reconstruct,
    )
    for call in (*calls, lambda images: classifying.observe(images, [1])):
        with pytest.raises(ValueError, match="Expected"):
            call(images)
    assert reconstructing.num_updates == classifying.num_updates == 0


def test_a_name_of_the_first_image_is_learned_and_the_others_have_none():
    life = two_outputs()
    for _ in range(20):
        life.learn(drawn(), ["cat"])
    life.observe(drawn()[::-1], np.array(["dog", "cat"]))
    assert life.classes == ("cat", "dog")
    assert life.classify(drawn())[0] == "cat"
    assert life.observe(drawn(), []) == 0.0


def test_the_loss_of_labels_is_in_nats():
    life = two_outputs()
    chances = life.predict(drawn()).softmax(1)
    assert life.observe(drawn(), [2]) == pytest.approx(-math.log(chances[0, 2]), rel=1e-5)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([-1], "labels from 0 to 2"),
        ([3], "labels from 0 to 2"),
        ([-100], "labels from 0 to 2"),
        ([0.5], "whole numbers or names"),
        ([0] * 4, "at most 3 labels, one an image, but got 4"),
        (2, r"a list of labels, those of the first images, but got 2: write \[2\]"),
        ("cat", "a list of labels"),
        (torch.tensor(2), "a list of labels"),
    ],
)
def test_labels_that_cannot_be_are_refused(labels: Any, message: str):
    life = two_outputs()
    with pytest.raises(ValueError, match=message):
        life.observe(drawn(), labels)
    assert life.num_updates == 0
    assert life.classes == ()


def test_saved_lives_go_on(tmp_path: Path):
    path = tmp_path / "life.safetensors"
    first, second = two_outputs(), two_outputs()
    first.learn(drawn(), ["cat"])
    first.save(path)
    second.load(path)
    assert second.classes == ("cat",)
    assert torch.equal(first.reconstruct(drawn()), second.reconstruct(drawn()))
    one, other = autoencoder(), autoencoder()
    one.learn(drawn())
    one.save(path)
    other.load(path)
    assert one.observe(drawn()) == other.observe(drawn())
    assert other.num_updates == 4
