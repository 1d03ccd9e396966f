"""The inner loop: closed form, members apart."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from hyperlearning.core.losses import mean_squared_error
from hyperlearning.core.params import Params, partition, stack_members
from hyperlearning.learners.inner_loop import Learner, inner_step, live
from hyperlearning.learners.optimizers import optimizer
from hyperlearning.learners.population import population_forward
from hyperlearning.networks.dan.network import DANNetwork


def _weight_itself(plastic: Params, innate: Params, inputs: Tensor):
    return plastic["w"][:, None] + 0 * inputs


def _half_curvature_times_square(curvature: float):
    return lambda predictions, targets: 0.5 * curvature * (predictions - targets).square().sum(1)


@given(curvature=st.floats(0.1, 3.0), lr=st.floats(0.01, 0.3), num_steps=st.integers(1, 12), w=st.floats(-2, 2))
def test_on_a_quadratic_the_end_depends_on_the_beginning_as_the_closed_form_says(
    curvature: float, lr: float, num_steps: int, w: float
):
    learner = Learner(_weight_itself, _half_curvature_times_square(curvature), optimizer("sgd"), lr)
    start = torch.tensor([w], dtype=torch.float64, requires_grad=True)
    plastic, zero = {"w": start}, torch.zeros(1, 1, dtype=torch.float64)
    for _ in range(num_steps):
        plastic, _, _ = inner_step(learner, plastic, {}, {}, zero, zero, create_graph=True)
    (slope,) = torch.autograd.grad(plastic["w"].sum(), start)
    assert slope.item() == pytest.approx((1 - lr * curvature) ** num_steps, rel=1e-12)


def test_without_a_graph_a_step_is_cut_from_what_came_before():
    learner = Learner(_weight_itself, mean_squared_error, optimizer("sgd"), 0.1)
    start = torch.ones(1, dtype=torch.float64, requires_grad=True)
    plastic, _, losses = inner_step(
        learner, {"w": start}, {}, {}, torch.zeros(1, 1).double(), torch.zeros(1, 1).double()
    )
    assert not plastic["w"].requires_grad
    assert not losses.requires_grad


def _dan_learner(name: str = "adam", lr: float = 0.01, population: int = 3):
    network = DANNetwork((1, 4, 1), num_channels=3, generator=torch.Generator().manual_seed(0)).double()
    plastic, innate = partition(network, network.is_innate)
    plastic = stack_members(plastic, population)
    return Learner(population_forward(network, plastic), mean_squared_error, optimizer(name), lr), plastic, innate


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_step_leaves_its_inputs_as_they_were(create_graph: bool):
    learner, plastic, innate = _dan_learner()
    moments = learner.optimizer.init(plastic)
    before = [{name: tensor.clone() for name, tensor in params.items()} for params in (plastic, moments, innate)]
    data = torch.ones(3, 2, 1, dtype=torch.float64)
    inner_step(learner, plastic, moments, innate, data, data, create_graph=create_graph)
    torch.testing.assert_close([plastic, moments, innate], before, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_members_data_reach_no_other_member(name: str):
    learner, plastic, innate = _dan_learner(name)
    data = torch.randn(3, 2, 1, generator=torch.Generator().manual_seed(1)).double()
    other = data.clone()
    other[1] += 1.0
    moments = learner.optimizer.init(plastic)
    first, _, _ = inner_step(learner, plastic, moments, innate, data, data)
    second, _, _ = inner_step(learner, plastic, moments, innate, other, other)
    moved = {member: any(not torch.equal(first[n][member], second[n][member]) for n in first) for member in range(3)}
    assert moved == {0: False, 1: True, 2: False}


def test_a_population_lives_as_its_members_do_alone():
    learner, plastic, innate = _dan_learner()
    data = torch.randn(4, 3, 2, 1, generator=torch.Generator().manual_seed(1)).double()
    *_, together = live(learner, plastic, innate, data, data.cos())
    alone = []
    for member in range(3):
        own = {name: tensor[member : member + 1] for name, tensor in plastic.items()}
        part = data[:, member : member + 1]
        *_, end = live(learner, own, innate, part, part.cos())
        alone.append(end)
    expected = {name: torch.cat([end[name] for end in alone]) for name in together}
    torch.testing.assert_close(together, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "lr"), [("sgd", 5.0), ("adam", 0.05)])
def test_a_life_learns_a_trivial_stream(name: str, lr: float):
    learner, plastic, innate = _dan_learner(name, lr)
    inputs = torch.ones(300, 3, 1, 1, dtype=torch.float64)
    targets = 0.05 * inputs
    first, *_, last = (
        mean_squared_error(learner.forward(stage, innate, inputs[0]), targets[0])
        for stage in live(learner, plastic, innate, inputs, targets)
    )
    assert (last < 0.01 * first).all()


def test_a_life_yields_the_birth_and_every_update():
    learner, plastic, innate = _dan_learner()
    data = torch.ones(5, 3, 1, 1, dtype=torch.float64)
    stages = list(live(learner, plastic, innate, data, data))
    assert len(stages) == 6
    assert stages[0] is plastic
