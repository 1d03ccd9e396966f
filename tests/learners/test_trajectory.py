"""Learning along a trajectory, and the exact gradient through it: plain loops, finite differences, closed forms, cuts."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from benchmarks.reference_trajectory import anml_predict, meta_step
from benchmarks.trajectory import to_reference
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from hyperlearning.core.params import Params, partition, stack_members
from hyperlearning.learners import trajectory
from hyperlearning.learners.hyper_step import HyperBatch, HyperState, make_hyper_step
from hyperlearning.learners.inner_loop import Learner, inner_steps, live
from hyperlearning.learners.optimizers import sgd
from hyperlearning.learners.trajectory import (
    row_reset,
    trajectory_learner,
)
from hyperlearning.networks.gated.anml import ANMLNetwork
from hyperlearning.networks.gated.oml import OMLNetwork
from hyperlearning.streams.hyper_stream import HyperStream

STEPS, CLASSES, LR = 3, 4, 0.1
Network = ANMLNetwork | OMLNetwork


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_network(kind: str) -> Network:
    source = seeded()
    if kind == "anml":
        return ANMLNetwork(CLASSES, width=1 / 16, generator=source).double()
    if kind == "anml without gates":
        return ANMLNetwork(CLASSES, width=1 / 16, gates="none", generator=source).double()
    hidden = 6 if kind == "oml with a hidden layer" else None
    return OMLNetwork(CLASSES, side=28, width=1 / 64, hidden_size=hidden, generator=source).double()


KINDS = ["anml", "anml without gates", "oml", "oml with a hidden layer"]


class Problem(NamedTuple):
    network: Network
    start: Params
    innate: Params
    plastic: Params
    batch: HyperBatch


def make_problem(kind: str = "anml", *, members: int = 1, batch: int = 1) -> Problem:
    network, source = make_network(kind), seeded(1)
    start, innate = partition(network, network.is_innate)
    plastic = stack_members(start, members)
    plastic = {n: p + 0.01 * torch.randn(p.shape, generator=source, dtype=p.dtype) for n, p in plastic.items()}

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, 1, 28, 28, generator=source, dtype=torch.float64)

    def labels(*shape: int) -> Tensor:
        return torch.randint(0, CLASSES, shape, generator=source)

    inner = draw(STEPS, members, batch), labels(STEPS, members, batch)
    return Problem(network, start, innate, plastic, HyperBatch(*inner, draw(1, members, 5), labels(1, members, 5)))


def meta_gradient(problem: Problem, *, learner: Learner | None = None, through: int = STEPS) -> Params:
    """The hyper step's outer gradient, as what plain descent at a rate of 1 takes away."""
    learner = learner or trajectory_learner(problem.network, inner_lr=LR)
    step = make_hyper_step(learner, sgd(), update_every=STEPS, through=through, learn_start=True)
    before = HyperState(problem.plastic, {}, problem.innate, problem.start, {})
    after, _ = step(before, problem.batch, torch.tensor(1.0, dtype=torch.float64))
    old, new = ({**state.innate, **state.start} for state in (before, after))
    return {name: old[name] - new[name] for name in old}


def meta_loss(problem: Problem, member: int, params: Params, *, create_graph: bool) -> tuple[Tensor, Params]:
    """A plain loop over whole networks; returns the meta-loss and the plastic parameters it was measured at."""
    now = dict(params)
    names = list(problem.start)
    for inputs, targets in zip(problem.batch.inputs[:, member], problem.batch.targets[:, member], strict=True):
        loss = cross_entropy(functional_call(problem.network, now, (inputs,)), targets)
        grads = torch.autograd.grad(loss, [now[name] for name in names], create_graph=create_graph)
        now |= {name: now[name] - LR * grad for name, grad in zip(names, grads, strict=True)}
    if not create_graph:
        now |= {name: now[name].detach().requires_grad_() for name in names}
    logits = functional_call(problem.network, now, (problem.batch.hyper_inputs[0, member],))
    return cross_entropy(logits, problem.batch.hyper_targets[0, member]), now


def plain_meta_gradient(problem: Problem, *, first_order: bool = False) -> Params:
    total: Params = {}
    members = len(problem.batch.inputs[0])
    for member in range(members):
        own = {name: tensor[member] for name, tensor in problem.plastic.items()}
        params = {name: tensor.clone().requires_grad_() for name, tensor in {**problem.innate, **own}.items()}
        loss, now = meta_loss(problem, member, params, create_graph=not first_order)
        at = now if first_order else params
        grads = torch.autograd.grad(loss / members, list(at.values()))
        for name, grad in zip(at, grads, strict=True):
            total[name] = total.get(name, torch.zeros_like(grad)) + grad
    return total


def difference(one: Params, other: Params) -> float:
    """The largest difference of a parameter's gradient, relative to its largest number."""
    assert set(one) == set(other)
    return max(float((one[name] - other[name]).abs().max() / (other[name].abs().max() + 1e-12)) for name in one)


@pytest.mark.parametrize("kind", KINDS)
def test_the_meta_gradient_is_that_of_a_plain_loop(kind: str):
    problem = make_problem(kind)
    assert difference(meta_gradient(problem), plain_meta_gradient(problem)) < 1e-8


@pytest.mark.parametrize(("members", "batch"), [(2, 1), (1, 2), (2, 3)])
def test_members_and_batches_change_nothing(members: int, batch: int):
    problem = make_problem(members=members, batch=batch)
    assert difference(meta_gradient(problem), plain_meta_gradient(problem)) < 1e-8


@pytest.mark.parametrize("first_order", [False, True])
def test_the_meta_gradient_is_that_of_the_benchmarks_reference(first_order: bool):
    problem = make_problem()
    batch = problem.batch
    found = meta_step(
        anml_predict,
        to_reference({**problem.innate, **{name: tensor[0] for name, tensor in problem.plastic.items()}}),
        lambda name: name.startswith("predictor."),
        batch.inputs.flatten(0, 2),
        batch.targets.flatten(),
        batch.hyper_inputs.flatten(0, 2),
        batch.hyper_targets.flatten(),
        inner_lr=LR,
        first_order=first_order,
    )
    # The reference's meta-loss has the trajectory too.
    both = [torch.cat((a.flatten(0, 2), b.flatten(0, 2)))[None, None] for a, b in (batch[0::2], batch[1::2])]
    problem = problem._replace(batch=batch._replace(hyper_inputs=both[0], hyper_targets=both[1]))
    own = to_reference(meta_gradient(problem, through=0 if first_order else STEPS))
    cancelled = [name for name in own if "convolutions" in name and name.endswith("bias")]
    assert all(float(found.gradient[name].abs().max()) < 1e-9 for name in cancelled)
    kept = [{n: g for n, g in grads.items() if n not in cancelled} for grads in (own, found.gradient)]
    assert difference(*kept) < 1e-8


@pytest.mark.parametrize("kind", KINDS)
def test_the_meta_gradient_is_that_of_finite_differences(kind: str):
    problem = make_problem(kind)
    found = meta_gradient(problem)
    params = {**problem.innate, **{name: tensor[0] for name, tensor in problem.plastic.items()}}
    source, size = seeded(2), 1e-7  # Smaller than the way to a kink of a maximum.
    for name, gradient in found.items():
        direction = torch.randn(gradient.shape, generator=source, dtype=gradient.dtype)

        def loss_at(distance: float, name: str = name, direction: Tensor = direction) -> float:
            moved = {**params, name: params[name] + distance * direction}
            moved = {key: tensor.detach().requires_grad_() for key, tensor in moved.items()}
            return float(meta_loss(problem, 0, moved, create_graph=False)[0].detach())

        slope = (loss_at(size) - loss_at(-size)) / (2 * size)
        assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-5, abs=1e-7), name


def test_through_no_update_it_is_first_order():
    problem = make_problem()
    found = meta_gradient(problem, through=0)
    assert difference(found, plain_meta_gradient(problem, first_order=True)) < 1e-8
    assert difference(found, plain_meta_gradient(problem)) > 1e-3


@pytest.mark.parametrize("curvature", [0.5, 3.0])
def test_on_a_quadratic_the_end_depends_on_the_start_as_the_closed_form_says(curvature: float):
    steps, lr = 7, 0.1

    def loss(predictions: Tensor, targets: Tensor) -> Tensor:
        return 0.5 * curvature * (predictions - targets).square().flatten(1).sum(1)

    learner = Learner(lambda plastic, innate, inputs: plastic["w"][:, None] * inputs, loss, sgd(), lr)
    one, zero = (torch.full((steps, 1, 1), value, dtype=torch.float64) for value in (1.0, 0.0))
    start = {"w": torch.tensor(2.0, dtype=torch.float64)}
    before = HyperState(stack_members(start, 1), {}, {}, start, {})
    step = make_hyper_step(learner, sgd(), update_every=steps, through=steps, learn_start=True)
    after, _ = step(before, HyperBatch(one, zero, one[:1], zero[:1]), torch.tensor(1.0, dtype=torch.float64))
    shrink = (1 - lr * curvature) ** steps
    found = float(start["w"] - after.start["w"])
    assert found == pytest.approx(curvature * (2.0 * shrink) * shrink, rel=1e-12)


def cut_update(monkeypatch: pytest.MonkeyPatch, step: int, cut: Callable[[int, Tensor], Tensor]) -> None:
    """Lets `cut` have each result of the update at one step: 0 loss, 1 features, 2 delta, 3 and more parameters."""
    update, count = trajectory._Trajectory._update, [0]

    def cutting(self: Any, graph: bool, *args: Tensor) -> tuple[Tensor, ...]:
        results = update(self, graph, *args)
        count[0] += 1
        return tuple(cut(i, r) for i, r in enumerate(results)) if count[0] - 1 == step else results

    monkeypatch.setattr(trajectory._Trajectory, "_update", cutting)


@pytest.mark.parametrize("step", range(STEPS))
@pytest.mark.parametrize("what", ["features", "delta", "parameters", "one parameter"])
def test_a_graph_cut_after_an_update_changes_the_meta_gradient(monkeypatch: pytest.MonkeyPatch, step: int, what: str):
    problem = make_problem()
    expected = plain_meta_gradient(problem)
    places = {"features": [1], "delta": [2], "parameters": range(3, 99), "one parameter": [4]}[what]
    cut_update(monkeypatch, step, lambda place, result: result.detach() if place in places else result)
    assert difference(meta_gradient(problem), expected) > 1e-4


@pytest.mark.parametrize("step", range(STEPS))
def test_an_inner_gradient_cut_off_changes_the_meta_gradient(monkeypatch: pytest.MonkeyPatch, step: int):
    problem, descend, count = make_problem(), trajectory._descend, [0]

    def cutting(parameters: Any, gradients: Any, lr: float) -> list[Tensor]:
        count[0] += 1
        return descend(parameters, [g.detach() for g in gradients] if count[0] - 1 == step else gradients, lr)

    monkeypatch.setattr(trajectory, "_descend", cutting)
    assert difference(meta_gradient(problem), plain_meta_gradient(problem)) > 1e-4


@pytest.mark.parametrize("axes", [6, 5])
def test_gates_cut_off_change_the_meta_gradient_along_the_trajectory_and_in_the_meta_loss(axes: int):
    problem = make_problem()
    learner = trajectory_learner(problem.network, inner_lr=LR)

    def cutting(innate: Params, inputs: Tensor) -> Tensor:
        prepared = problem.network.prepare(innate, inputs)
        return prepared.detach() if inputs.ndim == axes else prepared

    assert difference(
        meta_gradient(problem, learner=learner._replace(prepare=cutting)), plain_meta_gradient(problem)
    ) > (1e-4)


def test_the_last_layers_products_cut_off_change_the_meta_gradient(monkeypatch: pytest.MonkeyPatch):
    class Cut(trajectory._Taps):
        @staticmethod
        def backward(ctx: Any, at_logits: Tensor, at_features: Tensor) -> tuple[None, None, None, None]:
            return None, None, None, None

    problem = make_problem()
    monkeypatch.setattr(trajectory, "_Taps", Cut)
    assert difference(meta_gradient(problem), plain_meta_gradient(problem)) > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_computing_activations_again_changes_nothing(kind: str):
    problem = make_problem(kind)
    learner = trajectory_learner(problem.network, inner_lr=LR, checkpoint=True)
    assert difference(meta_gradient(problem, learner=learner), meta_gradient(problem)) < 1e-10


@pytest.mark.parametrize("kind", KINDS)
def test_the_factored_updates_are_those_of_the_general_inner_loop(kind: str):
    problem = make_problem(kind, members=2)
    learner = trajectory_learner(problem.network, inner_lr=LR)
    inputs = learner.prepared(problem.innate, problem.batch.inputs)
    data = problem.plastic, {}, problem.innate, inputs, problem.batch.targets
    own, _, losses = inner_steps(learner, *data)
    general, _, expected = inner_steps(learner._replace(unroll=None), *data)
    torch.testing.assert_close(losses, expected, rtol=1e-10, atol=1e-12)
    assert list(own) == list(general)
    torch.testing.assert_close(own, general, rtol=1e-10, atol=1e-12)
    assert not any(tensor.requires_grad for tensor in own.values())


def test_a_gradient_that_two_parameters_share_is_not_written_over():
    shared, lr = torch.ones(3), 0.5
    after = trajectory._descend([torch.zeros(3), torch.ones(3)], [shared, shared], lr)
    torch.testing.assert_close(after, [torch.full((3,), -0.5), torch.full((3,), 0.5)])


def test_a_meta_step_leaves_its_inputs_as_they_are_and_gives_the_same_numbers_twice():
    problem = make_problem()
    copies = [{n: t.clone() for n, t in part.items()} for part in (problem.start, problem.innate, problem.plastic)]
    first, second = meta_gradient(problem), meta_gradient(problem)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close([problem.start, problem.innate, problem.plastic], copies, rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_life_learns_the_images_that_it_meets(kind: str):
    problem = make_problem(kind)
    learner = trajectory_learner(problem.network, inner_lr=0.02)
    inputs, targets = (part[:1].expand(20, *part.shape[1:]) for part in problem.batch[:2])
    *_, after = live(learner, problem.plastic, problem.innate, inputs, targets, every=5)
    prepared = learner.prepared(problem.innate, inputs[0])
    before, now = (
        float(learner.loss_fn(learner.forward(params, problem.innate, prepared), targets[0]))
        for params in (problem.plastic, after)
    )
    assert now < 0.6 * before


def make_stream(labels: Tensor) -> HyperStream:
    images = torch.zeros(*labels.shape, 1, 28, 28)
    return HyperStream(images, labels, images[None], labels[None])


def test_a_birth_draws_the_rows_of_the_classes_to_come_and_copies_the_rest():
    network = make_network("oml")
    start, _ = partition(network, network.is_innate)
    labels = torch.tensor([[[2], [1]], [[2], [3]]])
    born = row_reset(2)(start, make_stream(labels), seeded(5))
    weight, bias = born["predictor.last.weight"], born["predictor.last.bias"]
    changed = (weight != start["predictor.last.weight"]).any(-1)
    assert changed.tolist() == [[False, False, True, False], [False, True, False, True]]
    torch.testing.assert_close(bias, start["predictor.last.bias"].expand(2, -1), rtol=0, atol=0)


def test_rows_are_drawn_with_the_variance_of_kaiming():
    start, _ = partition(network := OMLNetwork(50, side=28, width=1 / 4), network.is_innate)
    born = row_reset(1)(start, make_stream(torch.arange(50).view(50, 1, 1)), seeded())
    drawn = born["predictor.last.weight"]
    assert float(drawn.var()) == pytest.approx(2 / drawn.shape[-1], rel=0.02)
    assert float(drawn.mean()) == pytest.approx(0, abs=4 * (2 / drawn.shape[-1] / drawn.numel()) ** 0.5)


@pytest.mark.parametrize(("labels", "message"), [([[[4]]], "labels from 0 to 3.*4 to 4"), ([[[1], [1]]], "1 members")])
def test_a_birth_refuses_classes_without_a_row_and_another_population(labels: list, message: str):
    start, _ = partition(network := make_network("oml"), network.is_innate)
    with pytest.raises(ValueError, match=message):
        row_reset(1)(start, make_stream(torch.tensor(labels)), seeded())


def test_a_rate_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match=r"inner_lr.*0\.0"):
        trajectory_learner(make_network("oml"), inner_lr=0.0)
