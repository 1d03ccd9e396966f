"""Linear detectors: against scikit-learn's solution, and what they are sure of."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from hyperlearning.acquisition.detector import DECAY, Linear, fit_detector, fit_own_detectors


def examples(rejected: int = 40) -> tuple[Tensor, Tensor, Tensor]:
    """Three classes around axes of their own, and others around a fourth."""
    source = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (90,), generator=source)
    centres = 3 * torch.eye(4, 5, dtype=torch.float64)
    noise = torch.randn(90 + rejected, 5, generator=source, dtype=torch.float64)
    return centres[labels] + noise[:90], labels, centres[3] + noise[90:]


def test_the_detector_is_that_of_another_library_at_half_the_temperature():
    features, labels, rejected = examples()
    detector = fit_detector(features, labels, rejected, 3)
    every, targets = torch.cat([features, rejected]), torch.cat([labels, torch.full((40,), 3)])
    scaled = ((every - detector.mean_D) / detector.scale).numpy()
    # Logits twofold, at half the temperature: weights that are twice as large are decayed a quarter as much.
    peer = LogisticRegression(C=4 / (DECAY * len(every)), tol=1e-10, max_iter=5000).fit(scaled, targets)
    np.testing.assert_allclose((2 * detector(every)).softmax(1), peer.predict_proba(scaled), atol=0.01)


def test_classifiers_of_one_class_are_sure_of_ours_and_undecided_about_rejected_images():
    features, labels, rejected = examples()
    detector = fit_own_detectors(features, labels, rejected, 3)
    assert float((detector(features).argmax(1) == labels).double().mean()) > 0.95
    sure = float(detector(features).gather(1, labels[:, None]).mean())
    assert float(detector(rejected).abs().mean()) < sure / 2
    without = fit_own_detectors(features, labels, rejected[:0], 3)
    assert float(without(rejected).abs().mean()) > 1


def test_nothing_about_them_is_random():
    features, labels, rejected = examples()
    for fit in (fit_detector, fit_own_detectors):
        torch.manual_seed(0)
        first = fit(features, labels, rejected, 3)
        torch.manual_seed(1)
        assert torch.equal(fit(features, labels, rejected, 3).weights_DC, first.weights_DC)


@pytest.mark.parametrize("fit", [fit_detector, fit_own_detectors])
def test_a_class_without_examples_and_features_all_alike_are_no_trouble(fit: Callable[..., Linear]):
    features, labels, rejected = examples()
    kept = labels != 1
    said = fit(features[kept], labels[kept], rejected, 3)(features)
    assert bool(said.isfinite().all())
    assert bool((said[:, 1] < said.amax(1)).all())
    assert bool(fit(torch.ones(4, 5), labels[:4], torch.ones(2, 5), 3)(torch.ones(3, 5).double()).isfinite().all())
