"""A solved head: against the normal equations, against leaving images out one by one, and against posterior moments."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from hyperlearning.learners.ridge_head import fit_ridge_head


def labelled(num: int = 30, features: int = 6, classes: int = 3, noise: float = 1.0) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(0)
    labels = torch.arange(num) % classes
    centres = 2 * torch.randn(classes, features, generator=source)
    return centres[labels] + noise * torch.randn(num, features, generator=source), labels


def solved(features: Tensor, labels: Tensor, precision: float, classes: int = 3) -> Tensor:
    """By the normal equations, with a constant feature."""
    full = torch.cat([features.double(), torch.ones(len(features), 1, dtype=torch.float64)], 1)
    gram = full.T @ full + precision * torch.eye(full.shape[1], dtype=torch.float64)
    return torch.linalg.solve(gram, full.T @ one_hot(labels, classes).double())


@pytest.mark.parametrize(("num", "features"), [(30, 6), (9, 40)])
def test_weights_solve_the_normal_equations_and_the_noise_is_that_of_images_left_out(num: int, features: int):
    inputs, labels = labelled(num, features)
    head = fit_ridge_head(inputs, labels, 3)
    torch.testing.assert_close(head.weights_DC, solved(inputs, labels, head.precision))
    errors = []
    for place in range(num):
        others = torch.arange(num) != place
        weights = solved(inputs[others], labels[others], head.precision)
        said = torch.cat([inputs[place].double(), torch.ones(1, dtype=torch.float64)]) @ weights
        errors.append(float((said - one_hot(labels[place], 3)).square().mean()))
    assert head.noise == pytest.approx(sum(errors) / num, rel=1e-6)


def test_draws_have_the_mean_and_the_variance_of_the_posterior():
    inputs, labels = labelled(40, 4, noise=3.0)
    head = fit_ridge_head(inputs, labels, 3)._replace(temperature=1.0)
    asked = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    drawn = head.draws(asked, 40_000, torch.Generator().manual_seed(2)).log()
    apart = drawn[..., :2] - drawn[..., 2:]
    full = torch.cat([inputs.double(), torch.ones(40, 1, dtype=torch.float64)], 1)
    gram = full.T @ full + head.precision * torch.eye(5, dtype=torch.float64)
    rows = torch.cat([asked.double(), torch.ones(5, 1, dtype=torch.float64)], 1)
    variance = 2 * head.noise * (rows @ torch.linalg.inv(gram) * rows).sum(1)
    torch.testing.assert_close(apart.var(0), variance[:, None].expand(5, 2), rtol=0.05, atol=1e-4)
    scores = rows @ head.weights_DC
    torch.testing.assert_close(apart.mean(0), scores[:, :2] - scores[:, 2:], rtol=0.05, atol=0.01)


def test_confidence_follows_how_often_it_is_right():
    for noise, sure in ((0.3, True), (6.0, False)):
        inputs, labels = labelled(300, noise=noise)
        most = fit_ridge_head(inputs, labels, 3).probabilities(inputs).amax(1).mean()
        assert (float(most) > 0.95) == sure


def test_one_image_a_class_and_a_class_of_none_are_no_trouble():
    inputs, labels = labelled(3)
    said = fit_ridge_head(inputs, labels, 5).probabilities(inputs)
    assert said.argmax(1).tolist() == [0, 1, 2]
    one = fit_ridge_head(inputs[:1], labels[:1], 2).probabilities(inputs)
    assert bool(one.isfinite().all())
    with pytest.raises(ValueError, match="Expected labelled images"):
        fit_ridge_head(inputs[:0], labels[:0], 2)


def test_balanced_it_is_the_head_of_labels_repeated_until_all_classes_have_as_many():
    features, labels = labelled(30)
    order = labels.argsort(stable=True)
    kept = torch.cat([order[labels[order] == 0][:2], order[labels[order] == 1][:4], order[labels[order] == 2][:4]])
    head = fit_ridge_head(features[kept], labels[kept], 3, balanced=True)
    twice = torch.cat([kept[:2], kept])
    rows, targets = (
        torch.nn.functional.pad(features[twice].double(), (0, 1), value=1.0),
        one_hot(labels[twice], 3).double(),
    )
    # Rows count 10 / 12 each, so that all counts together are as many as images.
    precision = head.precision * 12 / 10
    own = torch.linalg.solve(rows.mT @ rows + precision * torch.eye(rows.shape[1]).double(), rows.mT @ targets)
    torch.testing.assert_close(head.weights_DC, own)


def test_balanced_a_class_of_all_others_is_as_large_as_its_share():
    features, labels = labelled(30)
    ours = (labels < 2).nonzero()[:, 0]
    kept = torch.cat([ours[labels[ours] == 0][:3], ours[labels[ours] == 1][:3], (labels == 2).nonzero()[:, 0]])
    others, plain = (
        fit_ridge_head(features[kept], labels[kept], 3, balanced=balanced, num_others=int(balanced))
        for balanced in (True, False)
    )
    # Two classes of three labels each count the same anyhow, and the ten others as ten.
    torch.testing.assert_close(others.weights_DC, plain.weights_DC)
    balanced = fit_ridge_head(features[kept], labels[kept], 3, balanced=True)
    assert not torch.allclose(others.weights_DC, balanced.weights_DC)
