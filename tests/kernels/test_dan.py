"""Tests of the compiled kernel against plain PyTorch."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from hyperlearning.kernels import dan as dan_kernel
from hyperlearning.kernels.dan import Kernel, KernelSpec

PLAIN = KernelSpec((1, 16, 16, 1), ((0, 1), (1, 2), (2, 3)), 16, (15, 8), dtype=torch.float64)
SKIPS = dataclasses.replace(PLAIN, maps=((0, 1), (1, 2), (2, 3), (0, 2), (1, 3)))
WIDE = KernelSpec((1, 10, 9, 1), SKIPS.maps, 40, (15, 8), output_scale=0.5, dtype=torch.float64)
LINEAR = KernelSpec((3, 5, 4, 2), ((0, 2), (0, 1), (1, 3), (1, 2), (2, 3)), 5, (7,), False, 2.5, torch.float64)
NARROW = KernelSpec((2, 6, 3), ((0, 1), (1, 2)), 1, (9, 4, 3), dtype=torch.float64)
SPECS = {"plain": PLAIN, "skips": SKIPS, "wide": WIDE, "linear": LINEAR, "narrow": NARROW}
SINGLE = {name: dataclasses.replace(spec, dtype=torch.float32) for name, spec in SPECS.items()}

_REASON = dan_kernel.unsupported(PLAIN)
pytestmark = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))


@dataclasses.dataclass
class Case:
    """A network's parameters and data."""

    spec: KernelSpec
    synapses: list[Tensor]
    phenotype: list[Tensor]
    x: Tensor
    y_gradient: Tensor

    @property
    def inputs(self) -> list[Tensor]:
        """All tensors that gradients are taken of."""
        return [*self.synapses, *self.phenotype]

    def evaluate(self, kernel: Kernel) -> Tensor:
        """Output of the kernel."""
        maps = len(self.spec.maps)
        return kernel(self.synapses[:maps], self.synapses[maps:], self.phenotype, self.x)

    def gradients(self, kernel: Kernel) -> tuple[Tensor, ...]:
        """Gradients of the kernel."""
        return torch.autograd.grad(self.evaluate(kernel), self.inputs, self.y_gradient)

    def double(self) -> "Case":
        """The same values in double precision."""
        synapses = [tensor.detach().double().requires_grad_() for tensor in self.synapses]
        phenotype = [tensor.detach().double().requires_grad_() for tensor in self.phenotype]
        return Case(self.spec, synapses, phenotype, self.x.double(), self.y_gradient.double())


def make_case(spec: KernelSpec, members: int, batch: int) -> Case:
    """Draws parameters for which no layer saturates."""
    generator = torch.Generator().manual_seed(members + 7 * batch)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(spec.dtype)

    def parameter(*shape: int, fan_in: int = 9) -> Tensor:
        return (draw(*shape) / fan_in**0.5).requires_grad_()

    sizes, channels = spec.layer_sizes, spec.num_channels
    weights = [parameter(members, sizes[a], sizes[b] * channels, fan_in=sizes[a]) for a, b in spec.maps]
    biases = [parameter(members, sizes[b] * channels) for _, b in spec.maps]
    phenotype = []
    for fan_in, fan_out in zip(spec.widths[:-1], spec.widths[1:], strict=True):
        phenotype += [parameter(fan_in, fan_out, fan_in=fan_in), parameter(fan_out)]
    x, y_gradient = draw(members, batch, sizes[0]), draw(members, batch, sizes[-1])
    return Case(spec, [*weights, *biases], phenotype, x, y_gradient)


def expected_output(case: Case) -> Tensor:
    """Evaluates the network member by member with plain PyTorch."""
    return torch.stack([expected_member(case, member) for member in range(len(case.x))])


def expected_member(case: Case, member: int) -> Tensor:
    """Evaluates one member."""
    spec, maps = case.spec, len(case.spec.maps)
    outputs = [case.x[member]]
    for layer in range(1, len(spec.layer_sizes)):
        drive = torch.zeros(1, dtype=case.x.dtype)
        for i, (source, target) in enumerate(spec.maps):
            if target == layer:
                weight, bias = case.synapses[i][member], case.synapses[maps + i][member]
                drive = drive + outputs[source] @ weight + bias
        value = drive.reshape(-1, spec.layer_sizes[layer], spec.num_channels)
        outputs.append(expected_phenotype(case, value).squeeze(-1))
    return spec.output_scale * outputs[-1]


def expected_phenotype(case: Case, value: Tensor) -> Tensor:
    """Evaluates the phenotype on (batch, nodes, channels)."""
    weights, biases = case.phenotype[::2], case.phenotype[1::2]
    for k, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        value = value @ weight + bias
        if k < len(weights) or case.spec.output_tanh:
            value = torch.tanh(value)
    return value


def errors(actual: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Largest difference, relative to the largest magnitude of all expected tensors."""
    differences = [a.double() - e for a, e in zip(actual, expected, strict=True)]
    return largest(differences) / largest(expected)


def largest(tensors: Sequence[Tensor]) -> float:
    """Largest magnitude in all tensors."""
    return max(tensor.abs().max().item() for tensor in tensors)


def assert_matches_pytorch(spec: KernelSpec, batch: int, tolerance: float) -> None:
    """Compares outputs and gradients with plain PyTorch in double precision.

    Sums that cancel are as inaccurate in PyTorch: twice its own error is accepted as well.
    """
    case, kernel = make_case(spec, 3, batch), dan_kernel.build(spec)
    exact = case.double()
    mine, theirs, truth = (
        [output.detach(), *torch.autograd.grad(output, run.inputs, run.y_gradient)]
        for run, output in (
            (case, case.evaluate(kernel)),
            (case, expected_output(case)),
            (exact, expected_output(exact)),
        )
    )
    synapses = 1 + len(case.synapses)
    for part in (slice(1), slice(1, synapses), slice(synapses, None)):
        accepted = max(tolerance, 2 * errors(theirs[part], truth[part]))
        assert errors(mine[part], truth[part]) < accepted


@pytest.fixture
def restored_threads() -> Iterator[None]:
    """Restores the number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("batch", [1, 3, 7, 32, 77])
@pytest.mark.parametrize("name", SPECS)
def test_double_outputs_and_gradients_match_plain_pytorch(name: str, batch: int) -> None:
    assert_matches_pytorch(SPECS[name], batch, 1e-12)


@pytest.mark.parametrize("batch", [1, 3, 7, 32, 77])
@pytest.mark.parametrize("name", SINGLE)
def test_single_outputs_and_gradients_match_plain_pytorch(name: str, batch: int) -> None:
    assert_matches_pytorch(SINGLE[name], batch, 1e-6)


@pytest.mark.parametrize("batch", [1, 32])
def test_gradients_agree_whether_activations_are_kept_or_recomputed(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, kernel = make_case(SINGLE["skips"], 3, batch), dan_kernel.build(SINGLE["skips"])
    kept = case.gradients(kernel)
    monkeypatch.setattr(dan_kernel, "LARGEST_TAPE_BYTES", 0)
    recomputed = case.gradients(kernel)
    assert all(torch.equal(a, b) for a, b in zip(kept, recomputed, strict=True))


@pytest.mark.parametrize("batch", [1, 32, 77])
@pytest.mark.usefixtures("restored_threads")
def test_results_are_bit_identical_for_any_number_of_threads(batch: int) -> None:
    case, kernel = make_case(SINGLE["skips"], 37, batch), dan_kernel.build(SINGLE["skips"])
    results = []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        results.append([case.evaluate(kernel), *case.gradients(kernel)])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("batch", [1, 32])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_an_input_that_is_not_finite_gives_nan_outputs_for_its_sample(batch: int, value: float) -> None:
    case = make_case(SINGLE["skips"], 2, batch)
    case.x[1, -1] = value
    output = case.evaluate(dan_kernel.build(case.spec))
    assert output[1, -1].isnan().all()
    assert output[0].isfinite().all()
    assert output[1, :-1].isfinite().all()


@pytest.mark.parametrize("batch", [1, 32])
@pytest.mark.parametrize("index", range(10))
def test_a_nan_in_any_synapse_reaches_outputs_of_its_member_only(batch: int, index: int) -> None:
    case = make_case(SINGLE["skips"], 2, batch)
    case.synapses[index].detach()[1].view(-1)[-1] = float("nan")
    output = case.evaluate(dan_kernel.build(case.spec))
    assert output[1].isnan().all()
    assert output[0].isfinite().all()


@pytest.mark.parametrize("batch", [1, 32])
@pytest.mark.parametrize("index", range(6))
def test_a_nan_in_the_phenotype_reaches_all_outputs(batch: int, index: int) -> None:
    case = make_case(SINGLE["skips"], 2, batch)
    case.phenotype[index].detach().view(-1)[-1] = float("nan")
    assert case.evaluate(dan_kernel.build(case.spec)).isnan().all()


@pytest.mark.parametrize("batch", [1, 32])
def test_a_nan_output_gradient_gives_nan_gradients(batch: int) -> None:
    case = make_case(SINGLE["skips"], 2, batch)
    case.y_gradient[0, 0] = float("nan")
    gradients = case.gradients(dan_kernel.build(case.spec))
    assert all(gradient.isnan().any() for gradient in gradients)


@pytest.mark.parametrize("batch", [1, 32])
@pytest.mark.parametrize("index", [0, 7, 10, 15])
def test_asking_for_one_gradient_gives_the_same_as_asking_for_all(batch: int, index: int) -> None:
    case, kernel = make_case(SKIPS, 3, batch), dan_kernel.build(SKIPS)
    (alone,) = torch.autograd.grad(case.evaluate(kernel), case.inputs[index], case.y_gradient)
    torch.testing.assert_close(alone, case.gradients(kernel)[index], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("group", ["synapses", "phenotype"])
def test_backward_computes_only_the_group_of_gradients_that_is_needed(
    group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, kernel = make_case(SKIPS, 3, 1), dan_kernel.build(SKIPS)
    wanted = getattr(case, group)
    for tensor in case.inputs:
        tensor.requires_grad_(any(tensor is other for other in wanted))
    calls = []
    monkeypatch.setattr(kernel, "_run_backward", lambda *args: calls.append(args))
    torch.autograd.grad(case.evaluate(kernel), wanted, case.y_gradient)
    *_, synapses, phenotype = calls[0]
    assert (synapses is not None) == (group == "synapses")
    assert (phenotype is not None) == (group == "phenotype")


@pytest.mark.parametrize("batch", [1, 7, 32])
@pytest.mark.parametrize("group", ["synapses", "phenotype"])
def test_gradients_of_one_group_do_not_depend_on_the_other_being_wanted(group: str, batch: int) -> None:
    case, kernel = make_case(NARROW, 3, batch), dan_kernel.build(NARROW)
    wanted = getattr(case, group)
    both = torch.autograd.grad(case.evaluate(kernel), wanted, case.y_gradient)
    for tensor in case.inputs:
        tensor.requires_grad_(any(tensor is other for other in wanted))
    alone = torch.autograd.grad(case.evaluate(kernel), wanted, case.y_gradient)
    assert all(torch.equal(a, b) for a, b in zip(both, alone, strict=True))


def test_synapses_shared_by_expansion_are_accepted() -> None:
    case, kernel = make_case(SKIPS, 1, 32), dan_kernel.build(SKIPS)
    maps = len(SKIPS.maps)
    synapses = [tensor.detach().expand(3, *tensor.shape[1:]) for tensor in case.synapses]
    x = case.x.expand(3, -1, -1)
    output = kernel(synapses[:maps], synapses[maps:], case.phenotype, x)
    assert torch.equal(output, case.evaluate(kernel).expand(3, -1, -1))


def test_an_input_that_requires_a_gradient_is_refused() -> None:
    case = make_case(PLAIN, 2, 3)
    case.x.requires_grad_()
    with pytest.raises(ValueError, match="requires a gradient"):
        case.evaluate(dan_kernel.build(PLAIN))


def test_a_tensor_of_another_dtype_is_refused() -> None:
    case = make_case(PLAIN, 2, 3)
    case.phenotype[0] = case.phenotype[0].detach().float()
    with pytest.raises(ValueError, match=r"float64 .* but got torch\.float32"):
        case.evaluate(dan_kernel.build(PLAIN))


@pytest.mark.parametrize("index", [0, 3, 6])
def test_a_tensor_of_another_shape_is_refused(index: int) -> None:
    case = make_case(PLAIN, 2, 3)
    tensors = case.inputs
    tensors[index] = tensors[index].detach()[..., :-1]
    with pytest.raises(ValueError, match="shape"):
        dan_kernel.build(PLAIN)(tensors[:3], tensors[3:6], tensors[6:], case.x)


@pytest.mark.parametrize(("spec", "tolerance"), [(SINGLE["plain"], 2e-7), (PLAIN, 1e-15)])
def test_tanh_is_accurate_over_a_dense_grid(spec: KernelSpec, tolerance: float) -> None:
    x = torch.linspace(-25, 25, 2_000_001, dtype=torch.float64).to(spec.dtype)
    error = dan_kernel.build(spec).tanh(x).double() - torch.tanh(x.double())
    assert error.abs().max() < tolerance


@pytest.mark.parametrize("spec", [SINGLE["plain"], PLAIN])
def test_tanh_keeps_its_relative_accuracy_for_small_values(spec: KernelSpec) -> None:
    x = torch.logspace(-30, 0, 10_001, dtype=torch.float64).to(spec.dtype)
    error = dan_kernel.build(spec).tanh(x).double() / torch.tanh(x.double()) - 1
    assert error.abs().max() < 4 * torch.finfo(spec.dtype).eps


@pytest.mark.parametrize("spec", [SINGLE["plain"], PLAIN])
def test_tanh_of_huge_values_is_one_and_of_nan_is_nan(spec: KernelSpec) -> None:
    huge = torch.finfo(spec.dtype).max
    x = torch.tensor([100, 1e5, huge, float("inf")], dtype=spec.dtype)
    kernel = dan_kernel.build(spec)
    assert kernel.tanh(x).tolist() == [1] * 4
    assert kernel.tanh(-x).tolist() == [-1] * 4
    assert kernel.tanh(torch.full((3,), float("nan"), dtype=spec.dtype)).isnan().all()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dtype": torch.float16}, "dtype"),
        ({"hidden_sizes": ()}, "hidden"),
        ({"maps": ((0, 1), (2, 3))}, "map into"),
        ({"maps": ((0, 1), (1, 2), (2, 3), (3, 1))}, "later"),
        ({"maps": ((0, 1), (0, 1), (1, 2), (2, 3))}, "distinct"),
        ({"layer_sizes": (1, 0, 1, 1)}, "positive"),
    ],
)
def test_unsupported_networks_are_refused_with_a_reason(changes: dict[str, object], reason: str) -> None:
    spec = dataclasses.replace(PLAIN, **changes)
    assert reason in (dan_kernel.unsupported(spec) or "")
    with pytest.raises(ValueError, match=reason):
        dan_kernel.build(spec)


def test_a_missing_compiler_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dan_kernel.shutil, "which", lambda _: None)
    assert "no C++ compiler" in (dan_kernel.unsupported(PLAIN) or "")


def test_a_failing_compiler_raises_its_message_and_leaves_no_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setenv("HYPERLEARNING_CACHE", str(tmp_path))
    monkeypatch.setattr(dan_kernel, "FLAGS", ("-fno-such-flag",))
    with pytest.raises(RuntimeError, match="no-such-flag"):
        assert isinstance(dan_kernel.build.__wrapped__(PLAIN), dan_kernel.Kernel)
    assert list((tmp_path / "kernels").iterdir()) == []


def test_a_kernel_is_compiled_once_and_loaded_from_the_cache_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dan_kernel.build(PLAIN)
    monkeypatch.setattr(dan_kernel, "_compile", lambda *_: pytest.fail("compiled again"))
    assert isinstance(dan_kernel.build.__wrapped__(PLAIN), dan_kernel.Kernel)
