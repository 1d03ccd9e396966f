"""OML's network for regression, and the exactness of the outer gradient through whole lives on it."""

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from hyperlearning.core.params import Params, partition, stack_members
from hyperlearning.learners.hyper_step import HyperBatch, HyperState, make_hyper_step
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import sgd
from hyperlearning.networks.gated.oml_regressor import OMLRegressor
from hyperlearning.streams.sine_tasks import draw_sine_hyper_stream, draw_sine_tasks
from hyperlearning.systems.regression.sine_build import oml_learner

LR, TASKS, UPDATES, MEMBERS = 0.02, 3, 2, 2


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_network() -> OMLRegressor:
    network = OMLRegressor(
        TASKS + 1, width=5, num_representation_layers=2, num_prediction_layers=2, generator=seeded(0)
    ).double()
    # Biases of 0 would leave inputs without features exactly at the kink of a ReLU.
    for number, (name, parameter) in enumerate(network.named_parameters()):
        if name.endswith("bias"):
            torch.nn.init.uniform_(parameter, -0.5, 0.5, generator=seeded(20 + number))
    return network


def make_batch() -> HyperBatch:
    functions = draw_sine_tasks(MEMBERS, TASKS, seeded(1))
    stream = draw_sine_hyper_stream(
        functions, seeded(2), updates_per_task=UPDATES, batch_size=2, points_per_task=3, capacity=TASKS
    )
    inner, hyper = (stream.inputs, stream.targets), (stream.hyper_inputs[0], stream.hyper_targets[0])
    return HyperBatch(*(tensor.double() for tensor in (*inner, *hyper)))


def meta_loss(network: OMLRegressor, params: Params, batch: HyperBatch, *, bound: float) -> Tensor:
    """A plain loop over whole networks, a member at a time; the inner gradient is cut, its value is all that counts."""
    losses = []
    for member in range(MEMBERS):
        now = dict(params)
        fast = [name for name in params if not network.is_innate(name)]
        for inputs, targets in zip(batch.inputs[:, member], batch.targets[:, member], strict=True):
            leaves = {name: tensor.detach().requires_grad_() for name, tensor in now.items()}
            loss = (functional_call(network, leaves, (inputs,)) - targets).square().mean()
            grads = torch.autograd.grad(loss, [leaves[name] for name in fast])
            now |= {name: now[name] - LR * grad.clamp(-bound, bound) for name, grad in zip(fast, grads, strict=True)}
        outputs = functional_call(network, now, (batch.hyper_inputs[0, member],))
        losses.append((outputs - batch.hyper_targets[0, member]).square().mean())
    return torch.stack(losses).mean()


def meta_gradient(network: OMLRegressor, learner: Learner, batch: HyperBatch, through: int = TASKS * UPDATES) -> Params:
    """The hyper step's outer gradient, as what plain descent at a rate of 1 takes away."""
    start, innate = partition(network, network.is_innate)
    step = make_hyper_step(learner, sgd(), update_every=TASKS * UPDATES, through=through, learn_start=True)
    before = HyperState(stack_members(start, MEMBERS), {}, innate, start, {})
    after, _ = step(before, batch, torch.tensor(1.0, dtype=torch.float64))
    old, new = ({**state.innate, **state.start} for state in (before, after))
    return {name: old[name] - new[name] for name in old}


def slopes_by_finite_differences(
    network: OMLRegressor, found: Params, batch: HyperBatch, bound: float
) -> list[tuple[float, float]]:
    params = {name: tensor.detach() for name, tensor in network.named_parameters()}
    pairs, size = [], 1e-6
    for number, (name, gradient) in enumerate(found.items()):
        direction = torch.randn(gradient.shape, generator=seeded(10 + number), dtype=torch.float64)
        ends = [
            float(meta_loss(network, {**params, name: params[name] + sign * size * direction}, batch, bound=bound))
            for sign in (1, -1)
        ]
        pairs.append((float((gradient * direction).sum()), (ends[0] - ends[1]) / (2 * size)))
    return pairs


@pytest.mark.parametrize("bound", [10.0, 0.5])
def test_the_outer_gradient_is_that_of_finite_differences(bound: float):
    network, batch = make_network(), make_batch()
    found = meta_gradient(network, oml_learner(network, LR, clamp=bound), batch)
    pairs = slopes_by_finite_differences(network, found, batch, bound)
    assert max(abs(slope) for slope, _ in pairs) > 1e-2
    for name, (slope, expected) in zip(found, pairs, strict=True):
        assert slope == pytest.approx(expected, rel=1e-5, abs=1e-6), name


def test_without_second_order_it_is_another_gradient():
    network, batch = make_network(), make_batch()
    learner = oml_learner(network, LR, clamp=10.0)
    exact, first = (meta_gradient(network, learner, batch, through) for through in (TASKS * UPDATES, 0))
    assert max(float((exact[name] - first[name]).abs().max()) for name in exact) > 1e-3


def test_members_with_their_own_prediction_networks_predict_as_each_would_alone():
    network = make_network()
    start, innate = partition(network, network.is_innate)
    plastic = {name: torch.stack([tensor, 2 * tensor + 0.1]) for name, tensor in start.items()}
    inputs = torch.randn(2, 4, TASKS + 1, generator=seeded(3), dtype=torch.float64)
    together = network.predict(plastic, innate, network.prepare(innate, inputs))
    for member in range(2):
        alone = functional_call(network, {**innate, **{n: t[member] for n, t in plastic.items()}}, (inputs[member],))
        assert torch.allclose(together[member], alone, rtol=1e-12)


def test_the_whole_network_is_its_two_parts():
    network = make_network()
    plastic, innate = partition(network, network.is_innate)
    inputs = torch.randn(3, TASKS + 1, generator=seeded(4), dtype=torch.float64)
    assert torch.allclose(
        network(inputs), network.predict(stack_members(plastic, 1), innate, network.prepare(innate, inputs[None]))[0]
    )
    assert set(plastic) == {f"predictor.layers.{i}.{kind}" for i in range(2) for kind in ("weight", "bias")}


def test_a_size_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="Expected positive `num_inputs`"):
        OMLRegressor(3, width=0)
