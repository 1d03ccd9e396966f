"""The embedding of few-shot learners, against its layers written out, and what it refuses."""

import pytest
import torch
import torch.nn.functional as F

from hyperlearning.core.seeding import generator
from hyperlearning.networks.conv4 import Conv4, spread_features


@pytest.mark.parametrize("last_relu", [True, False])
def test_it_is_convolution_pooling_normalisation_and_relu_four_times(last_relu: bool):
    network = Conv4(width=6, last_relu=last_relu, generator=generator(0, "conv4")).double()
    images = torch.rand(3, 1, 28, 28, dtype=torch.float64)
    maps = images
    for block, convolution in enumerate(network.convolutions):
        pooled = F.max_pool2d(F.conv2d(maps, convolution.weight, padding=1), 2)
        centred = pooled - pooled.mean((0, 2, 3), keepdim=True)
        maps = centred / (pooled.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
        maps = maps.clamp(min=0) if last_relu or block < 3 else maps
    torch.testing.assert_close(network(images), maps.flatten(1), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("side", "width", "num_features"), [(28, 64, 64), (84, 8, 200)])
def test_it_says_how_many_features_it_makes(side: int, width: int, num_features: int):
    network = Conv4(width=width, side=side)
    assert network.num_features == num_features
    assert spread_features(network, torch.zeros(2, 3, 1, side, side)).shape == (2, 3, num_features)


def test_by_running_statistics_an_image_does_not_depend_on_its_batch_and_by_the_batch_it_does():
    images = torch.rand(4, 1, 28, 28, generator=generator(0, "images"))
    for statistics, independent in (("running", True), ("batch", False)):
        network = Conv4(width=4, statistics=statistics, generator=generator(0, "conv4"))
        network(images)
        network.eval()
        assert torch.allclose(network(images)[:2], network(images[:2]), atol=1e-5) is independent


def test_images_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match="Expected images of 16 pixels"):
        Conv4(side=8)
