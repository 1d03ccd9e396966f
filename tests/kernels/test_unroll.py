"""Tests of the unrolled kernel against plain PyTorch."""

import dataclasses
import functools
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from hyperlearning.kernels import unroll as dan_unroll
from hyperlearning.kernels.dan import KernelSpec, unsupported
from hyperlearning.kernels.unroll import UnrolledSGD, build_unrolled
from hyperlearning.networks.dan.fused import FusedForward
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.networks.dan.phenotypes import MLPPhenotype

SKIPS = KernelSpec((1, 6, 5, 1), ((0, 1), (1, 2), (0, 2), (2, 3), (1, 3)), 16, (15, 8), dtype=torch.float64)
WIDE = KernelSpec((1, 4, 3, 1), ((0, 1), (1, 2), (2, 3)), 40, (15, 8), output_scale=0.5, dtype=torch.float64)
LINEAR = KernelSpec((3, 5, 4, 2), SKIPS.maps, 5, (7,), False, 2.5, torch.float64)
NARROW = KernelSpec((2, 6, 3), ((0, 1), (1, 2)), 1, (9, 4, 3), dtype=torch.float64)
SPECS = {"skips": SKIPS, "wide": WIDE, "linear": LINEAR, "narrow": NARROW}
WINDOWS = ((1, 1), (7, 1), (7, 3), (40, 1))
LR = 0.05

_REASON = unsupported(SKIPS)
pytestmark = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))


@dataclasses.dataclass
class Case:
    """A population, its data, and what is made of the synapses that it ends with."""

    spec: KernelSpec
    synapses: list[Tensor]
    phenotype: list[Tensor]
    x: Tensor
    y: Tensor

    @property
    def inputs(self) -> list[Tensor]:
        return [*self.synapses, *self.phenotype]

    def unroll(self, kernel: UnrolledSGD) -> tuple[list[Tensor], Tensor]:
        maps = len(self.spec.maps)
        start = (self.synapses[:maps], self.synapses[maps:], self.phenotype)
        weights, biases, losses = kernel(*start, self.x, self.y, LR)
        return [*weights, *biases], losses

    def to(self, dtype: torch.dtype) -> "Case":
        synapses = [tensor.detach().to(dtype).requires_grad_() for tensor in self.synapses]
        phenotype = [tensor.detach().to(dtype).requires_grad_() for tensor in self.phenotype]
        spec = dataclasses.replace(self.spec, dtype=dtype)
        return Case(spec, synapses, phenotype, self.x.to(dtype), self.y.to(dtype))


def make_case(spec: KernelSpec, steps: int = 7, batch: int = 1, members: int = 3) -> Case:
    generator = torch.Generator().manual_seed(steps + 7 * batch)

    def draw(*shape: int) -> Tensor:
        # Values of single precision, so that both precisions start from the same ones.
        return torch.randn(*shape, generator=generator, dtype=torch.float32).to(spec.dtype)

    def parameter(*shape: int, fan_in: int) -> Tensor:
        return (draw(*shape) / fan_in**0.5).float().to(spec.dtype).requires_grad_()

    sizes, channels = spec.layer_sizes, spec.num_channels
    weights = [parameter(members, sizes[a], sizes[b] * channels, fan_in=sizes[a]) for a, b in spec.maps]
    biases = [parameter(members, sizes[b] * channels, fan_in=9) for _, b in spec.maps]
    phenotype = []
    for fan_in, fan_out in zip(spec.widths[:-1], spec.widths[1:], strict=True):
        phenotype += [parameter(fan_in, fan_out, fan_in=fan_in), parameter(fan_out, fan_in=9)]
    x, y = draw(steps, members, batch, sizes[0]), draw(steps, members, batch, sizes[-1])
    return Case(spec, [*weights, *biases], phenotype, x, y)


def make_network(spec: KernelSpec) -> DANNetwork:
    phenotype = functools.partial(
        MLPPhenotype,
        hidden_sizes=spec.hidden_sizes,
        output_activation="tanh" if spec.output_tanh else "identity",
    )
    network = DANNetwork(
        spec.layer_sizes,
        num_channels=spec.num_channels,
        phenotype=phenotype,
        skips=[(a, b) for a, b in spec.maps if b > a + 1],
        output_scale=spec.output_scale,
        fold=False,
    )
    return network.to(spec.dtype)


def synapse_names(spec: KernelSpec) -> list[str]:
    return [f"synapses.{a}_{b}.{kind}" for kind in ("weight", "bias") for a, b in spec.maps]


def phenotype_names(spec: KernelSpec) -> list[str]:
    depth = len(spec.hidden_sizes) + 1
    return [f"phenotypes.0.{kind}.{i}" for i in range(depth) for kind in ("weights", "biases")]


def expected_unroll(case: Case) -> tuple[list[Tensor], Tensor]:
    """The same steps with plain PyTorch."""
    network, names = make_network(case.spec), synapse_names(case.spec)
    innate = dict(zip(phenotype_names(case.spec), case.phenotype, strict=True))
    synapses, losses = case.synapses, []
    for x, y in zip(case.x, case.y, strict=True):
        plastic = dict(zip(names, synapses, strict=True))
        loss = (functional_call(network, {**plastic, **innate}, (x,)) - y).square().mean((1, 2))
        gradients = torch.autograd.grad(loss.sum(), synapses, create_graph=True)
        synapses = [tensor - LR * gradient for tensor, gradient in zip(synapses, gradients, strict=True)]
        losses.append(loss.detach())
    return synapses, torch.stack(losses)


def objective(synapses: list[Tensor]) -> Tensor:
    """A nonlinear function of all numbers, whose weights differ."""
    generator = torch.Generator().manual_seed(0)
    factors = [torch.randn(t.shape, generator=generator, dtype=torch.float32).to(t.dtype) for t in synapses]
    return sum(((f * t).sin() + f * t * t).sum() for f, t in zip(factors, synapses, strict=True))


def everything(case: Case, unroll: Callable[[Case], tuple[list[Tensor], Tensor]]) -> dict[str, list[Tensor]]:
    synapses, losses = unroll(case)
    gradients = torch.autograd.grad(objective(synapses), case.inputs)
    count = len(case.synapses)
    return {
        "final": [tensor.detach() for tensor in synapses],
        "losses": [losses],
        "start": list(gradients[:count]),
        "phenotype": list(gradients[count:]),
    }


def by_kernel(case: Case) -> dict[str, list[Tensor]]:
    kernel = build_unrolled(case.spec)
    return everything(case, lambda c: c.unroll(kernel))


def error(actual: list[Tensor], expected: list[Tensor]) -> float:
    """Largest difference, relative to the largest magnitude of all expected tensors."""
    largest = max(float(e.double().abs().max()) for e in expected)
    differences = [float((a.double() - e.double()).abs().max()) for a, e in zip(actual, expected, strict=True)]
    return max(differences) / largest


@pytest.fixture(name="threads")
def _threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize(("steps", "batch"), WINDOWS)
@pytest.mark.parametrize("name", SPECS)
def test_in_double_precision_it_equals_automatic_differentiation_of_the_same_steps(name: str, steps: int, batch: int):
    case = make_case(SPECS[name], steps, batch)
    actual, expected = by_kernel(case), everything(case, expected_unroll)
    for part in expected:
        assert error(actual[part], expected[part]) < 1e-11, part


@pytest.mark.parametrize(("steps", "batch"), WINDOWS)
@pytest.mark.parametrize("name", SPECS)
def test_in_single_precision_it_is_about_as_exact_as_plain_pytorch(name: str, steps: int, batch: int):
    case = make_case(SPECS[name], steps, batch)
    single = case.to(torch.float32)
    actual, expected, plain = by_kernel(single), everything(case, expected_unroll), everything(single, expected_unroll)
    for part in expected:
        # Windows that amplify differences do so to both.
        assert error(actual[part], expected[part]) < 1e-5 + 3 * error(plain[part], expected[part]), part


@pytest.mark.parametrize("name", SPECS)
def test_gradients_equal_finite_differences(name: str):
    case, kernel = make_case(SPECS[name], steps=7), build_unrolled(SPECS[name])
    gradients = torch.autograd.grad(objective(case.unroll(kernel)[0]), case.inputs)
    generator = torch.Generator().manual_seed(1)
    direction = [torch.randn(t.shape, generator=generator, dtype=t.dtype) for t in case.inputs]

    def moved(distance: float) -> float:
        with torch.no_grad():
            inputs = [t + distance * d for t, d in zip(case.inputs, direction, strict=True)]
            count = len(case.synapses)
            other = dataclasses.replace(case, synapses=inputs[:count], phenotype=inputs[count:])
            return float(objective(other.unroll(kernel)[0]))

    step = 1e-4
    slope = (8 * (moved(step) - moved(-step)) - (moved(2 * step) - moved(-2 * step))) / (12 * step)
    expected = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))
    assert slope == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_number_of_threads_does_not_change_a_bit(dtype: torch.dtype, threads: Callable[[int], None]):
    case = make_case(SKIPS, steps=40, members=7).to(dtype)
    results = []
    for count in (1, 2, 4):
        threads(count)
        results.append([tensor for part in by_kernel(case).values() for tensor in part])
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))


def test_members_do_not_depend_on_their_neighbours():
    case = make_case(LINEAR, steps=7, batch=3)
    final, losses = case.unroll(build_unrolled(LINEAR))
    alone = Case(LINEAR, [t[1:2] for t in case.synapses], case.phenotype, case.x[:, 1:2], case.y[:, 1:2])
    final_alone, losses_alone = alone.unroll(build_unrolled(LINEAR))
    assert torch.equal(losses[:, 1:2], losses_alone)
    assert all(torch.equal(a[1:2], b) for a, b in zip(final, final_alone, strict=True))


def test_no_state_is_kept_unless_a_gradient_is_required(monkeypatch: pytest.MonkeyPatch):
    case, kernel = make_case(SKIPS), build_unrolled(SKIPS)
    expected = case.unroll(kernel)
    monkeypatch.setattr(kernel, "_new_tape", lambda _: pytest.fail("kept states"))
    with torch.no_grad():
        without_grad = case.unroll(kernel)
    constant = dataclasses.replace(
        case, synapses=[t.detach() for t in case.synapses], phenotype=[t.detach() for t in case.phenotype]
    )
    for final, losses in (without_grad, constant.unroll(kernel)):
        assert not any(tensor.requires_grad for tensor in final)
        assert torch.equal(losses, expected[1])
        assert all(torch.equal(a, b) for a, b in zip(final, expected[0], strict=True))


def test_losses_have_no_gradient():
    _, losses = make_case(SKIPS).unroll(build_unrolled(SKIPS))
    assert not losses.requires_grad


@pytest.mark.parametrize("trained", ["synapses", "phenotype"])
def test_gradients_of_only_the_synapses_or_only_the_phenotype_are_the_same_as_of_both(trained: str):
    case = make_case(SKIPS)
    expected = by_kernel(case)["start" if trained == "synapses" else "phenotype"]
    frozen = "phenotype" if trained == "synapses" else "synapses"
    changes = {frozen: [tensor.detach() for tensor in getattr(case, frozen)]}
    partial = dataclasses.replace(case, **changes)
    final, _ = partial.unroll(build_unrolled(SKIPS))
    actual = torch.autograd.grad(objective(final), getattr(case, trained))
    assert all(torch.equal(a, b) for a, b in zip(actual, expected, strict=True))


@pytest.mark.parametrize("bound", ["FAST_TAPE_BYTES", "LARGEST_TAPE_BYTES"])
@pytest.mark.parametrize("states", [1, 2, 3, 5])
def test_when_few_states_are_kept_the_result_is_the_same(states: int, bound: str, monkeypatch: pytest.MonkeyPatch):
    case, kernel = make_case(LINEAR, steps=7, batch=3), build_unrolled(LINEAR)
    expected = by_kernel(case)
    monkeypatch.setattr(dan_unroll, bound, states * 3 * kernel._state_size * 8)
    tape, _ = kernel._new_tape(case.x)
    assert tape.shape[1] <= states
    actual = by_kernel(case)
    assert all(torch.equal(a, b) for part in expected for a, b in zip(actual[part], expected[part], strict=True))


def test_members_that_cannot_be_kept_are_refused_with_their_number(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dan_unroll, "LARGEST_TAPE_BYTES", 1000)
    with pytest.raises(ValueError, match=r"Expected `members` to be at most 0 .* but got 3"):
        make_case(SKIPS).unroll(build_unrolled(SKIPS))


@pytest.mark.parametrize("name", SPECS)
def test_a_member_that_is_not_a_number_stays_one_and_spares_the_others(name: str):
    case = make_case(SPECS[name], steps=7)
    case.y[3, 1] = float("nan")
    result = by_kernel(case)
    assert result["losses"][0][3:, 1].isnan().all()
    assert not result["losses"][0][:, [0, 2]].isnan().any()
    assert all(tensor[1].isnan().any() for tensor in result["final"])
    for tensor in (*result["final"], *result["start"]):
        assert not tensor[[0, 2]].isnan().any()
    assert all(tensor.isnan().any() for tensor in result["phenotype"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_windows_of_k_equal_one_of_2k(dtype: torch.dtype):
    case = make_case(SKIPS, steps=14).to(dtype)
    kernel = build_unrolled(case.spec)

    def in_two(case: Case) -> tuple[list[Tensor], Tensor]:
        first = dataclasses.replace(case, x=case.x[:7], y=case.y[:7])
        middle, early = first.unroll(kernel)
        second = dataclasses.replace(case, synapses=middle, x=case.x[7:], y=case.y[7:])
        final, late = second.unroll(kernel)
        return final, torch.cat([early, late])

    actual, expected = everything(case, in_two), by_kernel(case)
    for part in ("final", "losses", "start"):
        assert all(torch.equal(a, b) for a, b in zip(actual[part], expected[part], strict=True))
    assert error(actual["phenotype"], expected["phenotype"]) < 4 * torch.finfo(dtype).eps


def test_tensors_need_not_be_contiguous():
    case, kernel = make_case(SKIPS), build_unrolled(SKIPS)
    expected = case.unroll(kernel)
    strided = [t.detach().transpose(0, -1).contiguous().transpose(0, -1) for t in case.synapses]
    final, losses = dataclasses.replace(case, synapses=strided).unroll(kernel)
    assert torch.equal(losses, expected[1])
    assert all(torch.equal(a, b) for a, b in zip(final, expected[0], strict=True))


@pytest.mark.parametrize("name", ["x", "y"])
def test_data_that_require_a_gradient_are_refused(name: str):
    case = make_case(SKIPS)
    getattr(case, name).requires_grad_()
    with pytest.raises(ValueError, match=rf"Expected `{name}` to be constant, but got"):
        case.unroll(build_unrolled(SKIPS))


def test_tensors_that_do_not_fit_are_refused():
    case, kernel = make_case(SKIPS), build_unrolled(SKIPS)
    wrong = {
        "`x` to be of shape": {"x": case.x[0]},
        "`x` to be of shape .* at least 1": {"x": case.x[:0]},
        "`y` to be of shape": {"y": case.y[:3]},
        "`synapses` to contain shape": {"x": case.x[:, :2], "y": case.y[:, :2]},
        "`x` to be torch.float64 on cpu, but got torch.float32 on cpu": {"x": case.x.float()},
        "`phenotype` to be a full phenotype": {"phenotype": case.phenotype[:-1]},
    }
    for message, changes in wrong.items():
        with pytest.raises(ValueError, match=f"Expected {message}"):
            dataclasses.replace(case, **changes).unroll(kernel)


def test_a_fused_network_unrolls_its_parameters_by_name():
    case = make_case(SKIPS)
    names, innate_names = synapse_names(SKIPS), phenotype_names(SKIPS)
    plastic = dict(reversed(list(zip(names, case.synapses, strict=True))))
    innate = dict(zip(innate_names, case.phenotype, strict=True))
    fused = FusedForward(make_network(SKIPS), plastic)
    final, losses = fused.unroll(plastic, innate, case.x, case.y, LR)
    expected, expected_losses = case.unroll(build_unrolled(SKIPS))
    assert list(final) == list(plastic)
    assert torch.equal(losses, expected_losses)
    assert all(torch.equal(final[name], tensor) for name, tensor in zip(names, expected, strict=True))
