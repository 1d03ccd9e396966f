"""Image networks: plain per-member references, skips, symmetry of classes, exact counts."""

from functools import partial
from typing import Any

import pytest
import torch
from tests.networks.dan import classifiers
from torch import Tensor

from hyperlearning.core.params import partition
from hyperlearning.learners.population import population_forward, split_forward
from hyperlearning.networks.dan.conv_phenotype import ConvPhenotype
from hyperlearning.networks.dan.fused import why_not_fused
from hyperlearning.networks.dan.image_networks import dan_autoencoder, dan_classifier
from hyperlearning.networks.dan.input_dans import InputDANs
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.networks.dan.phenotypes import MLPPhenotype
from hyperlearning.networks.parameter_counts import ParameterCounts, count_parameters, without_allocating
from hyperlearning.networks.trunk import TrunkNetwork

SMALL_CONV = partial(ConvPhenotype, maps=(2, 3), hidden_sizes=(4,))
SMALL_MLP = partial(MLPPhenotype, hidden_sizes=(5,), hidden_activation="relu", output_activation="identity")


def _seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def _randn(*shape: int, seed: int = 1):
    return torch.randn(*shape, generator=_seeded(seed), dtype=torch.float64)


def _classifier(**options: Any):
    generator = _seeded()
    trunk = InputDANs((1, 8, 8), maps=(2, 3), generator=generator)
    settings: dict[str, Any] = {"num_classes": 4, "hidden_sizes": (3, 2), "num_channels": 9, "phenotype": SMALL_CONV}
    return dan_classifier(trunk, **(settings | options), generator=generator).double()


def _members(network: TrunkNetwork, num_members: int):
    """Plastic parameters that differ between members, and the innate ones."""
    plastic, innate = partition(network, network.is_innate)
    return {name: _randn(num_members, *p.shape, seed=i) * 0.3 for i, (name, p) in enumerate(plastic.items())}, innate


def _phenotype_by_neuron(innate: dict[str, Tensor], layer: int, drive: Tensor):
    """One neuron's channels (C,) through its convolutions and dense layers."""
    prefix = f"head.phenotypes.{layer - 1}."
    own = {name.removeprefix(prefix): tensor for name, tensor in innate.items() if name.startswith(prefix)}
    side = round(len(drive) ** 0.5)
    image = drive.reshape(1, side, side)
    for i in range(sum(name.startswith("conv_weights") for name in own)):
        image = torch.nn.functional.conv2d(image, own[f"conv_weights.{i}"], own[f"conv_biases.{i}"])
        image = torch.nn.functional.leaky_relu(image)
    hidden = image.flatten()
    last = sum(name.startswith("weights") for name in own) - 1
    for i in range(last + 1):
        hidden = torch.nn.functional.linear(hidden, own[f"weights.{i}"].T, own[f"biases.{i}"])
        hidden = hidden if i == last else torch.nn.functional.leaky_relu(hidden)
    return hidden[0]


def _trunk_by_layers(innate: dict[str, Tensor], image: Tensor):
    maps = image
    for i in range(2):
        maps = torch.nn.functional.conv2d(
            maps, innate[f"trunk.weights.{i}"], innate[f"trunk.biases.{i}"], stride=2, padding=1
        )
        maps = torch.where(maps > 0, maps, 0.01 * maps)
    features = maps.flatten()
    return features / (features.square().mean() + 1e-5).sqrt()


def _by_equations(head: DANNetwork, params: dict[str, Tensor], image: Tensor):
    """One image through one member, neuron by neuron."""
    activations = [_trunk_by_layers(params, image)]
    for layer in range(1, len(head.layer_sizes)):
        sources = [source for source, target in head.maps if target == layer]
        if head.joining == "concatenation":
            maps = {layer - 1: torch.cat([activations[source] for source in sources])}
        else:
            maps = {source: activations[source] for source in sources}
        drive = torch.zeros(head.layer_sizes[layer] * head.num_channels, dtype=torch.float64)
        for source, activation in maps.items():
            name = f"head.synapses.{source}_{layer}"
            drive = drive + torch.nn.functional.linear(activation, params[f"{name}.weight"].T, params[f"{name}.bias"])
        vectors = drive.split(head.num_channels)
        activations.append(torch.stack([_phenotype_by_neuron(params, layer, vector) for vector in vectors]))
    return activations[-1]


def _outputs_and_those_by_equations(network: TrunkNetwork, image_shape: tuple[int, ...]):
    plastic, innate = _members(network, 3)
    images = _randn(3, 4, *image_shape, seed=9)
    prepare, forward = split_forward(network, plastic, input_ndim=3)
    assert isinstance(network.head, DANNetwork)
    expected = []
    for member in range(3):
        params = {**{name: tensor[member] for name, tensor in plastic.items()}, **innate}
        expected.append(torch.stack([_by_equations(network.head, params, image) for image in images[member]]))
    return forward(plastic, innate, prepare(innate, images)), torch.stack(expected)


@pytest.mark.parametrize("skips", ["none", "sum", "concatenation"])
def test_a_population_of_classifiers_equals_the_equations_neuron_by_neuron(skips: str):
    outputs, expected = _outputs_and_those_by_equations(_classifier(skips=skips), (1, 8, 8))
    torch.testing.assert_close(outputs, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("phenotype", [SMALL_CONV, SMALL_MLP])
@pytest.mark.parametrize("skips", ["none", "sum", "concatenation"])
def test_the_whole_network_under_vmap_equals_trunk_and_batched_head(phenotype: Any, skips: str):
    network = _classifier(phenotype=phenotype, skips=skips)
    plastic, innate = _members(network, 2)
    images = _randn(2, 3, 1, 8, 8)
    prepare, forward = split_forward(network, plastic, input_ndim=3)
    whole = population_forward(network, plastic)(plastic, innate, images)
    torch.testing.assert_close(forward(plastic, innate, prepare(innate, images)), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("phenotype", [SMALL_CONV, SMALL_MLP])
def test_concatenation_is_a_sum_of_maps_that_share_one_bias(phenotype: Any):
    summed, joined = (_classifier(phenotype=phenotype, skips=skips) for skips in ("sum", "concatenation"))
    params = {name: tensor.detach().clone() for name, tensor in summed.named_parameters()}
    # The joined map hears layers 2, 1 and 0, one under another.
    into = [f"head.synapses.{source}_3." for source in (2, 1, 0)]
    params["head.synapses.2_3.weight"] = torch.cat([params[f"{name}weight"] for name in into])
    params["head.synapses.2_3.bias"] = torch.stack([params[f"{name}bias"] for name in into]).sum(0)
    own = {name: params[name] for name, _ in joined.named_parameters()}
    images = _randn(5, 1, 8, 8)
    outputs = torch.func.functional_call(joined, own, (images,))
    torch.testing.assert_close(outputs, summed(images), rtol=1e-12, atol=1e-12)


def test_a_sum_of_maps_that_are_zero_is_no_skip():
    summed, plain = _classifier(skips="sum"), _classifier(skips="none")
    params = {name: tensor.detach() for name, tensor in summed.named_parameters()}
    zeroed = {
        name: torch.zeros_like(tensor) if "synapses.0_3" in name or "synapses.1_3" in name else tensor
        for name, tensor in params.items()
    }
    own = {name: params[name] for name, _ in plain.named_parameters()}
    images = _randn(5, 1, 8, 8)
    with_zeros = torch.func.functional_call(summed, zeroed, (images,))
    torch.testing.assert_close(with_zeros, torch.func.functional_call(plain, own, (images,)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sharing", ["network", "layer"])
def test_classes_are_symmetrical(sharing: str):
    network = _classifier(sharing=sharing)
    order = [2, 0, 3, 1]
    params = {name: tensor.detach() for name, tensor in network.named_parameters()}
    permuted = {
        name: tensor.unflatten(-1, (4, 9))[..., order, :].flatten(-2) if "_3." in name else tensor
        for name, tensor in params.items()
    }
    images = _randn(5, 1, 8, 8)
    outputs = torch.func.functional_call(network, permuted, (images,))
    torch.testing.assert_close(outputs, network(images)[:, order], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("skips", "fan_ins"), [("sum", (2, 3, 12)), ("concatenation", (17, 17, 17))])
def test_synapses_start_within_the_bound_of_what_they_hear(skips: str, fan_ins: tuple[int, ...]):
    synapses = dict(_classifier(skips=skips).named_parameters())
    names = [f"head.synapses.{source}_3.weight" for source in (2, 1, 0)]
    for name, fan_in in zip(names if skips == "sum" else names[:1], fan_ins, strict=False):
        assert 0.7 * fan_in**-0.5 < synapses[name].abs().max() <= fan_in**-0.5


@pytest.mark.parametrize("skips", ["sum", "concatenation"])
def test_gradients_of_a_classifier_equal_finite_differences(skips: str):
    network = _classifier(skips=skips, phenotype=SMALL_CONV)
    names = [name for name, _ in network.named_parameters()]

    def logits(*tensors: Tensor):
        return torch.func.functional_call(network, dict(zip(names, tensors, strict=True)), (_randn(1, 1, 8, 8),))

    assert torch.autograd.gradcheck(logits, tuple(network.parameters()), fast_mode=True)


def test_channels_that_are_no_square_are_refused():
    with pytest.raises(ValueError, match="square number of channels"):
        _classifier(num_channels=8)


def _autoencoder(**options: Any):
    generator = _seeded()
    trunk = InputDANs((1, 6, 6), maps=(2, 2), generator=generator)
    settings: dict[str, Any] = {"hidden_sizes": (3, 2, 4), "num_channels": 9, "phenotype": SMALL_CONV}
    return dan_autoencoder(trunk, **(settings | options), generator=generator).double()


def test_a_population_of_autoencoders_equals_the_equations_neuron_by_neuron():
    outputs, expected = _outputs_and_those_by_equations(_autoencoder(), (1, 6, 6))
    torch.testing.assert_close(outputs, expected, rtol=1e-12, atol=1e-12)


def test_the_autoencoders_code_hears_the_features_and_is_heard_by_the_pixels():
    head = _autoencoder().head
    assert isinstance(head, DANNetwork)
    assert head.layer_sizes == (8, 3, 2, 4, 36)
    assert [pair for pair in head.maps if pair[1] - pair[0] > 1] == [(0, 2), (2, 4)]


def test_the_papers_autoencoder_has_the_synapses_of_its_section_3_2():
    # What it leaves open of its two convolutions is chosen so that 784 features leave them.
    network = without_allocating(lambda: dan_autoencoder(InputDANs((1, 28, 28), maps=(16, 16), unit_rms=False)))
    channels = 100
    pairs = [(784, 120), (120, 100), (100, 120), (120, 784), (784, 100), (100, 784)]
    plastic = sum((inputs + 1) * neurons * channels for inputs, neurons in pairs)
    phenotype = (1 * 8 * 4 + 8) + (8 * 4 * 4 + 4) + (4 * 8 * 8 * 30 + 30) + (30 + 1)
    trunk = (9 * 16 + 16) + (16 * 9 * 16 + 16)
    assert count_parameters(network, network.is_innate) == (plastic, 4 * phenotype + trunk)
    assert plastic == 37_096_800


def test_an_even_number_of_hidden_layers_makes_no_autoencoder():
    with pytest.raises(ValueError, match="odd number"):
        _autoencoder(hidden_sizes=(3, 2))


def test_the_classifier_of_the_authors_script_has_their_number_of_parameters():
    network = without_allocating(classifiers.authors)
    assert count_parameters(network, network.is_innate) == (5_196_000, 8_692_696)
    assert all(tensor.is_meta for tensor in network.parameters())


@pytest.mark.parametrize("build", [classifiers.classifier, classifiers.medium])
def test_a_count_without_allocating_is_that_of_the_real_network(build: Any):
    real, told = build(), without_allocating(build)
    sizes = [sum(p.numel() for p in params.values()) for params in partition(real, real.is_innate)]
    assert count_parameters(told, told.is_innate) == tuple(sizes)


def test_the_same_generator_gives_the_same_logits():
    images = _randn(2, 1, 28, 28).float()
    one, other = (classifiers.classifier(generator=_seeded(4))(images) for _ in range(2))
    assert one.shape == (2, 25)
    assert torch.equal(one, other)


def test_counts_are_told_in_words():
    assert str(ParameterCounts(1200, 34)) == "1,200 plastic + 34 innate = 1,234 parameters"


def test_half_precision_goes_through_the_population_functions():
    network = _classifier(phenotype=SMALL_MLP)
    plastic, innate = _members(network, 2)
    images = _randn(2, 3, 1, 8, 8)
    exact = population_forward(network, plastic)(plastic, innate, images)
    prepare, forward = split_forward(network.to(torch.bfloat16), plastic, input_ndim=3)
    plastic, innate = ({name: t.to(torch.bfloat16) for name, t in params.items()} for params in (plastic, innate))
    logits = forward(plastic, innate, prepare(innate, images.to(torch.bfloat16)))
    assert logits.dtype == torch.bfloat16
    torch.testing.assert_close(logits.double(), exact, rtol=0.1, atol=0.1)


def test_a_network_of_concatenated_layers_is_not_for_the_fused_kernel():
    network = DANNetwork((2, 3, 3, 1), num_channels=4, skips=((0, 2),), joining="concatenation")
    plastic, _ = partition(network, network.is_innate)
    assert "map of its own" in (why_not_fused(network, plastic) or "")
