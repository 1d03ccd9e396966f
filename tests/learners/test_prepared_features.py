"""What a learner prepares once, batches used for several updates, and a hyper-loss of its own."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from hyperlearning.core.losses import cross_entropy, tempered_cross_entropy
from hyperlearning.core.params import Params, partition, stack_members
from hyperlearning.learners.hyper_step import HyperBatch, HyperState, make_hyper_step, outer_parameters
from hyperlearning.learners.inner_loop import Learner, in_steps, live
from hyperlearning.learners.optimizers import optimizer
from hyperlearning.learners.population import split_forward
from hyperlearning.networks.dan.image_networks import dan_classifier
from hyperlearning.networks.dan.input_dans import InputDANs
from hyperlearning.networks.dan.phenotypes import ResidualPhenotype

MEMBERS, TASKS, BATCH, LABELS = 2, 3, 2, 4


def _seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def _draw(*shape: int, seed: int):
    return torch.rand(*shape, generator=_seeded(seed), dtype=torch.float64)


NETWORK = dan_classifier(
    InputDANs((1, 6, 6), maps=(3, 4), normalization="group", num_groups=1, centred=True, generator=_seeded()),
    num_classes=LABELS,
    hidden_sizes=(),
    num_channels=3,
    phenotype=partial(ResidualPhenotype, hidden_sizes=(3,)),
    synaptic_scaling=1.0,
    generator=_seeded(1),
).double()
START, INNATE = partition(NETWORK, NETWORK.is_innate)
PREPARE, FORWARD = split_forward(NETWORK, START, input_ndim=3, backend="eager", second_order=True)


def _whole(plastic: Params, innate: Params, inputs: Tensor):
    """Trunk and head in one: what `forward` is without `prepare`."""
    return FORWARD(plastic, innate, PREPARE(innate, inputs))


def _labels(*shape: int, seed: int):
    return torch.randint(LABELS, shape, generator=_seeded(seed))


def _batch(num_batches: int):
    return HyperBatch(
        _draw(num_batches, MEMBERS, BATCH, 1, 6, 6, seed=1),
        _labels(num_batches, MEMBERS, BATCH, seed=2),
        _draw(1, MEMBERS, 5, 1, 6, 6, seed=3),
        _labels(1, MEMBERS, 5, seed=4),
    )


def _learner(*, split: bool = True, inner: str = "sgd", **options: Any):
    parts: dict[str, Any] = {"forward": FORWARD, "prepare": PREPARE} if split else {"forward": _whole}
    return Learner(loss_fn=cross_entropy, optimizer=optimizer(inner), inner_lr=0.3, **parts, **options)


def _advance(learner: Learner, batch: HyperBatch, **options: Any):
    """One outer step by SGD of rate 1, so that parameters before less those after are the outer gradient."""
    return _advance_innate(learner, batch, INNATE, **options)


def _advance_head(learner: Learner, batch: HyperBatch, **options: Any):
    """The same on features, where the trunk has no part."""
    of_head = {name: tensor for name, tensor in INNATE.items() if name.startswith("head.")}
    return _advance_innate(learner, batch, of_head, **options)


def _advance_innate(learner: Learner, batch: HyperBatch, innate: Params, **options: Any):
    outer = optimizer("sgd")
    plastic = stack_members(START, MEMBERS)
    learn_start = options.get("learn_start", False)
    moments = outer.init(outer_parameters(innate, START, learn_start=learn_start))
    state = HyperState(plastic, learner.optimizer.init(plastic), innate, START, moments)
    step = make_hyper_step(learner, outer, **options)
    return step(state, batch, torch.tensor(1.0, dtype=torch.float64))


@pytest.mark.parametrize("inner", ["sgd", "adam"])
@pytest.mark.parametrize("through", [0, 2, 6])
def test_preparing_inputs_gives_the_outer_gradients_of_running_the_trunk_in_every_update(through: int, inner: str):
    options = {"update_every": 6, "through": through, "learn_start": True, "steps_per_batch": 2}
    prepared, whole = (
        _advance(_learner(split=split, inner=inner), _batch(TASKS), **options) for split in (True, False)
    )
    torch.testing.assert_close(prepared, whole, rtol=1e-12, atol=1e-12)
    moved = max(float((prepared[0].innate[name] - INNATE[name]).abs().max()) for name in INNATE if "trunk" in name)
    assert moved > 1e-3


@pytest.mark.parametrize("inner", ["sgd", "adam"])
@pytest.mark.parametrize(("update_every", "through"), [(6, 0), (6, 3), (6, 6), (2, 1)])
def test_a_batch_used_for_two_updates_equals_a_stream_that_repeats_it_to_the_bit(
    update_every: int, through: int, inner: str
):
    # On features: convolutions of fewer images may round differently.
    images, num_batches = _batch(update_every // 2), update_every // 2
    batch = images._replace(
        inputs=_draw(num_batches, MEMBERS, BATCH, 16, seed=1), hyper_inputs=_draw(1, MEMBERS, 5, 16, seed=3)
    )
    twice = batch._replace(inputs=in_steps(batch.inputs, 2), targets=in_steps(batch.targets, 2))
    learner = _learner(inner=inner)._replace(prepare=None)
    options = {"update_every": update_every, "through": through, "learn_start": True}
    once, again = _advance_head(learner, batch, **options, steps_per_batch=2), _advance_head(learner, twice, **options)
    torch.testing.assert_close(once, again, rtol=0, atol=0)


def test_a_batch_used_for_two_updates_has_the_trunks_gradient_of_a_stream_that_repeats_it():
    batch = _batch(TASKS)
    twice = batch._replace(inputs=in_steps(batch.inputs, 2), targets=in_steps(batch.targets, 2))
    options = {"update_every": 6, "through": 6, "learn_start": True}
    once = _advance(_learner(), batch, **options, steps_per_batch=2)
    torch.testing.assert_close(once, _advance(_learner(), twice, **options), rtol=1e-12, atol=1e-12)


def test_a_life_that_uses_each_batch_twice_equals_one_on_repeated_batches_to_the_bit():
    batch, plastic = _batch(TASKS), stack_members(START, MEMBERS)
    once = list(live(_learner(), plastic, INNATE, batch.inputs, batch.targets, steps_per_batch=2))
    repeated = in_steps(batch.inputs, 2), in_steps(batch.targets, 2)
    twice = list(live(_learner(), plastic, INNATE, *repeated))
    torch.testing.assert_close(once, twice[::2], rtol=0, atol=0)
    assert len(once) == TASKS + 1


def test_steps_are_in_order_of_the_batches():
    assert in_steps(torch.tensor([3, 1, 2]), 2).tolist() == [3, 3, 1, 1, 2, 2]


@pytest.mark.parametrize("through", [0, 6])
def test_the_outer_gradient_is_of_the_hyper_loss_and_the_inner_one_of_the_task_loss(through: int):
    options = {"update_every": 6, "through": through, "steps_per_batch": 2}
    task, batch = tempered_cross_entropy(50.0), _batch(TASKS)
    own = _advance(_learner()._replace(loss_fn=task, hyper_loss_fn=cross_entropy), batch, **options)
    tasks_own = _advance(_learner()._replace(loss_fn=task), batch, **options)
    torch.testing.assert_close(own[0].plastic, tasks_own[0].plastic, rtol=0, atol=0)
    torch.testing.assert_close(own[1].task, tasks_own[1].task, rtol=0, atol=0)
    with torch.no_grad():
        logits = _whole(own[0].plastic, INNATE, batch.hyper_inputs[0])
    torch.testing.assert_close(own[1].hyper, cross_entropy(logits, batch.hyper_targets[0]), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(tasks_own[1].hyper, task(logits, batch.hyper_targets[0]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("steps_per_batch", [0, 4])
def test_updates_that_no_number_of_batches_makes_are_refused(steps_per_batch: int):
    with pytest.raises(ValueError, match=f"Expected `steps_per_batch` to divide .* but got {steps_per_batch}"):
        make_hyper_step(_learner(), optimizer("sgd"), update_every=6, steps_per_batch=steps_per_batch)
