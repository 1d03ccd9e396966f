"""The ANML network against PyTorch's own layers, and its sizes against the published ones."""

import pytest
import torch
from benchmarks.reference_trajectory import anml_predict
from benchmarks.trajectory import to_reference
from torch import Tensor

from hyperlearning.core.params import count, partition
from hyperlearning.networks.gated.anml import ANMLNetwork


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=seeded(), dtype=torch.float64)


def test_parameters_number_as_published_but_for_the_biases_that_normalization_cancels():
    network = ANMLNetwork(in_channels=3)
    plastic, innate = partition(network, network.is_innate)
    assert count(innate) + 3 * 112 == 2_554_560
    assert count(plastic) + 3 * 256 == 1_188_864 + 2_305_000


@pytest.mark.parametrize(
    ("width", "plastic_count", "innate_count"),
    [(1.0, 3_488_488, 2_552_208), (0.5, 1_449_832, 639_048), (0.25, 651_688, 160_260)],
)
def test_parameters_of_one_channel_follow_from_the_width(width: float, plastic_count: int, innate_count: int):
    network = ANMLNetwork(width=width)
    plastic, innate = partition(network, network.is_innate)
    maps, gates = int(256 * width), int(112 * width)
    assert count(plastic) == 9 * maps + 2 * 9 * maps**2 + 6 * maps + 9 * maps * 1000 + 1000 == plastic_count
    assert count(innate) == 9 * gates + 2 * 9 * gates**2 + 6 * gates + (9 * gates + 1) * 9 * maps == innate_count


def test_it_predicts_what_layers_of_pytorch_with_batch_normalization_of_one_image_do():
    network = ANMLNetwork(num_classes=7, width=1 / 16, generator=seeded()).double()
    for name, parameter in network.named_parameters():
        if "scales" in name or "shifts" in name:
            torch.nn.init.normal_(parameter, generator=seeded())
    images = randn(5, 1, 28, 28)
    expected = torch.cat([anml_predict(to_reference(dict(network.named_parameters())), i) for i in images.split(1)])
    torch.testing.assert_close(network(images), expected, rtol=1e-11, atol=1e-11)


def test_images_are_normalized_each_by_itself():
    network = ANMLNetwork(num_classes=5, width=1 / 16, generator=seeded()).double()
    images = randn(3, 1, 28, 28)
    alone = torch.cat([network(image) for image in images.split(1)])
    torch.testing.assert_close(network(images), alone, rtol=1e-12, atol=1e-12)


def test_learned_gates_lie_between_0_and_1_and_multiply_the_features():
    network = ANMLNetwork(num_classes=5, width=1 / 16, generator=seeded()).double()
    images = randn(3, 1, 28, 28)
    prepared = network.prepare(dict(network.named_parameters()), images)
    gates, plain = prepared[:, 784:], prepared[:, :784]
    assert gates.shape == (3, 144)
    assert 0 < gates.min() < gates.max() < 1
    torch.testing.assert_close(network.predictor.features(prepared), network.predictor.features(plain) * gates)


def test_preparing_takes_any_number_of_batch_axes():
    network = ANMLNetwork(num_classes=5, width=1 / 16, generator=seeded())
    images, innate = torch.randn(2, 3, 4, 1, 28, 28, generator=seeded()), dict(network.named_parameters())
    flat = network.prepare(innate, images.flatten(0, 2))
    torch.testing.assert_close(network.prepare(innate, images), flat.unflatten(0, (2, 3, 4)))


def test_random_gates_are_those_drawn_and_no_parameters():
    learned, fixed = (ANMLNetwork(5, width=1 / 16, gates=g, generator=seeded()) for g in ("learned", "random"))
    images = torch.randn(2, 1, 28, 28, generator=seeded())
    torch.testing.assert_close(fixed(images), learned(images))
    assert not any(fixed.is_innate(name) for name, _ in fixed.named_parameters())
    assert "neuromodulator.last.weight" in fixed.state_dict()


def test_without_gates_there_is_no_neuromodulator():
    network = ANMLNetwork(5, width=1 / 16, gates="none", generator=seeded())
    images = torch.randn(2, 1, 28, 28, generator=seeded())
    features = network.predictor.stack(images)
    torch.testing.assert_close(network(images), network.predictor.last(features))
    assert not any(name.startswith("neuromodulator") for name in network.state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0.3}, "width.*0.3"),
        ({"width": 0.0}, "width.*0.0"),
        ({"num_classes": 1}, "num_classes.*1"),
        ({"in_channels": 0}, "in_channels.*0"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        ANMLNetwork(**options)


def test_gates_of_an_unknown_kind_are_refused():
    with pytest.raises((ValueError, TypeError), match="gates"):
        ANMLNetwork(gates="open")
