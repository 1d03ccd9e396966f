"""Encoders and decoders: shapes, numbers of weights as published, first weights from the generator alone."""

from collections.abc import Callable

import pytest
import torch
from tests.networks.variational.networks import drawn_images, seeded
from torch import nn

from hyperlearning.core.params import count
from hyperlearning.networks.first_weights import draw_weights
from hyperlearning.networks.projector import projector
from hyperlearning.networks.variational.decoders import ResidualDecoder, small_decoder
from hyperlearning.networks.variational.encoders import lenet, num_features_of, small_resnet, strided, vgg16
from hyperlearning.networks.variational.residual import ResidualBlock, stage

Make = Callable[[torch.Generator], nn.Module]
ENCODERS: dict[str, tuple[Make, tuple[int, int, int], int, int]] = {
    "LeNet of 28": (lambda source: lenet(source, side=28), (1, 28, 28), 84, 60_856),
    "LeNet of 32": (lambda source: lenet(source, side=32), (1, 32, 32), 84, 60_856),
    "VGG16": (vgg16, (3, 32, 32), 512, 14_723_136),
    "ResNet": (small_resnet, (3, 32, 32), 64, 271_632),
    "strided": (strided, (3, 32, 32), 128, 287_456),
    "smaller ResNet": (lambda source: small_resnet(source, num_blocks=1), (3, 32, 32), 64, 77_200),
}
each = pytest.mark.parametrize("case", ENCODERS.values(), ids=ENCODERS)
each_small = pytest.mark.parametrize("make", [ENCODERS[name][0] for name in ENCODERS if name != "VGG16"])


@each
def test_encoders_have_the_features_and_weights_that_they_say(case: tuple[Make, tuple[int, int, int], int, int]):
    make, shape, num_features, num_weights = case
    encoder = make(seeded())
    assert num_features_of(encoder, shape) == num_features
    assert count(dict(encoder.named_parameters())) == num_weights


@each_small
def test_first_weights_follow_from_the_generator_alone(make: Make):
    torch.manual_seed(1)
    first = make(seeded(3)).state_dict()
    torch.manual_seed(2)
    again, other = make(seeded(3)).state_dict(), make(seeded(4)).state_dict()
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("name", [name for name in ENCODERS if name != "VGG16"])
def test_features_of_an_image_do_not_depend_on_its_batch_once_trained(name: str):
    make, shape, _, _ = ENCODERS[name]
    encoder, images = make(seeded()), torch.rand(4, *shape, generator=seeded())
    encoder(images)
    encoder.eval()
    torch.testing.assert_close(encoder(images)[1:3], encoder(images[1:3]), rtol=1e-4, atol=1e-5)


def test_vgg16_is_thirteen_convolutions_with_norms_and_five_poolings():
    kinds = [type(layer) for layer in vgg16(seeded())]
    assert len(kinds) == 44 + 1
    assert (kinds.count(nn.Conv2d), kinds.count(nn.BatchNorm2d), kinds.count(nn.MaxPool2d)) == (13, 13, 5)


def test_weights_are_drawn_as_the_rules_say():
    layer = nn.Conv2d(40, 50, 3)
    draw_weights(layer, seeded())
    reach = (40 * 9) ** -0.5
    for tensor in layer.parameters():
        assert 0.8 * reach < float(tensor.detach().abs().max()) <= reach
    draw_weights(layer, seeded(), rule="kaiming")
    assert (2 / (50 * 9)) ** 0.5 == pytest.approx(float(layer.weight.detach().std()), rel=0.02)
    assert layer.bias is not None
    assert not layer.bias.any()


def test_a_block_is_what_its_parts_make():
    block = ResidualBlock(3, 5, stride=2).eval()
    images = drawn_images(2, 3)
    normed = torch.relu(images / (1 + 1e-5) ** 0.5)
    inner = nn.functional.conv2d(normed, block.conv1.weight, stride=2, padding=1)
    inner = nn.functional.conv2d(torch.relu(inner / (1 + 1e-5) ** 0.5), block.conv2.weight, padding=1)
    assert block.shortcut is not None
    expected = nn.functional.conv2d(normed, block.shortcut.weight, stride=2) + inner
    torch.testing.assert_close(block(images), expected)


def test_a_block_of_no_weights_gives_its_input_back():
    block = ResidualBlock(3, 3)
    nn.init.zeros_(block.conv2.weight)
    images = drawn_images(2, 3)
    assert torch.equal(block(images), images)


@pytest.mark.parametrize(
    ("make", "shape", "num_weights"),
    [
        (ResidualDecoder, (3, 32, 32), 7_610_416),
        (small_decoder, (1, 28, 28), 70_984),
        (lambda source: small_decoder(source, side=32, num_channels=3), (3, 32, 32), None),
    ],
)
def test_decoders_draw_images_of_their_size(make: Make, shape: tuple[int, int, int], num_weights: int | None):
    decoder = make(seeded())
    assert decoder(torch.zeros(2, 60)).shape == (2, *shape)
    assert num_weights is None or count(dict(decoder.named_parameters())) == num_weights


def test_the_decoder_of_the_text_has_fourteen_layers():
    layers = [
        name for name, layer in ResidualDecoder(seeded()).named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    assert len([name for name in layers if "shortcut" not in name]) == 14


def test_projectors_have_a_bare_last_layer_and_no_biases():
    network = projector(seeded(), 6, widths=(8, 5))
    assert [type(layer) for layer in network] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    assert network(torch.rand(4, 6)).shape == (4, 5)
    assert count(dict(network.named_parameters())) == 6 * 8 + 8 * 5 + 2 * 8


def test_what_an_encoder_gives_is_found_without_changing_it():
    encoder = small_resnet(seeded(), num_blocks=1)
    encoder[-2].eval()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    assert num_features_of(encoder, (3, 32, 32)) == 64
    torch.testing.assert_close(encoder.state_dict(), before, rtol=0, atol=0)
    assert [encoder.training, encoder[-2].training, encoder[1].training] == [True, False, True]


def test_an_encoder_of_maps_is_refused():
    with pytest.raises(ValueError, match=r"features \(B, D\), but of one it made \(1, 2, 6, 6\)"):
        num_features_of(nn.Conv2d(1, 2, 3), (1, 8, 8))


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="a `side` of 30"):
        lenet(seeded(), side=30)
    with pytest.raises(ValueError, match="`side` to be a multiple of 4, but got 30"):
        ResidualDecoder(seeded(), side=30)
    with pytest.raises(ValueError, match="one stage or more"):
        small_resnet(seeded(), widths=())
    with pytest.raises(ValueError, match="widths"):
        strided(seeded(), widths=())
    with pytest.raises(ValueError, match="Expected blocks and positive widths, but got 0"):
        stage(1, 1, 0)
    with pytest.raises(ValueError, match="Expected positive `num_features`"):
        projector(seeded(), 6, widths=())
