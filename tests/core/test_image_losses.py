"""Losses on images: closed forms, and labels that are not known."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hyperlearning.core.image_losses import pack_targets, pixel_error, semi_supervised_loss, summed_pixel_error
from hyperlearning.core.losses import cross_entropy, tempered_cross_entropy


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def packed(known: list[float], *, num_pixels: int = 6) -> torch.Tensor:
    labels = torch.arange(len(known), dtype=torch.float32).expand(2, -1) % 3
    return pack_targets(labels, torch.tensor(known).expand(2, -1), random(2, len(known), num_pixels, seed=1).sigmoid())


def test_logits_of_zero_are_grey():
    error = pixel_error(torch.zeros(2, 3, 4), torch.tensor([0.0, 1.0, 0.5, 0.5]).expand(2, 3, 4))
    assert error.tolist() == pytest.approx([0.125, 0.125])


def test_the_gradient_of_the_sum_is_a_pixels_own():
    logits = random(1, 1, 9).double().requires_grad_()
    images = torch.full((1, 1, 9), 0.3, dtype=torch.float64)
    (grad,) = torch.autograd.grad(summed_pixel_error(logits, images).sum(), logits)
    bright = logits.detach().sigmoid()
    torch.testing.assert_close(grad, (bright - 0.3) * bright * (1 - bright))


@given(st.floats(0.5, 100.0))
def test_with_all_labels_known_and_no_pixels_it_is_the_tempered_loss(temperature: float):
    outputs, targets = random(2, 4, 3 + 6), packed([1.0] * 4)
    loss = semi_supervised_loss(3, pixel_weight=0.0, temperature=temperature)
    expected = tempered_cross_entropy(temperature)(outputs[..., :3], targets[..., 0].long())
    torch.testing.assert_close(loss(outputs, targets), expected)


def test_it_is_the_sum_of_the_labelled_images_loss_and_the_weighted_error_of_all():
    outputs, targets = random(2, 4, 3 + 6), packed([1.0, 0.0, 1.0, 0.0])
    by_hand = cross_entropy(outputs[:, ::2, :3], targets[:, ::2, 0].long())
    by_hand = by_hand + 2.5 * pixel_error(outputs[..., 3:], targets[..., 2:])
    torch.testing.assert_close(semi_supervised_loss(3, pixel_weight=2.5)(outputs, targets), by_hand)


def test_an_unknown_label_is_never_looked_at_even_if_it_is_out_of_range():
    outputs, targets = random(2, 3, 3 + 6), packed([1.0, 0.0, 0.0])
    other = targets.clone()
    other[:, 1:, 0] = 1e6
    loss = semi_supervised_loss(3, pixel_weight=1.0)
    assert torch.equal(loss(outputs, targets), loss(outputs, other))


def test_without_a_known_label_only_the_reconstruction_counts():
    outputs, targets = random(2, 3, 3 + 6), packed([0.0, 0.0, 0.0])
    expected = pixel_error(outputs[..., 3:], targets[..., 2:])
    torch.testing.assert_close(semi_supervised_loss(3, pixel_weight=1.0)(outputs, targets), expected)


@pytest.mark.parametrize(
    "settings",
    [{"num_classes": 0, "pixel_weight": 1.0}, {"num_classes": 3, "pixel_weight": -1.0},
     {"num_classes": 3, "pixel_weight": 1.0, "temperature": 0.0}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(settings: dict[str, float]):
    num_classes = int(settings.pop("num_classes"))
    with pytest.raises(ValueError, match="Expected positive `num_classes`"):
        semi_supervised_loss(num_classes, **settings)


def test_targets_of_another_size_are_refused():
    with pytest.raises(ValueError, match="Expected packed targets of shape"):
        semi_supervised_loss(4, pixel_weight=1.0)(random(2, 3, 3 + 6), packed([1.0, 1.0, 1.0]))
