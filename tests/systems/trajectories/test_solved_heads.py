"""Heads that are solved: against readouts that learn one image at a time, and what is chosen."""

import pytest
import torch
from torch import Tensor

from hyperlearning.evaluation.recognition import ClassFeatures, prototypes
from hyperlearning.learners.closed_form.discriminant import LinearDiscriminant, shrunk
from hyperlearning.learners.closed_form.least_squares import RidgeClassifier
from hyperlearning.learners.closed_form.life import Readout
from hyperlearning.streams.trajectories import draw_meta_test
from hyperlearning.systems.trajectories.solved_heads import (
    DISCRIMINANT,
    RIDGE,
    STREAMING,
    Innate,
    LinearReadout,
    best_choice,
    innate_of,
    projected,
    solved_test,
)
from hyperlearning.systems.trajectories.whitening import SplitFeatures


def _features(num_classes: int, seed: int, *, loud: float = 1.0, split: str = "meta-train") -> ClassFeatures:
    source = torch.Generator().manual_seed(seed)
    means = torch.randn(num_classes, 1, 6, generator=source)
    spread = torch.ones(6).index_fill(0, torch.tensor(0), loud)
    train, held_out = (means + 0.3 * torch.randn(num_classes, n, 6, generator=source) * spread for n in (15, 5))
    return ClassFeatures(train=train, held_out=held_out, split=split)  # pyright: ignore[reportArgumentType]


def _one_by_one(readout: Readout, images: Tensor, shown: Tensor) -> Tensor:
    for label, own in enumerate(images):
        for image in own:
            readout.learn(image, torch.tensor(label))
    return readout.predict(shown)


def _at_once(readout: LinearReadout, shown: Tensor) -> Tensor:
    return shown @ readout.weight + readout.bias


@pytest.fixture
def images() -> Tensor:
    return _features(4, 0).train.double()


@pytest.fixture
def innate() -> Innate:
    return innate_of(_features(20, 1))


def test_ridge_is_what_recursive_least_squares_arrives_at(images: Tensor, innate: Innate):
    shown = torch.randn(7, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    slow = RidgeClassifier(6, 4, precision=0.3 * innate.square, dtype=torch.float64)
    fast = RIDGE.solve(images, innate, (0.3,))
    torch.testing.assert_close(_at_once(fast, shown), _one_by_one(slow, images, shown))


@pytest.mark.parametrize("streams", [False, True])
def test_discriminants_are_what_one_image_at_a_time_arrives_at(images: Tensor, innate: Innate, streams: bool):
    shown = torch.randn(7, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    covariance = shrunk(innate.covariance, 0.3)
    covariance = (covariance + covariance.T) / 2
    strength = 50.0 if streams else float("inf")
    slow = LinearDiscriminant(6, 4, covariance=covariance, strength=strength, dtype=torch.float64)
    fast = STREAMING.solve(images, innate, (0.3, 50.0)) if streams else DISCRIMINANT.solve(images, innate, (0.3,))
    torch.testing.assert_close(_at_once(fast, shown), _one_by_one(slow, images, shown))


def test_what_is_innate_of_classes_without_spread_between_images_is_their_length():
    train = torch.ones(3, 15, 2) * torch.tensor([3.0, 4.0])
    found = innate_of(ClassFeatures(train=train, held_out=train[:, :5], split="meta-train"))
    assert torch.equal(found.covariance, torch.zeros(2, 2, dtype=torch.float64))
    assert found.square == 25


def test_under_a_sphere_the_discriminant_is_class_means():
    features = _features(12, 3, split="meta-test")
    runs = draw_meta_test(12, 8, torch.Generator().manual_seed(0), num_runs=3)
    solved = solved_test(DISCRIMINANT, (1.0,), innate_of(features), features, runs)
    expected = prototypes(features, runs)
    for mine, theirs in zip(solved, expected, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_shrinkage_is_chosen_where_a_nuisance_dominates():
    features = _features(30, 4, loud=40.0)
    runs = draw_meta_test(30, 20, torch.Generator().manual_seed(0), num_runs=2)
    assert best_choice(DISCRIMINANT, innate_of(features), features, runs) == (0.03,)


def test_projections_depend_on_the_seed_alone_and_are_of_size_one():
    split = SplitFeatures(_features(5, 0), _features(4, 1, split="meta-test"))
    first, again, other = (projected(split, seed=seed).meta_test.train for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == (4, 15, 2000)
    assert float(projected(split, seed=0).meta_train.train.square().mean()) == pytest.approx(0.5, rel=0.1)
