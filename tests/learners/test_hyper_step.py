"""The hyper step against a plain loop, closed forms and finite differences."""

import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from benchmarks.reference_loop import ReferenceLoop, Settings
from tests.bounds import adams_correction, check_within, conditioned, rounding
from torch import Tensor, nn

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import Params, partition, stack_members
from hyperlearning.learners.hyper_step import HyperBatch, HyperState, HyperStep, make_hyper_step, outer_parameters
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import Optimizer, optimizer
from hyperlearning.learners.population import population_forward
from hyperlearning.networks.dan.network import DANNetwork
from hyperlearning.networks.dan.phenotypes import DenseSkipPhenotype, MLPPhenotype

ROOT = Path(__file__).parents[2]
WINDOWS = [(1, 0), (1, 1), (5, 0), (5, 2), (5, 5)]
SMALL_MLP = partial(MLPPhenotype, hidden_sizes=(3, 2))
SMALL_DENSE = partial(DenseSkipPhenotype, hidden_sizes=(3, 3))


class Problem(NamedTuple):
    """A network, where its members stand, and data for some steps."""

    network: DANNetwork
    plastic: Params
    innate: Params
    start: Params
    batches: list[HyperBatch]


def make_problem(
    *,
    dtype: torch.dtype = torch.float64,
    population: int = 3,
    update_every: int = 1,
    num_outer_updates: int = 1,
    num_steps: int = 3,
    seed: int = 0,
    sharing: str = "network",
    phenotype: Callable[..., nn.Module] = SMALL_MLP,
    layer_sizes: Sequence[int] = (1, 3, 3, 1),
    skips: Sequence[tuple[int, int]] = ((0, 2), (1, 3)),
    **network_options: Any,
) -> Problem:
    generator = torch.Generator().manual_seed(seed)
    network = DANNetwork(
        layer_sizes,
        num_channels=4,
        skips=skips,
        sharing=sharing,
        phenotype=phenotype,
        generator=generator,
        **network_options,
    ).to(dtype)
    start, innate = partition(network, network.is_innate)
    plastic = stack_members(start, population)
    # Members that begin apart, so that a mix-up of members shows.
    plastic = {name: p + 0.1 * torch.randn(p.shape, generator=generator, dtype=dtype) for name, p in plastic.items()}

    def draw(*shape: int):
        return torch.randn(*shape, 1, generator=generator, dtype=dtype)

    batches = [
        HyperBatch(
            draw(update_every, population, 2),
            draw(update_every, population, 2),
            draw(num_outer_updates, population, 6),
            draw(num_outer_updates, population, 6),
        )
        for _ in range(num_steps)
    ]
    return Problem(network, plastic, innate, start, batches)


def first_state(problem: Problem, inner: Optimizer, outer: Optimizer, *, learn_start: bool) -> HyperState:
    moments = outer.init(outer_parameters(problem.innate, problem.start, learn_start=learn_start))
    return HyperState(problem.plastic, inner.init(problem.plastic), problem.innate, problem.start, moments)


def make_engine(problem: Problem, settings: Settings, num_outer_updates: int) -> tuple[HyperStep, HyperState]:
    inner, outer = optimizer(settings.inner_optimizer), optimizer(settings.outer_optimizer)
    forward = population_forward(problem.network, problem.plastic)
    options = {k: v for k, v in asdict(settings).items() if k not in ("inner_optimizer", "outer_optimizer", "inner_lr")}
    learner = Learner(forward, mean_squared_error, inner, settings.inner_lr)
    step = make_hyper_step(learner, outer, num_outer_updates=num_outer_updates, **options)
    return step, first_state(problem, inner, outer, learn_start=settings.learn_start)


OUTER_LR = 0.01
OPERATIONS = 100
"""On the longest way through a step: six layers there and back, sums of up to twelve terms, at most five updates."""


def by_the_engine(problem: Problem, settings: Settings, num_outer_updates: int) -> Params:
    step, state = make_engine(problem, settings, num_outer_updates)
    dtype = problem.batches[0].inputs.dtype
    losses = None
    for batch in problem.batches:
        state, losses = step(state, batch, torch.tensor(OUTER_LR, dtype=dtype))
    assert losses is not None
    return _results(losses.task, losses.hyper, state.plastic, state.innate, state.start)


def by_the_plain_loop(problem: Problem, settings: Settings) -> Params:
    reference = ReferenceLoop(problem.network, problem.plastic, problem.innate, problem.start, settings)
    outer_lr = float(torch.tensor(OUTER_LR, dtype=problem.batches[0].inputs.dtype))
    task, hyper = [reference.step(*batch, outer_lr=outer_lr) for batch in problem.batches][-1]
    start = {name: tensor.detach() for name, tensor in reference.start.items()}
    return _results(task, hyper, reference.plastic, reference.innate, start)


def _results(task: Tensor, hyper: Tensor, plastic: Params, innate: Params, start: Params) -> Params:
    started = {f"start.{name}": tensor for name, tensor in start.items()}
    return {"task loss": task, "hyper-loss": hyper, **plastic, **innate, **started}


def check_agreement(num_outer_updates: int = 1, settings: Settings | None = None, **problem_options: Any):
    """Asserts that engine and plain loop hold the same numbers after three steps in double precision."""
    settings = settings or Settings()
    problem = make_problem(update_every=settings.update_every, num_outer_updates=num_outer_updates, **problem_options)
    # Adam's division takes two digits here: that much `conditioned` finds in the single precision below.
    tolerance = rounding(torch.float64, 100 * OPERATIONS)
    torch.testing.assert_close(
        by_the_engine(problem, settings, num_outer_updates),
        by_the_plain_loop(problem, settings),
        rtol=tolerance,
        atol=tolerance,
    )


def _tensors(problem: Problem) -> Params:
    named = {f"plastic/{name}": tensor for name, tensor in problem.plastic.items()}
    named |= {f"innate/{name}": tensor for name, tensor in problem.innate.items()}
    named |= {f"start/{name}": tensor for name, tensor in problem.start.items()}
    for place, batch in enumerate(problem.batches):
        named |= {f"batch {place}/{field}": tensor for field, tensor in batch._asdict().items()}
    return named


def _with_tensors(problem: Problem, named: Params) -> Problem:
    def part(prefix: str) -> Params:
        return {n.removeprefix(prefix): tensor for n, tensor in named.items() if n.startswith(prefix)}

    batches = [HyperBatch(**part(f"batch {place}/")) for place in range(len(problem.batches))]
    return Problem(copy.deepcopy(problem.network).double(), part("plastic/"), part("innate/"), part("start/"), batches)


@pytest.mark.parametrize("inner", ["sgd", "adam"])
@pytest.mark.parametrize(("update_every", "through"), WINDOWS)
def test_every_window_agrees_with_the_plain_loop(update_every: int, through: int, inner: str):
    check_agreement(settings=Settings(inner_optimizer=inner, update_every=update_every, through=through))


@pytest.mark.parametrize("inner", ["sgd", "adam"])
@pytest.mark.parametrize(("update_every", "through"), WINDOWS)
def test_in_single_precision_every_window_is_as_near_as_its_rounding_allows(
    update_every: int, through: int, inner: str
):
    settings = Settings(inner_optimizer=inner, update_every=update_every, through=through)
    problem = make_problem(dtype=torch.float32, update_every=update_every)
    exact, bounds = conditioned(
        lambda named: by_the_plain_loop(_with_tensors(problem, named), settings),
        _tensors(problem),
        torch.float32,
        OPERATIONS,
        own=adams_correction(torch.float32, rate=OUTER_LR, updates=len(problem.batches) * update_every),
    )
    check_within(by_the_engine(problem, settings, 1), exact, bounds)


@pytest.mark.parametrize("population", [1, 3, 8])
@pytest.mark.parametrize("outer", ["sgd", "adam"])
def test_every_population_agrees_with_the_plain_loop(population: int, outer: str):
    check_agreement(population=population, settings=Settings(outer_optimizer=outer))


@pytest.mark.parametrize(("update_every", "through"), [(1, 0), (5, 2)])
def test_several_outer_updates_agree_with_the_plain_loop(update_every: int, through: int):
    settings = Settings(update_every=update_every, through=through)
    check_agreement(num_outer_updates=3, settings=settings)


@pytest.mark.parametrize(("update_every", "through"), WINDOWS)
@pytest.mark.parametrize("inner", ["sgd", "adam"])
def test_a_learned_start_agrees_with_the_plain_loop(update_every: int, through: int, inner: str):
    settings = Settings(inner_optimizer=inner, update_every=update_every, through=through, learn_start=True)
    check_agreement(settings=settings, num_outer_updates=2)


@pytest.mark.parametrize("max_grad_norm", [1e-2, 1e3])
@pytest.mark.parametrize("learn_start", [False, True])
def test_clipping_agrees_with_the_plain_loop(max_grad_norm: float, learn_start: bool):
    settings = Settings(outer_optimizer="sgd", max_grad_norm=max_grad_norm, learn_start=learn_start, through=1)
    check_agreement(settings=settings)


@pytest.mark.parametrize("inner", ["sgd", "adam"])
def test_innate_parameters_moving_in_the_inner_loop_agree_with_the_plain_loop(inner: str):
    check_agreement(settings=Settings(inner_optimizer=inner, update_every=5, inner_innate_lr=0.05))


@pytest.mark.parametrize("sharing", ["network", "layer", "neuron"])
@pytest.mark.parametrize("phenotype", [SMALL_MLP, SMALL_DENSE], ids=["mlp", "dense_skip"])
@pytest.mark.parametrize("through", [0, 1])
def test_every_sharing_and_phenotype_agrees_with_the_plain_loop(
    sharing: str, phenotype: Callable[..., nn.Module], through: int
):
    settings = Settings(inner_optimizer="sgd", through=through)
    check_agreement(settings=settings, sharing=sharing, phenotype=phenotype)


def test_the_notebooks_drive_and_output_agree_with_the_plain_loop():
    check_agreement(settings=Settings(), synaptic_activation="tanh", output_scale=5.0)


# Closed forms: output = phi * theta * x, so L = (phi * theta * x - y)**2 with every number a scalar.

PHI, THETA, INNER_LR = 0.7, -1.3, 0.05


def _scalar_forward(plastic: Params, innate: Params, inputs: Tensor) -> Tensor:
    return innate["phi"] * plastic["theta"][:, None, None] * inputs


def _scalar_innate_gradient(points: list[tuple[float, float]], hyper: tuple[float, float], through: int) -> float:
    """The library's outer gradient of `phi`, read off a step of gradient descent with rate 1."""
    learner = Learner(_scalar_forward, mean_squared_error, optimizer("sgd"), INNER_LR)
    step = make_hyper_step(learner, optimizer("sgd"), update_every=len(points), through=through)
    values = torch.tensor(points, dtype=torch.float64).reshape(-1, 1, 1, 2, 1)
    aim = torch.tensor(hyper, dtype=torch.float64).reshape(1, 1, 1, 2, 1)
    innate = {"phi": torch.tensor(PHI, dtype=torch.float64)}
    plastic = {"theta": torch.tensor([THETA], dtype=torch.float64)}
    state = HyperState(plastic, {}, innate, {"theta": plastic["theta"][0]}, {})
    batch = HyperBatch(values[..., 0, :], values[..., 1, :], aim[..., 0, :], aim[..., 1, :])
    state, _ = step(state, batch, torch.tensor(1.0, dtype=torch.float64))
    return PHI - state.innate["phi"].item()


def _descend(theta: float, x: float, y: float) -> float:
    """One inner update: theta - lr * dL/dtheta, with dL/dtheta = 2 phi x (phi theta x - y)."""
    return theta - INNER_LR * 2 * PHI * x * (PHI * theta * x - y)


def _by_innate(theta: float, x: float, y: float) -> float:
    """Partial derivative of the inner update by phi, theta held: -2 lr x (2 phi theta x - y)."""
    return -2 * INNER_LR * x * (2 * PHI * theta * x - y)


def _by_plastic(x: float) -> float:
    """Derivative of the inner update by theta: 1 - 2 lr phi^2 x^2."""
    return 1 - 2 * INNER_LR * PHI**2 * x**2


def test_through_none_the_outer_gradient_is_the_partial_derivative_by_hand():
    (x, y), (z, t) = (1.5, 0.4), (0.8, -0.6)
    theta = _descend(THETA, x, y)
    expected = 2 * (PHI * theta * z - t) * theta * z
    assert _scalar_innate_gradient([(x, y)], (z, t), through=0) == pytest.approx(expected, rel=1e-12)


def test_through_one_update_the_outer_gradient_is_the_total_derivative_by_hand():
    (x, y), (z, t) = (1.5, 0.4), (0.8, -0.6)
    theta = _descend(THETA, x, y)
    expected = 2 * (PHI * theta * z - t) * z * (theta + PHI * _by_innate(THETA, x, y))
    assert _scalar_innate_gradient([(x, y)], (z, t), through=1) == pytest.approx(expected, rel=1e-12)


def test_through_two_updates_the_outer_gradient_is_the_total_derivative_by_hand():
    (x, y), (u, v), (z, t) = (1.5, 0.4), (-0.9, 1.1), (0.8, -0.6)
    first = _descend(THETA, x, y)
    theta = _descend(first, u, v)
    moved = _by_innate(first, u, v) + _by_plastic(u) * _by_innate(THETA, x, y)
    expected = 2 * (PHI * theta * z - t) * z * (theta + PHI * moved)
    assert _scalar_innate_gradient([(x, y), (u, v)], (z, t), through=2) == pytest.approx(expected, rel=1e-12)


def test_a_learned_start_gets_the_gradient_through_every_update_by_hand():
    (x, y), (z, t) = (1.5, 0.4), (0.8, -0.6)
    learner = Learner(_scalar_forward, mean_squared_error, optimizer("sgd"), INNER_LR)
    step = make_hyper_step(learner, optimizer("sgd"), through=1, learn_start=True)
    start = torch.tensor(THETA, dtype=torch.float64)
    state = HyperState(
        {"theta": start[None]}, {}, {"phi": torch.tensor(PHI, dtype=torch.float64)}, {"theta": start}, {}
    )
    batch = HyperBatch(*(torch.full((1, 1, 1, 1), value, dtype=torch.float64) for value in (x, y, z, t)))
    state, _ = step(state, batch, torch.tensor(1.0, dtype=torch.float64))
    expected = 2 * (PHI * _descend(THETA, x, y) * z - t) * PHI * z * _by_plastic(x)
    assert THETA - state.start["theta"].item() == pytest.approx(expected, rel=1e-12)


# The whole objective, by finite differences.


def _outer_gradient(problem: Problem, *, update_every: int, through: int, inner: str, learn_start: bool) -> Params:
    settings = Settings(
        inner_optimizer=inner,
        outer_optimizer="sgd",
        update_every=update_every,
        through=through,
        learn_start=learn_start,
    )
    step, state = make_engine(problem, settings, 1)
    after, _ = step(state, problem.batches[0], torch.tensor(1.0, dtype=torch.float64))
    before, after = (
        outer_parameters(*state[2:4], learn_start=learn_start),
        outer_parameters(*after[2:4], learn_start=learn_start),
    )
    return {name: before[name] - after[name] for name in before}


def _objective(problem: Problem, innate: Params, shift: Params, inner: str) -> float:
    """Mean hyper-loss at the end of a life that begins at the members' synapses moved by `shift`."""
    plastic = {name: tensor + shift.get(name, 0.0) for name, tensor in problem.plastic.items()}
    settings = Settings(inner_optimizer=inner, outer_optimizer="sgd", update_every=len(problem.batches[0].inputs))
    reference = ReferenceLoop(problem.network, plastic, innate, problem.start, settings)
    _, hyper = reference.step(*problem.batches[0], outer_lr=0.0)
    return hyper.mean().item()


def _central_difference(problem: Problem, name: str, index: tuple[int, ...], inner: str, width: float = 1e-5) -> float:
    def at(offset: float) -> float:
        tensor = problem.innate[name] if name in problem.innate else problem.start[name.removeprefix("start.")]
        nudge = torch.zeros_like(tensor)
        nudge[index] = offset
        if name in problem.innate:
            return _objective(problem, {**problem.innate, name: tensor + nudge}, {}, inner)
        return _objective(problem, problem.innate, {name.removeprefix("start."): nudge}, inner)

    return (at(width) - at(-width)) / (2 * width)


@pytest.mark.parametrize("inner", ["sgd", "adam"])
@pytest.mark.parametrize("length", [1, 4])
def test_the_outer_gradient_through_the_whole_life_is_the_finite_difference(inner: str, length: int):
    problem = make_problem(update_every=length, num_steps=1, population=2)
    grads = _outer_gradient(problem, update_every=length, through=length, inner=inner, learn_start=True)
    for name, grad in grads.items():
        index = tuple(size // 2 for size in grad.shape)
        expected = _central_difference(problem, name, index, inner)
        assert grad[index].item() == pytest.approx(expected, rel=1e-5, abs=1e-8), name


@pytest.mark.parametrize("through", [1, 2, 3, 4])
def test_each_further_update_in_the_window_changes_the_outer_gradient(through: int):
    problem = make_problem(update_every=4, num_steps=1)
    options = {"update_every": 4, "inner": "sgd", "learn_start": False}
    longer = _outer_gradient(problem, through=through, **options)
    shorter = _outer_gradient(problem, through=through - 1, **options)
    gaps = [torch.linalg.vector_norm(longer[n] - shorter[n]) / torch.linalg.vector_norm(longer[n]) for n in longer]
    assert max(gaps) > 1e-4


def test_through_none_the_outer_gradient_is_exact_with_the_synapses_held():
    problem = make_problem(update_every=3, num_steps=1)
    settings = Settings(outer_optimizer="sgd", update_every=3)
    step, state = make_engine(problem, settings, 1)
    after, _ = step(state, problem.batches[0], torch.tensor(1.0, dtype=torch.float64))
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in problem.innate.items()}
    outputs = population_forward(problem.network, after.plastic)(
        after.plastic, leaves, problem.batches[0].hyper_inputs[0]
    )
    (outputs - problem.batches[0].hyper_targets[0]).square().mean().backward()
    got = {name: problem.innate[name] - after.innate[name] for name in problem.innate}
    torch.testing.assert_close(got, {name: leaf.grad for name, leaf in leaves.items()}, rtol=1e-12, atol=1e-14)


def test_the_outer_gradient_is_the_average_over_members():
    problem = make_problem(population=3, num_steps=1)
    options = {"update_every": 1, "through": 1, "inner": "sgd", "learn_start": True}
    together = _outer_gradient(problem, **options)
    alone = []
    for member in range(3):
        own = {name: tensor[member : member + 1] for name, tensor in problem.plastic.items()}
        data = HyperBatch(*(tensor[:, member : member + 1] for tensor in problem.batches[0]))
        alone.append(_outer_gradient(problem._replace(plastic=own, batches=[data]), **options))
    average = {name: torch.stack([grads[name] for grads in alone]).mean(0) for name in together}
    torch.testing.assert_close(together, average, rtol=1e-12, atol=1e-14)


def test_clipping_leaves_a_gradient_of_exactly_the_bound():
    problem = make_problem(num_steps=1)
    step, state = make_engine(problem, Settings(outer_optimizer="sgd", max_grad_norm=1e-3), 1)
    after, _ = step(state, problem.batches[0], torch.tensor(1.0, dtype=torch.float64))
    moved = torch.cat([(state.innate[name] - after.innate[name]).flatten() for name in state.innate])
    assert torch.linalg.vector_norm(moved).item() == pytest.approx(1e-3, rel=1e-9)


def test_hyper_learning_lowers_the_hyper_loss_on_one_repeated_problem():
    problem = make_problem(num_steps=1)
    step, state = make_engine(problem, Settings(inner_lr=1e-3), 1)
    losses = []
    for _ in range(60):
        fresh = state._replace(plastic=problem.plastic, plastic_moments=optimizer("adam").init(problem.plastic))
        state, loss = step(fresh, problem.batches[0], torch.tensor(0.03))
        losses.append(loss.hyper.mean().item())
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"update_every": 0}, r"`update_every` and `num_outer_updates` to be at least 1, but got 0 and 1"),
        ({"num_outer_updates": 0}, r"`update_every` and `num_outer_updates` to be at least 1, but got 1 and 0"),
        ({"through": 2}, r"`through` to be between 0 and `update_every` \(1\), but got 2"),
        ({"through": -1}, r"`through` to be between 0 and `update_every` \(1\), but got -1"),
        ({"through": 1, "inner_innate_lr": 0.1}, r"`inner_innate_lr` to be 0 when `through` is not"),
        ({"inner_innate_lr": -0.1}, r"`inner_innate_lr` to be non-negative, but got -0.1"),
    ],
)
def test_contradictory_settings_are_refused_by_name(options: dict[str, Any], message: str):
    learner = Learner(_scalar_forward, mean_squared_error, optimizer("sgd"), 0.1)
    with pytest.raises(ValueError, match=message):
        make_hyper_step(learner, optimizer("sgd"), **options)


@pytest.mark.parametrize(("update_every", "through"), WINDOWS)
def test_the_same_seed_gives_the_same_bits(update_every: int, through: int):
    ends = []
    for _ in range(2):
        problem = make_problem(dtype=torch.float32, update_every=update_every)
        step, state = make_engine(problem, Settings(update_every=update_every, through=through), 1)
        for batch in problem.batches:
            state, _ = step(state, batch, torch.tensor(0.01))
        ends.append(state)
    torch.testing.assert_close(ends[0], ends[1], rtol=0, atol=0)


@pytest.mark.parametrize(("update_every", "through"), WINDOWS)
@pytest.mark.parametrize("learn_start", [False, True])
def test_a_step_leaves_its_inputs_as_they_were(update_every: int, through: int, learn_start: bool):
    problem = make_problem(update_every=update_every)
    settings = Settings(update_every=update_every, through=through, learn_start=learn_start)
    step, state = make_engine(problem, settings, 1)
    before = [{name: tensor.clone() for name, tensor in params.items()} for params in state]
    step(state, problem.batches[0], torch.tensor(0.01))
    torch.testing.assert_close(list(state), before, rtol=0, atol=0)


@pytest.mark.parametrize(("update_every", "through"), WINDOWS)
def test_a_new_state_holds_on_to_no_graph(update_every: int, through: int):
    problem = make_problem(update_every=update_every)
    settings = Settings(update_every=update_every, through=through, learn_start=True)
    step, state = make_engine(problem, settings, 1)
    state, losses = step(state, problem.batches[0], torch.tensor(0.01))
    tensors = [tensor for params in state for tensor in params.values()]
    assert not any(tensor.requires_grad for tensor in [*tensors, *losses])


COMPILED_EQUALS_EAGER = """
import torch
from tests.learners import test_hyper_step as here
from hyperlearning.learners.population import compile_step, population_forward

torch.set_num_threads(1)
phenotype = here.partial(here.MLPPhenotype, hidden_sizes=(2,))
problem = here.make_problem(layer_sizes=(1, 1), skips=(), population=2, phenotype=phenotype)
settings = here.Settings(inner_optimizer="sgd", outer_optimizer="sgd")
step, state = here.make_engine(problem, settings, 1)
forward = population_forward(problem.network, problem.plastic)
compiled = compile_step(step, forward, backend="compiled", num_calls=1)
other = state
for batch in problem.batches:
    state, losses = step(state, batch, torch.tensor(0.01))
    other, other_losses = compiled(other, batch, torch.tensor(0.01))
torch.testing.assert_close((state, losses), (other, other_losses), rtol=1e-12, atol=1e-12)
print("equal")
"""


@pytest.mark.skipif(
    not any(shutil.which(name) for name in ("c++", "g++", "clang++")), reason="compiling needs a C++ compiler"
)
def test_a_compiled_step_equals_the_eager_one():
    # In a process of its own: the run-time type checks of the test session cannot be compiled. The network is as small as a
    # step allows, and no vector instructions are tried out: each would be a file for the C++ compiler.
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        "TORCHINDUCTOR_VEC_ISA_OK": "0",
    }
    result = subprocess.run(
        [sys.executable, "-c", COMPILED_EQUALS_EAGER], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert result.stdout.strip() == "equal", result.stderr
