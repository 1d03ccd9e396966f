"""Prototypes: scikit-learn's nearest centroid, a loss by centroids, labels without examples."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestCentroid
from torch import Tensor

from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.params import Params
from hyperlearning.learners.optimizers import adam
from hyperlearning.learners.prototypes import SCALE, prototype_logits, prototype_loss
from hyperlearning.streams.hyper_stream import HyperStream

NUM_LABELS = 7


def _draw(*shape: int, seed: int = 0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _labels(num_tasks: int, members: int, batch: int, seed: int = 0):
    """A label of its own for each task and member."""
    order = torch.rand(members, NUM_LABELS, generator=torch.Generator().manual_seed(seed)).argsort(-1)
    return order[:, :num_tasks].T[..., None].repeat(1, 1, batch)


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), num_tasks=st.integers(2, NUM_LABELS), batch=st.integers(2, 4))
def test_each_member_classifies_as_scikit_learns_nearest_centroid(seed: int, num_tasks: int, batch: int):
    support, queries = _draw(num_tasks, 2, batch, 5, seed=seed), _draw(2, 20, 5, seed=seed + 1)
    labels = _labels(num_tasks, 2, batch, seed=seed)
    chosen = prototype_logits(support, labels, queries, num_labels=NUM_LABELS).argmax(-1)
    for member in range(2):
        theirs = NearestCentroid().fit(support[:, member].flatten(0, 1).numpy(), labels[:, member].flatten().numpy())
        assert chosen[member].tolist() == theirs.predict(queries[member].numpy()).tolist()


def test_a_score_is_minus_the_mean_squared_distance():
    support, queries = _draw(3, 1, 2, 5), _draw(1, 4, 5, seed=1)
    labels = torch.tensor([[[4, 4]], [[0, 0]], [[2, 2]]])
    logits = prototype_logits(support, labels, queries, num_labels=5)
    expected = -(queries[0][:, None] - support[:, 0].mean(1)).square().mean(-1)
    torch.testing.assert_close(logits[0][:, [4, 0, 2]], expected, rtol=1e-12, atol=1e-12)


def test_a_label_without_examples_is_never_chosen_and_leaves_gradients_finite():
    support, queries = _draw(2, 1, 3, 5) + 100, _draw(1, 4, 5, seed=1) - 100
    labels = torch.tensor([[[1, 1, 1]], [[3, 3, 3]]])
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    logits = prototype_logits(support, labels, queries, num_labels=5)
    assert set(logits.argmax(-1).flatten().tolist()) <= {1, 3}
    cross_entropy(logits * scale, torch.full((1, 4), 3)).sum().backward()
    assert scale.grad is not None
    assert torch.isfinite(scale.grad)


def test_examples_of_a_class_met_twice_all_count():
    support, queries = _draw(3, 1, 2, 5), _draw(1, 4, 5, seed=1)
    twice = torch.tensor([[[0, 0]], [[1, 1]], [[0, 0]]])
    logits = prototype_logits(support, twice, queries, num_labels=2)
    mean = torch.cat([support[0, 0], support[2, 0]]).mean(0)
    torch.testing.assert_close(logits[0, :, 0], -(queries[0] - mean).square().mean(-1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("label", [-1, 5])
def test_labels_out_of_range_are_refused(label: int):
    with pytest.raises(ValueError, match=rf"Expected labels from 0 to 4, but got {min(label, 0)} to {max(label, 0)}"):
        prototype_logits(_draw(1, 1, 2, 3), torch.tensor([[[0, label]]]), _draw(1, 2, 3), num_labels=5)


def _embed(innate: Params, inputs: Tensor):
    return torch.tanh(inputs @ innate["weight"])


def _problem():
    params = {"weight": _draw(4, 3, seed=3), SCALE: torch.tensor(2.0, dtype=torch.float64)}
    labels = _labels(3, 2, 2)
    queries = labels[..., 0].T.repeat(1, 2)
    return params, HyperStream(_draw(3, 2, 2, 4, seed=4), labels, _draw(1, 1, 2, 6, 4, seed=5), queries[None, None])


def test_the_loss_is_that_of_scikit_learns_centroids():
    params, stream = _problem()
    losses = prototype_loss(_embed, num_labels=NUM_LABELS)(params, stream)
    for member in range(2):
        labels = stream.targets[:, member].flatten().numpy()
        nearest = NearestCentroid().fit(_embed(params, stream.inputs[:, member]).flatten(0, 1).numpy(), labels)
        queries = _embed(params, stream.hyper_inputs[0, 0, member])
        distances = (queries[:, None] - torch.from_numpy(nearest.centroids_)).square().mean(-1)
        place = {int(label): index for index, label in enumerate(nearest.classes_)}
        targets = torch.tensor([place[int(label)] for label in stream.hyper_targets[0, 0, member]])
        expected = torch.nn.functional.cross_entropy(-params[SCALE] * distances, targets)
        torch.testing.assert_close(losses[member], expected, rtol=1e-10, atol=1e-10)


def test_an_embedding_learns_one_repeated_problem():
    params, stream = _problem()
    loss, optimizer = prototype_loss(_embed, num_labels=NUM_LABELS), adam()
    before, moments = float(loss(params, stream).mean()), optimizer.init(params)
    for _ in range(200):
        leaves = {name: tensor.requires_grad_() for name, tensor in params.items()}
        grads = torch.autograd.grad(loss(leaves, stream).mean(), list(leaves.values()))
        with torch.no_grad():
            params, moments = optimizer.update(leaves, grads, moments, 0.05)
    assert float(loss(params, stream).mean()) < 0.5 * before
