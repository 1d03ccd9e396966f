"""Classifiers in closed form against their batch formulas, and against other people's implementations."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import NearestCentroid

from hyperlearning.learners.closed_form.class_means import ClassMeans
from hyperlearning.learners.closed_form.conjugate_bayes import (
    ConjugateBayes,
    NormalGamma,
    class_logits,
    class_statistics,
    flat_prior,
    predictive,
)
from hyperlearning.learners.closed_form.discriminant import LinearDiscriminant, discriminant_logits, shrunk
from hyperlearning.learners.closed_form.life import ClosedFormLife

F64 = torch.float64


def clouds(num_examples: int = 90, num_features: int = 4, num_labels: int = 3, seed: int = 0):
    source = torch.Generator().manual_seed(seed)
    centres = 3 * torch.randn(num_labels, num_features, generator=source, dtype=F64)
    labels = torch.randint(0, num_labels, (num_examples,), generator=source)
    mix = torch.randn(num_features, num_features, generator=source, dtype=F64)
    return centres[labels] + torch.randn(num_examples, num_features, generator=source, dtype=F64) @ mix, labels


def some_prior(num_features: int = 4) -> NormalGamma:
    source = torch.Generator().manual_seed(4)
    draw = torch.rand(3, num_features, generator=source, dtype=F64) + 0.5
    return NormalGamma(torch.randn(num_features, generator=source, dtype=F64), *draw)


def test_class_means_choose_the_nearest_mean():
    features, labels = clouds()
    means = ClassMeans(4, 3, dtype=F64)
    ClosedFormLife(means).observe(features, labels)
    expected = NearestCentroid().fit(features.numpy(), labels.numpy())
    np.testing.assert_allclose(means.state["means"].numpy(), expected.centroids_, rtol=1e-12)
    assert np.array_equal(means.predict(features).argmax(-1).numpy(), expected.predict(features.numpy()))


def test_logits_of_class_means_differ_as_half_the_squared_distances_do():
    features, labels = clouds()
    means = ClassMeans(4, 3, scale=0.7, dtype=F64)
    ClosedFormLife(means).observe(features, labels)
    distances = torch.cdist(features, means.state["means"]).square()
    logits = means.predict(features)
    torch.testing.assert_close(logits - logits[:, :1], -0.7 / 2 * (distances - distances[:, :1]), rtol=1e-9, atol=1e-9)


def test_cosine_means_score_by_the_angle_alone():
    features, labels = clouds()
    means = ClassMeans(4, 3, cosine=True, dtype=F64)
    ClosedFormLife(means).observe(features * 100, labels)
    expected = torch.nn.functional.cosine_similarity(features[:, None], means.state["means"][None], dim=-1)
    torch.testing.assert_close(means.predict(features), expected, rtol=1e-12, atol=1e-12)


def test_the_discriminant_is_that_of_scikit_learn_where_its_prior_weighs_nothing():
    features, labels = clouds(300)
    discriminant = LinearDiscriminant(4, 3, covariance=1.0, strength=1e-9, dtype=F64)
    ClosedFormLife(discriminant).observe(features, labels)
    counts = torch.bincount(labels).double()
    reference = LinearDiscriminantAnalysis(solver="lsqr", priors=[1 / 3] * 3, store_covariance=True)
    reference.fit(features.numpy(), labels.numpy())
    logits = discriminant.predict(features)
    expected = torch.from_numpy(reference.decision_function(features.numpy()))
    # Theirs weighs every class's covariance by its prior, ours by its examples: give ours theirs.
    scatter = sum(counts[c] * torch.cov(features[labels == c].T, correction=0) for c in range(3))
    torch.testing.assert_close(discriminant.covariance, scatter / 300, rtol=1e-6, atol=1e-6)
    within = torch.from_numpy(reference.covariance_)
    means = discriminant.state["means"]
    theirs = discriminant_logits(features, means, counts > 0, torch.linalg.inv(within))
    torch.testing.assert_close(theirs - theirs[:, :1], expected - expected[:, :1], rtol=1e-8, atol=1e-8)
    ours = discriminant_logits(features, means, counts > 0, torch.linalg.inv(scatter / 300))
    torch.testing.assert_close(logits, ours, rtol=1e-6, atol=1e-6)


def test_an_innate_covariance_stays_and_counts_as_many_examples_as_it_is_said_to():
    features, labels = clouds()
    innate = torch.cov(torch.randn(50, 4, generator=torch.Generator().manual_seed(8), dtype=F64).T)
    innate = shrunk((innate + innate.T) / 2, 0.1)
    fixed = LinearDiscriminant(4, 3, covariance=innate, strength=math.inf, dtype=F64)
    half = LinearDiscriminant(4, 3, covariance=innate, strength=90.0, dtype=F64)
    for discriminant in (fixed, half):
        ClosedFormLife(discriminant).observe(features, labels)
    torch.testing.assert_close(fixed.covariance, innate, rtol=1e-10, atol=1e-10)
    counts = torch.bincount(labels).double()
    within = sum(counts[c] * torch.cov(features[labels == c].T, correction=0) for c in range(3)) / 90
    torch.testing.assert_close(half.covariance, (innate + within) / 2, rtol=1e-9, atol=1e-9)
    expected = discriminant_logits(features, fixed.state["means"], counts > 0, torch.linalg.inv(innate))
    torch.testing.assert_close(fixed.predict(features), expected, rtol=1e-9, atol=1e-9)


def test_conjugate_bayes_is_students_t_feature_by_feature():
    features, labels = clouds(20)
    prior = some_prior()
    classifier = ConjugateBayes(3, prior)
    ClosedFormLife(classifier).observe(features, labels)
    query = features[:5]
    for label in range(3):
        own = features[labels == label]
        number = len(own)
        strength, shape = prior.strength + number, prior.shape + number / 2
        mean = (prior.strength * prior.mean + own.sum(0)) / strength
        spread = (own - own.mean(0)).square().sum(0)
        pull = prior.strength * number * (own.mean(0) - prior.mean).square() / strength
        rate = prior.rate + (spread + pull) / 2
        scale = (rate * (strength + 1) / (shape * strength)).sqrt()
        density = stats.t.logpdf(query.numpy(), df=2 * shape.numpy(), loc=mean.numpy(), scale=scale.numpy()).sum(-1)
        np.testing.assert_allclose(classifier.predict(query)[:, label].numpy(), density, rtol=1e-9)


def test_predictive_densities_multiply_to_the_evidence_whatever_the_order():
    """What the chain of one-step predictions gives does not depend on the order: exchangeability."""
    features, labels = clouds(12, num_labels=1)
    totals = []
    for order in (torch.arange(12), torch.arange(11, -1, -1)):
        classifier = ConjugateBayes(1, some_prior())
        total = 0.0
        for row in features[order]:
            total += float(classifier.predict(row[None])[0, 0])
            classifier.learn(row, labels[0])
        totals.append(total)
    assert totals[0] == pytest.approx(totals[1], rel=1e-10)


def test_conjugate_bayes_in_one_batch_is_the_life():
    features, labels = clouds(60)
    prior = some_prior()
    classifier = ConjugateBayes(4, prior)
    ClosedFormLife(classifier).observe(features, labels)
    lives, ids = features.reshape(2, 30, 4), labels.reshape(2, 30)
    seen = predictive(*class_statistics(lives, ids, prior, num_labels=4), prior)
    first = ConjugateBayes(4, prior)
    ClosedFormLife(first).observe(lives[0], ids[0])
    torch.testing.assert_close(class_logits(lives, seen, prior)[0], first.predict(lives[0]), rtol=1e-10, atol=1e-10)


def test_gradients_through_conjugate_bayes_are_those_of_finite_differences():
    features, labels = clouds(8, num_features=2)

    def loss(features: torch.Tensor, *prior: torch.Tensor) -> torch.Tensor:
        own = NormalGamma(*prior)
        seen = predictive(*class_statistics(features[:6], labels[:6], own, num_labels=3), own)
        return torch.nn.functional.cross_entropy(class_logits(features[6:], seen, own), labels[6:])

    inputs = (features, *some_prior(2))
    assert torch.autograd.gradcheck(loss, tuple(tensor.requires_grad_() for tensor in inputs))


def test_the_loss_before_a_class_was_ever_met_is_that_of_knowing_nothing():
    features, labels = clouds()
    for readout in (ClassMeans(4, 3, dtype=F64), LinearDiscriminant(4, 3, dtype=F64)):
        life = ClosedFormLife(readout)
        for number, label in enumerate(range(3), start=1):
            first = features[labels == label][:1]
            assert life.observe(first, torch.tensor([label])) == pytest.approx(math.log(number))


def test_a_flat_prior_lets_the_examples_speak():
    labels = torch.arange(600) % 3
    features = 4.0 * torch.eye(3, 4, dtype=F64)[labels]
    features += torch.randn(600, 4, generator=torch.Generator().manual_seed(0), dtype=F64)
    classifier = ConjugateBayes(3, flat_prior(4, dtype=F64))
    ClosedFormLife(classifier).observe(features, labels)
    assert (classifier.predict(features).argmax(-1) == labels).double().mean() > 0.98
