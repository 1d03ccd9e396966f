"""The compiled population against plain PyTorch."""

import dataclasses

import pytest
import torch
from tests.bounds import check_within, conditioned, rounding
from tests.kernels.populations import (
    NARROW,
    SINGLE,
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
from hyperlearning.kernels import dan as dan_kernel
from hyperlearning.kernels.dan import Kernel, build
from hyperlearning.kernels.dan_spec import KernelSpec, unsupported

_REASON = unsupported(SKIPS)
pytestmark = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))
# One sample at a time, and blocks of samples of which the last is not full.
ROWS_AND_BLOCKS = pytest.mark.parametrize("batch", [1, 77])


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
        maps = len(self.spec.maps)
        return kernel(self.synapses[:maps], self.synapses[maps:], self.phenotype, self.x)

    def gradients(self, kernel: Kernel) -> tuple[Tensor, ...]:
        return torch.autograd.grad(self.evaluate(kernel), self.inputs, self.y_gradient)


def make_case(spec: KernelSpec, members: int, batch: int) -> Case:
    seed = members + 7 * batch
    return Case(spec, *draw_population(spec, members, seed), *draw_data(spec, members, batch, seed=seed + 1))


def named(case: Case, output: Tensor) -> Params:
    gradients = torch.autograd.grad(output, case.inputs, case.y_gradient)
    return {"output": output.detach(), **{f"gradient {i}": gradient for i, gradient in enumerate(gradients)}}


def by_pytorch(case: Case, numbers: Params) -> Params:
    """The same with other numbers, by plain PyTorch."""
    x, y_gradient, *inputs = (tensor.detach().requires_grad_() for tensor in numbers.values())
    count = len(case.synapses)
    case = Case(case.spec, inputs[:count], inputs[count:], x.detach(), y_gradient.detach())
    return named(case, plain(case.spec, case.synapses, case.phenotype, case.x))


@pytest.mark.parametrize("batch", [1, 7, 77])
@pytest.mark.parametrize("name", SPECS)
def test_outputs_and_gradients_are_those_of_plain_pytorch(name: str, batch: int) -> None:
    case = make_case(SPECS[name], 3, batch)
    # There and back; the phenotype's gradient is a sum over all that pass through it.
    operations = 2 * forward_operations(case.spec) + 3 * batch * num_nodes(case.spec)
    numbers = dict(enumerate([case.x, case.y_gradient, *case.inputs]))
    numbers = {str(i): tensor.detach() for i, tensor in numbers.items()}
    exact, bounds = conditioned(lambda others: by_pytorch(case, others), numbers, case.spec.dtype, operations)
    check_within(named(case, case.evaluate(build(case.spec))), exact, bounds)


@ROWS_AND_BLOCKS
def test_gradients_agree_whether_activations_are_kept_or_recomputed(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, kernel = make_case(SINGLE, 3, batch), build(SINGLE)
    kept = case.gradients(kernel)
    monkeypatch.setattr(dan_kernel, "LARGEST_TAPE_BYTES", 0)
    recomputed = case.gradients(kernel)
    assert all(torch.equal(a, b) for a, b in zip(kept, recomputed, strict=True))


@ROWS_AND_BLOCKS
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_an_input_that_is_not_finite_gives_nan_outputs_for_its_sample(batch: int, value: float) -> None:
    case = make_case(SINGLE, 2, batch)
    case.x[1, -1] = value
    output = case.evaluate(build(case.spec))
    assert output[1, -1].isnan().all()
    assert output[0].isfinite().all()
    assert output[1, :-1].isfinite().all()


@ROWS_AND_BLOCKS
@pytest.mark.parametrize("index", range(10))
def test_a_nan_in_any_synapse_reaches_outputs_of_its_member_only(batch: int, index: int) -> None:
    case = make_case(SINGLE, 2, batch)
    case.synapses[index].detach()[1].view(-1)[-1] = float("nan")
    output = case.evaluate(build(case.spec))
    assert output[1].isnan().all()
    assert output[0].isfinite().all()


@ROWS_AND_BLOCKS
@pytest.mark.parametrize("index", range(6))
def test_a_nan_in_the_phenotype_reaches_all_outputs(batch: int, index: int) -> None:
    case = make_case(SINGLE, 2, batch)
    case.phenotype[index].detach().view(-1)[-1] = float("nan")
    assert case.evaluate(build(case.spec)).isnan().all()


@ROWS_AND_BLOCKS
def test_a_nan_output_gradient_gives_nan_gradients(batch: int) -> None:
    case = make_case(SINGLE, 2, batch)
    case.y_gradient[0, 0] = float("nan")
    assert all(gradient.isnan().any() for gradient in case.gradients(build(case.spec)))


@ROWS_AND_BLOCKS
@pytest.mark.parametrize("index", [0, 7, 10, 15])
def test_asking_for_one_gradient_gives_the_same_as_asking_for_all(batch: int, index: int) -> None:
    case, kernel = make_case(SKIPS, 3, batch), build(SKIPS)
    (alone,) = torch.autograd.grad(case.evaluate(kernel), case.inputs[index], case.y_gradient)
    assert torch.equal(alone, case.gradients(kernel)[index])


@pytest.mark.parametrize("group", ["synapses", "phenotype"])
def test_backward_computes_only_the_group_of_gradients_that_is_needed(
    group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, kernel = make_case(SKIPS, 3, 1), build(SKIPS)
    wanted = getattr(case, group)
    for tensor in case.inputs:
        tensor.requires_grad_(any(tensor is other for other in wanted))
    calls = []
    monkeypatch.setattr(kernel._library, "dan_backward", lambda *args: calls.append(args) or 0)
    torch.autograd.grad(case.evaluate(kernel), wanted, case.y_gradient)
    *_, synapses, phenotype, _ = calls[0]
    assert (synapses is not None) == (group == "synapses")
    assert (phenotype is not None) == (group == "phenotype")


@pytest.mark.parametrize("batch", [1, 7, 32])
@pytest.mark.parametrize("group", ["synapses", "phenotype"])
def test_gradients_of_one_group_do_not_depend_on_the_other_being_wanted(group: str, batch: int) -> None:
    case, kernel = make_case(NARROW, 3, batch), build(NARROW)
    wanted = getattr(case, group)
    both = torch.autograd.grad(case.evaluate(kernel), wanted, case.y_gradient)
    for tensor in case.inputs:
        tensor.requires_grad_(any(tensor is other for other in wanted))
    alone = torch.autograd.grad(case.evaluate(kernel), wanted, case.y_gradient)
    assert all(torch.equal(a, b) for a, b in zip(both, alone, strict=True))


def test_synapses_shared_by_expansion_are_accepted() -> None:
    case, kernel = make_case(SKIPS, 1, 32), build(SKIPS)
    maps = len(SKIPS.maps)
    synapses = [tensor.detach().expand(3, *tensor.shape[1:]) for tensor in case.synapses]
    output = kernel(synapses[:maps], synapses[maps:], case.phenotype, case.x.expand(3, -1, -1))
    assert torch.equal(output, case.evaluate(kernel).expand(3, -1, -1))


def test_an_input_that_requires_a_gradient_is_refused() -> None:
    case = make_case(SKIPS, 2, 3)
    case.x.requires_grad_()
    with pytest.raises(ValueError, match="requires a gradient"):
        case.evaluate(build(SKIPS))


@pytest.mark.parametrize("spec", [SINGLE, SKIPS])
def test_tanh_is_accurate_over_a_dense_grid(spec: KernelSpec) -> None:
    x = torch.linspace(-25, 25, 500_001, dtype=torch.float64).to(spec.dtype)
    error = build(spec).tanh(x).double() - torch.tanh(x.double())
    # tanh = e / (e + 2): rounding the quotient is half an `eps` at most, its denominator another; of what e is off by, at most
    # four, a quarter arrives. The reference rounds too.
    assert error.abs().max() < rounding(spec.dtype, 3)


@pytest.mark.parametrize("spec", [SINGLE, SKIPS])
def test_tanh_keeps_its_relative_accuracy_for_small_values(spec: KernelSpec) -> None:
    x = torch.logspace(-30, 0, 10_001, dtype=torch.float64).to(spec.dtype)
    error = build(spec).tanh(x).double() / torch.tanh(x.double()) - 1
    assert error.abs().max() < rounding(spec.dtype, 4)


@pytest.mark.parametrize("spec", [SINGLE, SKIPS])
def test_tanh_of_huge_values_is_one_and_of_nan_is_nan(spec: KernelSpec) -> None:
    huge = torch.finfo(spec.dtype).max
    x = torch.tensor([100, 1e5, huge, float("inf")], dtype=spec.dtype)
    kernel = build(spec)
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
    spec = dataclasses.replace(SKIPS, **changes)
    assert reason in (unsupported(spec) or "")
    with pytest.raises(ValueError, match=reason):
        build(spec)
