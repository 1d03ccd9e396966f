"""The unrolled kernel against plain PyTorch."""

import dataclasses
import functools
from collections.abc import Callable

import pytest
import torch
from tests.bounds import check_within, conditioned, rounding
from tests.kernels.populations import (
    LINEAR,
    SKIPS,
    SPECS,
    draw_data,
    draw_population,
    forward_operations,
    num_nodes,
    plain,
)
from torch import Tensor

from hyperlearning.core.params import Params
from hyperlearning.kernels import unroll as dan_unroll
from hyperlearning.kernels.dan_spec import KernelSpec, unsupported
from hyperlearning.kernels.unroll import UnrolledSGD, build_unrolled
from hyperlearning.networks.dan.fused import FusedForward
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.networks.dan.phenotypes import MLPPhenotype

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


def make_case(spec: KernelSpec, steps: int = 7, batch: int = 1, members: int = 3) -> Case:
    seed = steps + 7 * batch
    data = draw_data(spec, steps, members, batch, seed=seed + 1)
    return Case(spec, *draw_population(spec, members, seed), *data)


def expected_unroll(case: Case) -> tuple[list[Tensor], Tensor]:
    """The same steps with plain PyTorch."""
    synapses, losses = case.synapses, []
    for x, y in zip(case.x, case.y, strict=True):
        loss = (plain(case.spec, synapses, case.phenotype, x) - y).square().mean((1, 2))
        gradients = torch.autograd.grad(loss.sum(), synapses, create_graph=True)
        synapses = [tensor - LR * gradient for tensor, gradient in zip(synapses, gradients, strict=True)]
        losses.append(loss.detach())
    return synapses, torch.stack(losses)


def objective(synapses: list[Tensor]) -> Tensor:
    """A nonlinear function of all numbers, whose weights differ."""
    source = torch.Generator().manual_seed(0)
    factors = [torch.randn(t.shape, generator=source, dtype=torch.float32).to(t.dtype) for t in synapses]
    return torch.stack([((f * t).sin() + f * t * t).sum() for f, t in zip(factors, synapses, strict=True)]).sum()


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


def named(parts: dict[str, list[Tensor]]) -> Params:
    return {f"{name} {i}": tensor for name, tensors in parts.items() for i, tensor in enumerate(tensors)}


def by_pytorch(case: Case, numbers: Params) -> Params:
    """The same with other numbers, by plain PyTorch."""
    x, y, *inputs = (tensor.detach().requires_grad_() for tensor in numbers.values())
    count = len(case.synapses)
    other = Case(case.spec, inputs[:count], inputs[count:], x.detach(), y.detach())
    return named(everything(other, expected_unroll))


@pytest.mark.parametrize(("steps", "batch"), [(1, 1), (7, 3), (20, 1)])
@pytest.mark.parametrize("name", SPECS)
def test_it_is_automatic_differentiation_of_the_same_steps(name: str, steps: int, batch: int):
    case = make_case(SPECS[name], steps, batch)
    # Each step there and back, and again for the tangents; the phenotype's gradient is a sum over all of them.
    operations = steps * (4 * forward_operations(case.spec) + 3 * batch * num_nodes(case.spec))
    numbers = {str(i): tensor.detach() for i, tensor in enumerate([case.x, case.y, *case.inputs])}
    exact, bounds = conditioned(lambda others: by_pytorch(case, others), numbers, case.spec.dtype, operations)
    check_within(named(by_kernel(case)), exact, bounds)


@pytest.mark.parametrize("name", ["skips", "linear", "narrow"])
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


@pytest.mark.parametrize("name", ["skips", "skips in single precision"])
def test_two_windows_of_k_equal_one_of_2k(name: str):
    case = make_case(SPECS[name], steps=14)
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
    # The one number that is a sum over both windows.
    pairs = list(zip(actual["phenotype"], expected["phenotype"], strict=True))
    error, largest = (
        max(float(t.abs().max()) for t in ts) for ts in ([a - b for a, b in pairs], expected["phenotype"])
    )
    assert error <= rounding(case.spec.dtype, 14 * 3 * num_nodes(case.spec)) * largest


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
        "`synapses` to be of shape": {"x": case.x[:, :2], "y": case.y[:, :2]},
        "`x` to be torch.float64 on cpu, but got torch.float32 on cpu": {"x": case.x.float()},
        "`phenotype` to be 6 tensors, but got 5": {"phenotype": case.phenotype[:-1]},
    }
    for message, changes in wrong.items():
        with pytest.raises(ValueError, match=f"Expected {message}"):
            dataclasses.replace(case, **changes).unroll(kernel)


def test_a_fused_network_unrolls_its_parameters_by_name():
    case, skips = make_case(SKIPS), [(a, b) for a, b in SKIPS.maps if b > a + 1]
    phenotype = functools.partial(MLPPhenotype, hidden_sizes=SKIPS.hidden_sizes, output_activation="tanh")
    sizes = {"num_channels": SKIPS.num_channels, "skips": skips}
    network = DANNetwork(SKIPS.layer_sizes, phenotype=phenotype, fold=False, **sizes).double()
    names = [f"synapses.{a}_{b}.{kind}" for kind in ("weight", "bias") for a, b in SKIPS.maps]
    innate_names = [f"phenotypes.0.{kind}.{i}" for i in range(3) for kind in ("weights", "biases")]
    plastic = dict(reversed(list(zip(names, case.synapses, strict=True))))
    innate = dict(zip(innate_names, case.phenotype, strict=True))
    final, losses = FusedForward(network, plastic).unroll(plastic, innate, case.x, case.y, LR)
    expected, expected_losses = case.unroll(build_unrolled(SKIPS))
    assert list(final) == list(plastic)
    assert torch.equal(losses, expected_losses)
    assert all(torch.equal(final[name], tensor) for name, tensor in zip(names, expected, strict=True))
