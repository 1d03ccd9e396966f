"""Tests of the compiled convolutional phenotype against plain PyTorch."""

import dataclasses
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.bounds import check_within, conditioned
from torch import Tensor
from torch.func import functional_call

from hyperlearning.core.params import Params
from hyperlearning.kernels import convolution as conv_kernel
from hyperlearning.kernels.convolution import ConvKernelSpec
from hyperlearning.networks.dan.conv_phenotype import ConvPhenotype

USUAL = ConvKernelSpec(num_channels=16, maps=(8, 8), kernel_size=2, hidden_sizes=(16,), dtype=torch.float64)
ODD = ConvKernelSpec(
    num_channels=25,
    maps=(5, 3),
    kernel_size=3,
    hidden_sizes=(7, 9),
    input_activation=True,
    output_activation=True,
    dtype=torch.float64,
)
BARE = ConvKernelSpec(num_channels=9, maps=(3,), kernel_size=2, hidden_sizes=(), dtype=torch.float64)
SPECS = {"usual": USUAL, "odd": ODD, "bare": BARE}
SINGLE = dataclasses.replace(USUAL, dtype=torch.float32)

_REASON = conv_kernel.unsupported(USUAL)
pytestmark = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))


def make_phenotype(spec: ConvKernelSpec) -> ConvPhenotype:
    return ConvPhenotype(
        spec.num_channels,
        maps=spec.maps,
        kernel_size=spec.kernel_size,
        hidden_sizes=spec.hidden_sizes,
        input_activation=spec.input_activation,
        output_activation=spec.output_activation,
        generator=torch.Generator().manual_seed(1),
    ).to(spec.dtype)


def parameters_of(phenotype: ConvPhenotype) -> list[Tensor]:
    convolutions = zip(phenotype.conv_weights, phenotype.conv_biases, strict=True)
    dense = zip(phenotype.weights, phenotype.biases, strict=True)
    return [tensor for layer in (*convolutions, *dense) for tensor in layer]


def draw(spec: ConvKernelSpec, *shape: int, seed: int = 2) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=source, dtype=torch.float64).to(spec.dtype)


def outputs_and_gradients(spec: ConvKernelSpec, drive: Tensor) -> list[Tensor]:
    """Of the kernel: the outputs, then gradients of the drive and of all parameters."""
    parameters, drive = parameters_of(make_phenotype(spec)), drive.detach().requires_grad_()
    output = conv_kernel.build(spec)(parameters, drive)
    return [output.detach(), *torch.autograd.grad(output, [drive, *parameters], draw(spec, *drive.shape[:-1], seed=3))]


def named(tensors: Sequence[Tensor]) -> Params:
    return {str(i): tensor.detach() for i, tensor in enumerate(tensors) if tensor.numel()}


def check_against_pytorch(spec: ConvKernelSpec, drive: Tensor) -> None:
    """Compares outputs and gradients with those of plain PyTorch in double precision."""
    phenotype = make_phenotype(spec).double()
    names = [
        name
        for kinds in (("conv_weights", "conv_biases"), ("weights", "biases"))
        for name in _alternating(phenotype, kinds)
    ]

    def by_pytorch(numbers: Params) -> Params:
        gradient, drive, *parameters = (tensor.detach().requires_grad_() for tensor in numbers.values())
        output = functional_call(phenotype, dict(zip(names, parameters, strict=True)), (drive,))
        return named([output, *torch.autograd.grad(output, [drive, *parameters], gradient.detach())])

    # There and back through sums of so many terms; a weight's gradient is a sum over all items and pixels.
    terms = sum(shape[1:].numel() if len(shape) == 4 else shape[0] for shape in spec.shapes[::2])
    operations = 2 * (terms + 3 * len(spec.shapes)) + drive[..., 0].numel() * spec.num_channels
    gradient = draw(spec, *drive.shape[:-1], seed=3)
    numbers = dict(enumerate([gradient, drive, *parameters_of(make_phenotype(spec))]))
    numbers = {str(i): tensor.detach() for i, tensor in numbers.items()}
    exact, bounds = conditioned(by_pytorch, numbers, spec.dtype, operations)
    check_within(named(outputs_and_gradients(spec, drive)), exact, bounds)


def _alternating(phenotype: ConvPhenotype, kinds: tuple[str, str]) -> list[str]:
    return [f"{kind}.{i}" for i in range(len(getattr(phenotype, kinds[0]))) for kind in kinds]


@settings(max_examples=12)
@given(
    spec=st.sampled_from(list(SPECS.values())),
    shape=st.one_of(
        st.sampled_from([(0,), (1,), (7,), (8,), (9,), (15,), (16,), (17,), (257,)]),
        st.lists(st.integers(0, 5), min_size=0, max_size=3).map(tuple),
    ),
)
def test_double_outputs_and_gradients_match_plain_pytorch(spec: ConvKernelSpec, shape: tuple[int, ...]) -> None:
    check_against_pytorch(spec, draw(spec, *shape, spec.num_channels))


@pytest.mark.parametrize("items", [1, 17, 600])
def test_single_outputs_and_gradients_match_plain_pytorch(items: int) -> None:
    check_against_pytorch(SINGLE, draw(SINGLE, items, SINGLE.num_channels))


def test_gradients_match_finite_differences() -> None:
    parameters = [tensor.detach().requires_grad_() for tensor in parameters_of(make_phenotype(BARE))]
    drive = draw(BARE, 5, BARE.num_channels).requires_grad_()
    kernel = conv_kernel.build(BARE)
    assert torch.autograd.gradcheck(lambda x, *rest: kernel(rest, x), (drive, *parameters))


def test_a_drive_that_is_not_contiguous_gives_the_same_as_its_copy() -> None:
    drive = draw(USUAL, USUAL.num_channels, 4, 6).permute(2, 1, 0)
    assert not drive.is_contiguous()
    pairs = zip(outputs_and_gradients(USUAL, drive), outputs_and_gradients(USUAL, drive.contiguous()), strict=True)
    assert all(torch.equal(own, expected) for own, expected in pairs)


def test_gradients_that_are_expanded_are_read_as_such() -> None:
    drive, parameters = draw(USUAL, 20, USUAL.num_channels).requires_grad_(), parameters_of(make_phenotype(USUAL))
    output = conv_kernel.build(USUAL)(parameters, drive)
    (own,) = torch.autograd.grad(output.sum(), drive, retain_graph=True)
    (expected,) = torch.autograd.grad(output, drive, torch.ones(20, dtype=torch.float64))
    assert torch.equal(own, expected)


@pytest.mark.parametrize("items", [1, 17, 600])
def test_gradients_are_the_same_whether_activations_are_kept_or_recomputed(
    items: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = draw(SINGLE, items, SINGLE.num_channels)
    kept = outputs_and_gradients(SINGLE, drive)
    monkeypatch.setattr(conv_kernel, "LARGEST_TAPE_BYTES", 0)
    recomputed = outputs_and_gradients(SINGLE, drive)
    assert all(torch.equal(a, b) for a, b in zip(kept, recomputed, strict=True))


@pytest.mark.parametrize("wanted", ["drive", "parameters"])
def test_backward_computes_only_what_requires_a_gradient(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = conv_kernel.build(USUAL)
    parameters = [tensor.requires_grad_(wanted == "parameters") for tensor in parameters_of(make_phenotype(USUAL))]
    drive = draw(USUAL, 20, USUAL.num_channels).requires_grad_(wanted == "drive")
    calls = []
    monkeypatch.setattr(kernel._library, "conv_backward", lambda *args: calls.append(args) or 0)
    kernel(parameters, drive).sum().backward()
    *_, to_drive, to_parameters, _ = calls[0]
    assert (to_drive is not None, to_parameters is not None) == (wanted == "drive", wanted == "parameters")


@pytest.mark.parametrize("wanted", ["drive", "parameters"])
def test_gradients_of_one_kind_do_not_depend_on_the_other_being_wanted(wanted: str) -> None:
    drive = draw(USUAL, 20, USUAL.num_channels)
    _, *both = outputs_and_gradients(USUAL, drive)
    parameters = [tensor.requires_grad_(wanted == "parameters") for tensor in parameters_of(make_phenotype(USUAL))]
    drive.requires_grad_(wanted == "drive")
    leaves = [drive] if wanted == "drive" else parameters
    alone = torch.autograd.grad(conv_kernel.build(USUAL)(parameters, drive), leaves, draw(USUAL, 20, seed=3))
    assert all(torch.equal(a, b) for a, b in zip(alone, both[:1] if wanted == "drive" else both[1:], strict=True))


def test_second_derivatives_are_refused() -> None:
    drive = draw(USUAL, 3, USUAL.num_channels).requires_grad_()
    output = conv_kernel.build(USUAL)(parameters_of(make_phenotype(USUAL)), drive)
    (gradient,) = torch.autograd.grad(output.square().sum(), drive, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_a_nan_reaches_the_output_of_its_item_only() -> None:
    drive = draw(USUAL, 20, USUAL.num_channels)
    drive[3, 5] = float("nan")
    output = conv_kernel.build(USUAL)([t.detach() for t in parameters_of(make_phenotype(USUAL))], drive)
    assert output.isnan().nonzero().tolist() == [[3]]


def test_tensors_that_do_not_fit_are_refused() -> None:
    kernel, parameters = conv_kernel.build(USUAL), parameters_of(make_phenotype(USUAL))
    drive = draw(USUAL, 4, USUAL.num_channels)
    with pytest.raises(ValueError, match="drive"):
        kernel(parameters, drive[:, :-1])
    with pytest.raises(ValueError, match="8 tensors"):
        kernel(parameters[:-1], drive)
    with pytest.raises(ValueError, match="shape"):
        kernel([*parameters[:-1], draw(USUAL, 2)], drive)
    with pytest.raises(ValueError, match=r"float64 on cpu, but got torch\.float32"):
        kernel(parameters, drive.float())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dtype": torch.float16}, "dtype"),
        ({"maps": ()}, "no convolution"),
        ({"maps": (8, 0)}, "positive"),
        ({"num_channels": 15}, "square"),
        ({"kernel_size": 4}, "large enough"),
        ({"num_channels": 100, "maps": (16, 8), "hidden_sizes": (4000, 30)}, "KiB"),
    ],
)
def test_unsupported_phenotypes_are_refused_with_a_reason(changes: dict[str, object], reason: str) -> None:
    spec = dataclasses.replace(USUAL, **changes)
    assert reason in (conv_kernel.unsupported(spec) or "")
    with pytest.raises(ValueError, match=reason):
        conv_kernel.build(spec)
