"""Input DANs: an independent stack of PyTorch's own layers, features counted, gradients, refusals."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from hyperlearning.networks.dan.input_dans import InputDANs


def _seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def _images(*shape: int, seed: int = 1):
    return torch.randn(*shape, generator=_seeded(seed), dtype=torch.float64)


def _randomized(trunk: InputDANs):
    """In float64, with gains and offsets that are not those of the start."""
    trunk = trunk.double()
    with torch.no_grad():
        for name, tensor in trunk.named_parameters():
            if name.startswith(("gains", "offsets")):
                tensor.add_(torch.randn(tensor.shape, generator=_seeded(7)).double() * 0.3)
    return trunk


def _plain_stack(trunk: InputDANs):
    """The same network of PyTorch's own modules, with the trunk's numbers."""
    layers: list[nn.Module] = []
    channels = trunk.image_shape[0]
    for layer, size in enumerate(trunk.maps):
        convolution = nn.Conv2d(channels, size, 3, stride=2 if trunk.downsampling == "stride" else 1, padding=1)
        convolution.weight.data, convolution.bias.data = trunk.weights[layer].data, trunk.biases[layer].data
        layers.append(convolution)
        if trunk.normalization == "instance":
            norm: Any = nn.InstanceNorm2d(size, affine=True)
        elif trunk.normalization == "group":
            norm = nn.GroupNorm(trunk.num_groups or 0, size)
        else:
            norm = None
        if norm is not None:
            norm.weight.data, norm.bias.data = trunk.gains[layer].data, trunk.offsets[layer].data
            layers.append(norm)
        layers.append(nn.LeakyReLU(0.01) if trunk.rectifier == "leaky_relu" else nn.ReLU())
        if trunk.downsampling == "pool":
            layers.append(nn.MaxPool2d(2))
        channels = size
    return nn.Sequential(*layers, nn.Flatten()).double()


@pytest.mark.parametrize("downsampling", ["stride", "pool"])
@pytest.mark.parametrize(
    "options", [{}, {"normalization": "instance"}, {"normalization": "group", "num_groups": 2, "rectifier": "relu"}]
)
def test_the_stack_equals_pytorchs_own_layers(downsampling: str, options: dict[str, Any]):
    trunk = InputDANs(
        (3, 13, 13), maps=(4, 6), downsampling=downsampling, unit_rms=False, generator=_seeded(), **options
    )
    images = _images(5, 3, 13, 13)
    torch.testing.assert_close(_randomized(trunk)(images), _plain_stack(trunk)(images), rtol=1e-12, atol=1e-12)


@given(side=st.integers(4, 33), maps=st.lists(st.integers(1, 3), min_size=1, max_size=2), pool=st.booleans())
def test_features_are_as_many_as_announced(side: int, maps: list[int], pool: bool):
    trunk = InputDANs((2, side, side), maps=maps, downsampling="pool" if pool else "stride")
    assert trunk(torch.zeros(1, 2, side, side)).shape == (1, trunk.num_features)


def test_features_have_a_root_mean_square_of_one():
    trunk = InputDANs((1, 16, 16), maps=(8, 8), generator=_seeded())
    rms = trunk.double()(_images(6, 1, 16, 16) * 5).square().mean(1).sqrt()
    torch.testing.assert_close(rms, torch.ones_like(rms), rtol=2e-3, atol=0)


@pytest.mark.parametrize("downsampling", ["stride", "pool"])
def test_a_centred_stack_equals_pytorchs_own_layers_less_the_last_rectifier_and_the_mean(downsampling: str):
    trunk = _randomized(
        InputDANs(
            (3, 13, 13),
            maps=(4, 6),
            downsampling=downsampling,
            normalization="group",
            num_groups=2,
            unit_rms=False,
            centred=True,
            generator=_seeded(),
        )
    )
    images = _images(5, 3, 13, 13)
    layers = list(_plain_stack(trunk))
    last = max(i for i, layer in enumerate(layers) if isinstance(layer, nn.LeakyReLU))
    features = nn.Sequential(*layers[:last], *layers[last + 1 :])(images)
    torch.testing.assert_close(trunk(images), features - features.mean(1, keepdim=True), rtol=1e-12, atol=1e-12)


def test_centred_features_have_mean_zero_and_a_root_mean_square_of_one():
    trunk = InputDANs((1, 16, 16), maps=(8, 8), centred=True, generator=_seeded())
    features = trunk.double()(_images(6, 1, 16, 16) * 5)
    torch.testing.assert_close(features.mean(1), torch.zeros(6).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(features.square().mean(1).sqrt(), torch.ones(6).double(), rtol=2e-3, atol=0)


@pytest.mark.parametrize("options", [{}, {"normalization": "instance"}, {"normalization": "group", "num_groups": 2}])
def test_an_images_features_do_not_depend_on_the_others(options: dict[str, Any]):
    trunk = _randomized(InputDANs((1, 12, 12), maps=(4, 4), generator=_seeded(), **options))
    images = _images(4, 1, 12, 12)
    alone = torch.cat([trunk(image[None]) for image in images])
    torch.testing.assert_close(trunk(images), alone, rtol=1e-12, atol=1e-12)


def _grads(trunk: InputDANs, params: dict[str, Tensor], images: Tensor):
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in params.items()}
    features = torch.func.functional_call(trunk, leaves, (images,))
    return torch.autograd.grad(features.pow(3).sum(), list(leaves.values()))


@pytest.mark.parametrize("options", [{}, {"normalization": "instance", "downsampling": "pool"}])
def test_checkpointing_gives_equal_gradients_of_the_parameters_of_the_call(options: dict[str, Any]):
    # The parameters of the call differ from the module's own: those must not slip in when layers are computed again.
    settings: dict[str, Any] = {"maps": (4, 4), **options}
    plain = InputDANs((1, 12, 12), generator=_seeded(0), **settings).double()
    saving = InputDANs((1, 12, 12), generator=_seeded(1), checkpoint=True, **settings).double()
    params, images = dict(plain.named_parameters()), _images(3, 1, 12, 12)
    for one, other in zip(_grads(plain, params, images), _grads(saving, params, images), strict=True):
        assert torch.equal(one, other)


def test_checkpointing_keeps_fewer_numbers_for_the_backward_pass():
    kept = []
    for checkpoint in (False, True):
        sizes: list[int] = []
        trunk = InputDANs((1, 12, 12), maps=(4, 4), normalization="instance", checkpoint=checkpoint, unit_rms=False)

        def pack(tensor: Tensor, sizes: list[int] = sizes):
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            trunk(torch.zeros(3, 1, 12, 12))
        kept.append(sum(sizes))
    assert kept[1] < kept[0] / 2


@pytest.mark.parametrize("options", [{}, {"normalization": "group", "num_groups": 1}])
def test_gradients_equal_finite_differences(options: dict[str, Any]):
    trunk = _randomized(InputDANs((1, 5, 5), maps=(2, 2), generator=_seeded(), **options))
    names = [name for name, _ in trunk.named_parameters()]

    def features(*tensors: Tensor):
        return torch.func.functional_call(
            trunk, dict(zip(names, tensors[1:], strict=True)), (tensors[0].requires_grad_(),)
        )

    arguments = (_images(2, 1, 5, 5).requires_grad_(), *trunk.parameters())
    assert torch.autograd.gradcheck(features, arguments)


def test_half_precision_stays_near_single():
    trunk = InputDANs((1, 16, 16), maps=(8, 8), normalization="instance", generator=_seeded())
    images = _images(4, 1, 16, 16).float()
    single = trunk(images)
    half = trunk.to(torch.bfloat16)(images.to(torch.bfloat16))
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), single, rtol=0.05, atol=0.05)


def test_the_same_generator_gives_the_same_trunk():
    one, other = (InputDANs((1, 8, 8), maps=(4,), generator=_seeded(3)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_shape": (1, 28, 20)}, "images of shape"),
        ({"maps": ()}, "one or more positive sizes"),
        ({"image_shape": (1, 4, 4), "maps": (4, 4, 4)}, "side 5 or more"),
        ({"image_shape": (1, 7, 7), "maps": (4, 4, 4), "downsampling": "pool"}, "side 8 or more"),
        ({"normalization": "group"}, "num_groups"),
        ({"num_groups": 2}, "num_groups"),
        ({"normalization": "group", "num_groups": 3}, "divide each"),
        ({"image_shape": (1, 2, 2), "maps": (4,), "normalization": "instance"}, "two or more values"),
    ],
)
def test_settings_that_make_no_stack_are_refused(options: dict[str, Any], message: str):
    settings: dict[str, Any] = {"image_shape": (1, 8, 8), "maps": (4, 4), **options}
    with pytest.raises(ValueError, match=message):
        InputDANs(settings.pop("image_shape"), **settings)


def test_images_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="Expected images of shape"):
        InputDANs((1, 8, 8), maps=(4,))(torch.zeros(1, 1, 10, 10))
