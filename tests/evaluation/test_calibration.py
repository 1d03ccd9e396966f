"""Calibration against scikit-learn and a plain loop over intervals."""

import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss

from hyperlearning.evaluation.calibration import calibration


def test_numbers_are_those_of_scikit_learn_and_of_a_plain_loop():
    source = torch.Generator().manual_seed(0)
    said = (2 * torch.randn(500, 4, dtype=torch.float64, generator=source)).softmax(1)
    labels = said.multinomial(1, generator=source)[:, 0]
    found = calibration(said, labels, num_intervals=10)
    assert found.accuracy == pytest.approx(accuracy_score(labels, said.argmax(1)))
    assert found.nats == pytest.approx(log_loss(labels, said, labels=range(4)))
    gaps = 0.0
    for low in range(10):
        inside = (said.amax(1) > low / 10) & (said.amax(1) <= (low + 1) / 10)
        if inside.any():
            right = (said.argmax(1) == labels)[inside].double().mean()
            gaps += float(inside.double().mean() * (said.amax(1)[inside].mean() - right).abs())
    assert found.ece == pytest.approx(gaps)


def test_who_is_certain_and_right_errs_nowhere_and_who_is_certain_and_wrong_everywhere():
    said = torch.eye(3)
    assert calibration(said, torch.arange(3)) == (1.0, 0.0, 0.0)
    assert calibration(said, torch.tensor([1, 2, 0])).ece == 1.0


def test_no_image_is_refused():
    with pytest.raises(ValueError, match="one image at least"):
        calibration(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))
