"""A prior that is meta-learned: gradients by finite differences, the life that ends at the logits of a batch, what is learned."""

import pytest
import torch
from torch import Tensor

from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.params import Params
from hyperlearning.learners.closed_form.conjugate_bayes import ConjugateBayes
from hyperlearning.learners.closed_form.learned_prior import (
    LOG_RATE,
    LOG_SHAPE,
    LOG_STRENGTH,
    MEAN,
    bayes_logits,
    bayes_loss,
    first_prior,
    prior_of,
)
from hyperlearning.streams.hyper_stream import HyperStream

F64 = torch.float64
T, M, B, Q, F, K = 3, 2, 3, 5, 4, 5
NAMES = (MEAN, LOG_STRENGTH, LOG_SHAPE, LOG_RATE)


def _draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def _params(seed: int = 9) -> Params:
    return {name: 0.4 * _draw(F, seed=seed + number) for number, name in enumerate(NAMES)}


def _stream() -> HyperStream:
    """Each member learns classes of its own; labels 1 and 3 of the first, and 0 and 2 of the second, are never met."""
    labels = torch.tensor([[4, 1], [0, 3], [2, 4]])[..., None].expand(T, M, B)
    shown = torch.tensor([[4, 0, 2, 2, 0], [1, 3, 4, 1, 1]])
    return HyperStream(_draw(T, M, B, F), labels, _draw(1, 1, M, Q, F, seed=1), shown[None, None])


def test_the_loss_has_the_gradients_of_finite_differences_in_features_and_prior():
    stream = _stream()

    def loss(weight: Tensor, *prior: Tensor) -> Tensor:
        params = dict(zip(NAMES, prior, strict=True)) | {"weight": weight}
        return bayes_loss(lambda own, images: torch.tanh(images @ own["weight"]), num_labels=K)(params, stream)

    inputs = (_draw(F, F, seed=5), *_params().values())
    assert torch.autograd.gradcheck(loss, tuple(tensor.requires_grad_() for tensor in inputs))


def test_a_life_of_one_example_at_a_time_arrives_at_the_logits_of_the_batch():
    stream, prior = _stream(), prior_of(_params())
    support, labels = stream.inputs.transpose(0, 1).flatten(1, 2), stream.targets.transpose(0, 1).flatten(1, 2)
    queries = stream.hyper_inputs[0, 0]
    logits = bayes_logits(support, labels, queries, prior, num_labels=K)
    for member in range(M):
        life = ConjugateBayes(K, prior)
        for image, label in zip(support[member], labels[member], strict=True):
            life.learn(image, label)
        met = labels[member].unique()
        expected = life.predict(queries[member])[:, met]
        torch.testing.assert_close(logits[member][:, met], expected, rtol=0, atol=1e-9)


def test_the_loss_is_the_cross_entropy_among_the_classes_that_a_member_has_met():
    stream, params = _stream(), _params()
    losses = bayes_loss(lambda _, images: images, num_labels=K)(params, stream)
    for member in range(M):
        life, labels = ConjugateBayes(K, prior_of(params)), stream.targets[:, member]
        for images, label in zip(stream.inputs[:, member], labels[:, 0], strict=True):
            for image in images:
                life.learn(image, label)
        met = labels[:, 0]
        places = (stream.hyper_targets[0, 0, member][:, None] == met).int().argmax(-1)
        logits = life.predict(stream.hyper_inputs[0, 0, member])[:, met]
        torch.testing.assert_close(losses[member], cross_entropy(logits[None], places[None])[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("scale", [-30.0, 30.0])
def test_strengths_shapes_and_rates_are_positive_whatever_is_learned(scale: float):
    prior = prior_of({name: torch.full((F,), scale) for name in NAMES})
    assert all(bool((part > 0).all()) for part in prior[1:])


def test_learning_starts_from_a_prior_of_mean_zero_worth_one_example():
    prior = prior_of(first_prior(3))
    assert prior.mean.tolist() == [0, 0, 0]
    for part, value in zip(prior[1:], (1.0, 10.0, 60.0), strict=True):
        assert part.tolist() == pytest.approx([value] * 3)


def test_the_prior_learns_which_features_tell_nothing():
    """Two features of class means far apart, two of noise: the latter become wide."""
    source = torch.Generator().manual_seed(0)
    params = {name: value.double().requires_grad_() for name, value in first_prior(F).items()}
    loss_fn = bayes_loss(lambda _, images: images, num_labels=K)
    rule = torch.optim.Adam(params.values(), lr=0.1)
    losses = []
    for _ in range(40):
        means = torch.cat((2 * torch.randn(K, 1, 2, generator=source, dtype=F64), torch.zeros(K, 1, 2, dtype=F64)), -1)
        spread = torch.tensor([0.5, 0.5, 3, 3], dtype=F64)
        images = means + spread * torch.randn(K, 6, F, generator=source, dtype=F64)
        labels = torch.arange(K)[:, None, None]
        stream = HyperStream(
            images[:, None, :3],
            labels.expand(K, 1, 3),
            images[:, 3:].reshape(1, 1, 1, 3 * K, F),
            labels.expand(K, 1, 3).reshape(1, 1, 1, 3 * K),
        )
        rule.zero_grad()
        loss = loss_fn(params, stream).mean()
        loss.backward()
        rule.step()
        losses.append(loss.item())
    prior = prior_of({name: value.detach() for name, value in params.items()})
    variance = prior.rate / prior.shape
    assert float(variance[:2].max()) < float(variance[2:].min())
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])
