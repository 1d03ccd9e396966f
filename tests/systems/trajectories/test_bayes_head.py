"""Conjugate Bayes as a head: beside the life, run by run, under a learned prior and under a fitted one."""

import pytest
import torch
from torch import Tensor

from hyperlearning.core.seeding import generator
from hyperlearning.evaluation.recognition import ClassFeatures, nearest
from hyperlearning.learners.closed_form.conjugate_bayes import ConjugateBayes, NormalGamma
from hyperlearning.streams.trajectories import draw_meta_test
from hyperlearning.systems.trajectories.bayes_head import densities, prior_for
from hyperlearning.systems.trajectories.build import Embedding
from hyperlearning.systems.trajectories.characters import Splits
from hyperlearning.systems.trajectories.long_tests import LongTest
from hyperlearning.systems.trajectories.settings import LongTestSettings

K, F = 7, 6


def _features(seed: int = 0) -> ClassFeatures:
    source = torch.Generator().manual_seed(seed)
    means = torch.randn(K, 1, F, generator=source)
    train, held_out = (means + 0.8 * torch.randn(K, n, F, generator=source) for n in (15, 5))
    return ClassFeatures(train=train, held_out=held_out, split="meta-test")


def _prior() -> NormalGamma:
    draw = torch.rand(3, F, generator=torch.Generator().manual_seed(4)) + 0.5
    return NormalGamma(torch.zeros(F), *draw)


def _share(life: ConjugateBayes, images: Tensor) -> float:
    found = life.predict(images.double().flatten(0, 1)).argmax(-1)
    return float((found == torch.arange(len(images)).repeat_interleave(images.shape[1])).double().mean())


def test_every_run_ends_as_a_life_does_that_learns_its_images_one_by_one():
    features, prior = _features(), _prior()
    runs = draw_meta_test(K, 4, torch.Generator().manual_seed(0), num_runs=3)
    result = nearest(*densities(features, prior), runs)
    for run, classes in enumerate(runs.classes):
        life = ConjugateBayes(4, NormalGamma(*(part.double() for part in prior)))
        for label, own in enumerate(classes):
            for image in features.train[own].double():
                life.learn(image, torch.tensor(label))
        assert float(result.memory[run]) == pytest.approx(_share(life, features.train[classes]))
        assert float(result.held_out[run]) == pytest.approx(_share(life, features.held_out[classes]))


def test_a_density_is_that_of_the_life_to_the_last_digits():
    features, prior = _features(), _prior()
    life = ConjugateBayes(K, NormalGamma(*(part.double() for part in prior)))
    for label, own in enumerate(features.train.double()):
        for image in own:
            life.learn(image, torch.tensor(label))
    found = densities(features, prior).held_out.flatten(0, 1)
    torch.testing.assert_close(found, life.predict(features.held_out.double().flatten(0, 1)), rtol=0, atol=1e-9)


def test_a_fitted_prior_has_the_mean_and_the_variances_of_the_classes_it_is_fitted_to():
    source = torch.Generator().manual_seed(1)
    images = 3 + torch.randn(400, 1, F, generator=source) + 0.5 * torch.randn(400, 20, F, generator=source)
    prior = prior_for(ClassFeatures(train=images[:, :15], held_out=images[:, 15:], split="meta-train"))
    torch.testing.assert_close(prior.mean, images.mean((0, 1)))
    torch.testing.assert_close(prior.rate / (prior.shape - 1), torch.full((F,), 0.25), rtol=0.05, atol=0)
    torch.testing.assert_close(prior.strength, torch.full((F,), 0.25), rtol=0.25, atol=0)


def test_a_long_test_takes_the_embeddings_own_prior_and_fits_one_only_where_there_is_none():
    source = torch.Generator().manual_seed(0)
    splits = Splits(*(torch.randint(0, 256, (8, 20, 1, 28, 28), generator=source).byte() for _ in range(2)))
    settings = LongTestSettings(test_classes=(3,), num_runs=2, lrs=(0.001,), lr_runs=1)

    def found(prior: NormalGamma | None) -> LongTest:
        embedding = Embedding("a", "A", "none", lambda images: images.flatten(1).float()[:, :F] / 255, prior)
        return LongTest(embedding=embedding, splits=splits, settings=settings, seed=0)

    own, fitted = found(_prior()), found(None)
    torch.testing.assert_close(own.densities.held_out, densities(own.features.meta_test, _prior()).held_out)
    expected = densities(fitted.features.meta_test, prior_for(fitted.features.meta_train))
    torch.testing.assert_close(fitted.densities.held_out, expected.held_out)
    line = own.line("conjugate_bayes", 3)
    assert (line.lr, line.chosen, line.shrinkage) == (None, None, None)
    runs = draw_meta_test(8, 3, generator(0, "meta-test, 3 classes"), num_runs=2, train_images=15)
    assert line.scores.held_out == pytest.approx(nearest(*own.densities, runs).held_out.tolist(), abs=1e-5)
