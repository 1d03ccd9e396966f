"""Tests of the compiled population of convolutional classifiers against plain PyTorch."""

import dataclasses
import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from hyperlearning.kernels import classifiers
from hyperlearning.kernels.classifiers import ClassifierKernel, ClassifierSpec, Examples

USUAL = ClassifierSpec(channels=1, side=28, maps=(10, 20), kernel_size=5, units=(50, 2), dtype=torch.float64)
ODD = ClassifierSpec(channels=3, side=15, maps=(5, 9), kernel_size=2, units=(7, 11, 4), dtype=torch.float64)
BARE = ClassifierSpec(channels=2, side=4, maps=(3,), kernel_size=3, units=(3,), dtype=torch.float64)
SPECS = {"usual": USUAL, "odd": ODD, "bare": BARE}
SIZES, BATCHES = (40, 7, 23), (33, 1, 20)
"""Examples of each member, and how many are a batch: more than a chunk, one, and some."""

_REASON = classifiers.unsupported(USUAL)
pytestmark = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))
every_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def module_of(spec: ClassifierSpec) -> nn.Sequential:
    layers, maps, units = [], (spec.channels, *spec.maps), (spec.maps[-1] * spec.side_left**2, *spec.units)
    for a, b in itertools.pairwise(maps):
        layers += [nn.Conv2d(a, b, spec.kernel_size), nn.MaxPool2d(2), nn.ReLU()]
    layers.append(nn.Flatten())
    for a, b in itertools.pairwise(units):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).to(spec.dtype)


def draw(spec: ClassifierSpec) -> tuple[ClassifierKernel, Tensor, Examples, list[Tensor]]:
    source, kernel = torch.Generator().manual_seed(0), classifiers.build(spec)
    weights = torch.randn(len(SIZES), spec.size, generator=source, dtype=torch.float64).to(spec.dtype) / 5
    shape = (spec.channels, spec.side, spec.side)
    images = [torch.randn(size, *shape, generator=source, dtype=torch.float64).to(spec.dtype) for size in SIZES]
    labels = [torch.randint(spec.units[-1], (size,), generator=source) for size in SIZES]
    places = [torch.randperm(n, generator=source)[:size] for n, size in zip(SIZES, BATCHES, strict=True)]
    return kernel, weights, kernel.examples(images, labels), places


def by_pytorch(spec: ClassifierSpec, weights: Tensor, examples: Examples, places: list[Tensor]) -> list[Tensor]:
    """Losses and gradients of all members."""
    losses, gradients, module = [], [], module_of(spec)
    for row, images, labels, own in zip(weights, examples.images, examples.labels, places, strict=True):
        vector_to_parameters(row.clone(), module.parameters())
        loss = cross_entropy(module(images[own]), labels[own])
        gradients.append(parameters_to_vector(torch.autograd.grad(loss, list(module.parameters()))))
        losses.append(loss.detach())
    return [torch.stack(losses), torch.stack(gradients)]


@every_spec
def test_losses_and_gradients_are_those_of_pytorch(spec: ClassifierSpec):
    kernel, weights, examples, places = draw(spec)
    expected = by_pytorch(spec, weights, examples, places)
    for got, wanted in zip(kernel.gradients(weights, examples, places), expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-14)


@every_spec
def test_in_single_precision_losses_and_gradients_are_those_of_double_up_to_rounding(spec: ClassifierSpec):
    kernel, weights, examples, places = draw(dataclasses.replace(spec, dtype=torch.float32))
    doubled = classifiers.build(spec).examples([images.double() for images in examples.images], examples.labels)
    expected = by_pytorch(spec, weights.double(), doubled, places)
    for got, wanted in zip(kernel.gradients(weights, examples, places), expected, strict=True):
        assert float((got - wanted).norm() / wanted.norm()) < 1e-5


@every_spec
def test_logits_are_those_of_pytorch(spec: ClassifierSpec):
    kernel, weights, examples, _ = draw(spec)
    module = module_of(spec)
    for row, images, logits in zip(weights, examples.images, kernel.logits(weights, examples.images), strict=True):
        vector_to_parameters(row.clone(), module.parameters())
        torch.testing.assert_close(logits, module(images).detach(), rtol=1e-12, atol=1e-13)


def test_descent_is_that_of_pytorchs_sgd_with_momentum_and_a_pull():
    kernel, weights, examples, places = draw(ODD)
    towards, moved, velocities = weights.mean(0), weights.clone(), torch.zeros_like(weights)
    reference = nn.Parameter(weights.clone())
    sgd = torch.optim.SGD([reference], lr=0.1, momentum=0.5)
    for _ in range(3):
        kernel.descend(moved, velocities, examples, places, lr=0.1, momentum=0.5, pull=30.0, towards=towards)
        _, gradients = by_pytorch(ODD, reference.detach(), examples, places)
        reference.grad = gradients + 2 * 30.0 / ODD.size * (reference.detach() - towards)
        sgd.step()
    torch.testing.assert_close(moved, reference.detach(), rtol=1e-12, atol=1e-13)


def test_fewer_members_than_examples_are_the_first_ones():
    kernel, weights, examples, places = draw(BARE)
    _, all_three = kernel.gradients(weights, examples, places)
    _, two = kernel.gradients(weights[:2], examples, places[:2])
    assert torch.equal(two, all_three[:2])


def test_a_tie_in_a_window_goes_to_its_first_position_as_in_pytorch():
    kernel, weights, _, _ = draw(BARE)
    flat = kernel.examples([torch.ones(2, 2, 4, 4, dtype=torch.float64)] * 3, [torch.zeros(2, dtype=torch.int64)] * 3)
    places = [torch.arange(2)] * 3
    _, expected = by_pytorch(BARE, weights, flat, places)
    torch.testing.assert_close(kernel.gradients(weights, flat, places)[1], expected, rtol=1e-12, atol=1e-14)


def test_a_member_that_has_diverged_stays_so_and_leaves_the_others_alone():
    kernel, weights, examples, places = draw(USUAL)
    _, expected = kernel.gradients(weights, examples, places)
    weights[1] = float("nan")
    losses, gradients = kernel.gradients(weights, examples, places)
    assert losses[1].isnan()
    assert torch.equal(gradients[[0, 2]], expected[[0, 2]])


@pytest.mark.parametrize("place", [-1, SIZES[0]])
def test_a_place_beyond_the_examples_is_refused(place: int):
    kernel, weights, examples, places = draw(BARE)
    places[0] = torch.tensor([0, place])
    with pytest.raises(ValueError, match="Expected `places`"):
        kernel.gradients(weights, examples, places)


def test_a_label_beyond_the_logits_is_refused():
    kernel, weights, examples, places = draw(BARE)
    wrong = kernel.examples(examples.images, [torch.full_like(labels, 3) for labels in examples.labels])
    with pytest.raises(ValueError, match="Expected `labels` to be from 0 to 2"):
        kernel.gradients(weights, wrong, places)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"maps": ()}, "at least one convolution"),
        ({"units": (0,)}, "positive"),
        ({"side": 9}, "too small"),
        ({"units": (2000, 2)}, "KiB"),
        ({"dtype": torch.float16}, "float16"),
    ],
)
def test_an_architecture_without_a_kernel_says_why(change: dict[str, object], reason: str):
    spec = dataclasses.replace(USUAL, **change)
    assert reason in (classifiers.unsupported(spec) or "")
    with pytest.raises(ValueError, match="Expected `spec` to be supported"):
        classifiers.build(spec)
