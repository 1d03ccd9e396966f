"""The OML network against PyTorch's own layers, and its sizes against the published ones."""

import pytest
import torch
from torch import nn

from hyperlearning.core.params import count, partition
from hyperlearning.networks.gated.oml import STRIDES, OMLNetwork


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def plain_representation(network: OMLNetwork, strides: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for weight, bias, stride in zip(
        network.representation.weights, network.representation.biases, strides, strict=True
    ):
        convolution = nn.Conv2d(weight.shape[1], weight.shape[0], 3, stride=stride).double()
        convolution.load_state_dict({"weight": weight, "bias": bias})
        layers += [convolution, nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten())


@pytest.mark.parametrize("side", [84, 28])
def test_it_predicts_what_layers_of_pytorch_do(side: int):
    network = OMLNetwork(num_classes=7, side=side, width=1 / 32, generator=seeded()).double()
    images = torch.randn(2, 1, side, side, generator=seeded(), dtype=torch.float64)
    features = plain_representation(network, STRIDES[side])(images)
    assert features.shape == (2, 9 * 8)
    expected = features @ network.predictor.last.weight.t() + network.predictor.last.bias
    torch.testing.assert_close(network(images), expected, rtol=1e-12, atol=1e-12)


def test_parameters_number_as_published():
    network = OMLNetwork()
    plastic, innate = partition(network, network.is_innate)
    assert count(plastic) == 2304 * 1000 + 1000
    assert count(innate) == (9 * 256 + 256) + 5 * (9 * 256 * 256 + 256)


def test_a_hidden_layer_makes_the_prediction_network_that_of_the_first_version():
    plastic, _ = partition(network := OMLNetwork(side=28, hidden_size=1024), network.is_innate)
    assert count(plastic) == (2304 * 1024 + 1024) + (1024 * 1000 + 1000)


def test_weights_are_kaiming_normal_and_biases_zero():
    network = OMLNetwork(side=28, width=0.5, generator=seeded())
    for name, parameter in network.state_dict().items():
        if name.endswith("bias") or "biases" in name:
            assert parameter.abs().max() == 0
        elif parameter[0].numel() > 9:
            expected = (2 / parameter[0].numel()) ** 0.5
            assert float(parameter.std()) == pytest.approx(expected, rel=0.02)


def test_preparing_takes_any_number_of_batch_axes():
    network = OMLNetwork(num_classes=5, side=28, width=1 / 32, generator=seeded())
    images, innate = torch.randn(2, 3, 1, 28, 28, generator=seeded()), dict(network.named_parameters())
    flat = network.prepare(innate, images.flatten(0, 1))
    torch.testing.assert_close(network.prepare(innate, images), flat.unflatten(0, (2, 3)))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"side": 32}, "side.*32"), ({"width": 1 / 3}, "width"), ({"hidden_size": 0}, "hidden_size.*0")],
)
def test_settings_out_of_range_are_refused(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        OMLNetwork(**options)
