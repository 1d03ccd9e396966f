"""Losses: what every one of them keeps to; the tempered one's closed form, its two limits, its gradient, refusals."""

import math
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hyperlearning.core.image_losses import pack_targets, pixel_error, semi_supervised_loss, summed_pixel_error
from hyperlearning.core.losses import LossFn, cross_entropy, mean_squared_error, tempered_cross_entropy


def _logits(*shape: int, seed: int = 0, scale: float = 1.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LOGITS = _logits(2, 5, 4, scale=3.0)
LABELS = torch.tensor([[0, 1, 2, 3, 0], [3, 3, 1, 0, 2]])
IMAGES = torch.sigmoid(_logits(2, 5, 4, seed=1))


class Case(NamedTuple):
    """A loss, what it judges and by what; two members, five examples."""

    loss: LossFn
    outputs: Tensor
    targets: Tensor


LOSSES = {
    "mean squared error": Case(mean_squared_error, LOGITS, IMAGES),
    "cross-entropy": Case(cross_entropy, LOGITS, LABELS),
    "tempered cross-entropy": Case(tempered_cross_entropy(3.0), LOGITS, LABELS),
    "pixel error": Case(pixel_error, LOGITS, IMAGES),
    "summed pixel error": Case(summed_pixel_error, LOGITS, IMAGES),
    "semi-supervised": Case(
        semi_supervised_loss(4, pixel_weight=2.0),
        torch.cat([LOGITS, LOGITS.sin()], -1),
        pack_targets(LABELS.double(), torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0]).double().expand(2, 5), IMAGES),
    ),
}
"""Every loss: being listed here is passing the contract below."""

each_loss = pytest.mark.parametrize("case", LOSSES.values(), ids=LOSSES)


@each_loss
def test_every_loss_is_one_number_a_member_that_no_other_member_enters(case: Case):
    together = case.loss(case.outputs, case.targets)
    assert together.shape == (2,)
    for member in range(2):
        alone = case.loss(case.outputs[member : member + 1], case.targets[member : member + 1])
        torch.testing.assert_close(alone, together[member : member + 1])


@each_loss
def test_every_loss_is_a_mean_over_examples_in_whatever_order(case: Case):
    once = case.loss(case.outputs, case.targets)
    order = torch.tensor([3, 0, 4, 1, 2] * 2)
    torch.testing.assert_close(case.loss(case.outputs[:, order], case.targets[:, order]), once)


@each_loss
def test_the_gradient_of_every_loss_is_the_finite_difference(case: Case):
    outputs = case.outputs.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda given: case.loss(given, case.targets), (outputs,))


@each_loss
def test_every_loss_refuses_targets_of_other_shapes(case: Case):
    with pytest.raises((ValueError, TypeError)):  # A TypeError is that of the run-time shape checks.
        case.loss(case.outputs, case.targets[:, :-1])


@given(first=st.floats(-20, 20), second=st.floats(-20, 20), temperature=st.floats(0.1, 1000))
def test_of_two_outputs_it_is_the_temperature_times_a_softplus(first: float, second: float, temperature: float):
    logits = torch.tensor([[[first, second]]], dtype=torch.float64)
    loss = tempered_cross_entropy(temperature)(logits, torch.zeros(1, 1, dtype=torch.int64))
    gap = (second - first) / temperature
    softplus = max(gap, 0.0) + math.log1p(math.exp(-abs(gap)))
    assert loss.item() == pytest.approx(temperature * softplus, rel=1e-12, abs=1e-12)


def test_at_temperature_one_it_is_the_plain_loss():
    assert torch.equal(tempered_cross_entropy(1.0)(LOGITS, LABELS), cross_entropy(LOGITS, LABELS))


def test_at_a_low_temperature_it_is_how_far_the_right_output_is_below_the_highest():
    right = LOGITS.gather(-1, LABELS[..., None])[..., 0]
    expected = (LOGITS.max(-1).values - right).mean(1)
    torch.testing.assert_close(tempered_cross_entropy(1e-6)(LOGITS, LABELS), expected, rtol=1e-5, atol=1e-5)


def test_at_a_high_temperature_it_is_linear_in_the_logits_but_for_a_constant():
    temperature = 1e6
    loss = tempered_cross_entropy(temperature)(LOGITS, LABELS) - temperature * math.log(4)
    right = LOGITS.gather(-1, LABELS[..., None])[..., 0]
    torch.testing.assert_close(loss, (LOGITS.mean(-1) - right).mean(1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 100.0])
def test_its_gradient_is_the_softmax_less_the_label_whatever_the_temperature(temperature: float):
    logits = LOGITS.clone().requires_grad_()
    tempered_cross_entropy(temperature)(logits, LABELS).sum().backward()
    onehot = torch.nn.functional.one_hot(LABELS, 4)
    expected = (torch.softmax(LOGITS / temperature, -1) - onehot) / LOGITS.shape[1]
    torch.testing.assert_close(logits.grad, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_that_is_not_positive_is_refused(temperature: float):
    with pytest.raises(ValueError, match="Expected `temperature` to be positive"):
        tempered_cross_entropy(temperature)
