"""The penalty on what is emitted: a plain loop over tasks, finite differences, what is held, and what an optimizer would do."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hyperlearning.learners.hypernet_continual.learner import KeepOutputs, Update
from hyperlearning.learners.hypernet_continual.lookahead import moved, next_step
from hyperlearning.learners.hypernet_continual.output_penalty import OutputPenalty, TargetsOf
from hyperlearning.networks.hypernetworks.emissions import MaskEmission
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def target() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


def made(conditions: int = 5) -> Hypernetwork:
    options = {"embedding_size": 3, "hidden": (7,), "activation": "tanh", "chunk_size": 20, "chunk_embedding_size": 2}
    return Hypernetwork(target(), conditions, generator=source(), **options).double()


def shaken(hyper: Hypernetwork, seed: int = 1) -> Hypernetwork:
    with torch.no_grad():
        for tensor in hyper.parameters():
            tensor.add_(0.1 * torch.randn(tensor.shape, generator=source(seed), dtype=tensor.dtype))
    return hyper


def by_loop(before: Hypernetwork, now: Hypernetwork, num_old: int, strength: float) -> Tensor:
    """One task after another, of weights by name; embeddings of old tasks are those of before."""
    total = torch.zeros((), dtype=torch.float64)
    for task in range(num_old):
        old, new = before.emit(before.embeddings[task][None]), now.emit(before.embeddings[task][None])
        total = total + sum((new[name] - old[name].detach()).square().sum() for name in old)
    return strength * total / num_old


@pytest.mark.parametrize("targets", ["stored", "recomputed", "factored"])
def test_it_is_that_of_a_loop_over_tasks_and_so_is_its_gradient(targets: TargetsOf):
    hyper = made()
    penalty = OutputPenalty(strength=0.3, targets=targets)
    penalty.before_task(hyper, 4)
    before = copy.deepcopy(hyper)
    shaken(hyper)
    wanted = by_loop(before, hyper, 4, 0.3)
    params = [tensor for name, tensor in hyper.named_parameters() if name != "embeddings"]
    slopes = torch.autograd.grad(wanted, params)
    penalty.backward(hyper, None)
    for own, other in zip(params, slopes, strict=True):
        torch.testing.assert_close(own.grad, other, rtol=1e-10, atol=1e-14)


def test_factors_are_those_of_what_is_emitted_at_once_of_masks_and_of_drawn_tasks():
    shapes = ({"hidden": (7,)}, {"hidden": ()}, {"chunk_size": 9, "emission": MaskEmission()}, {"chunk_size": 500})
    for shape in shapes:
        hyper = Hypernetwork(target(), 5, embedding_size=3, generator=source(), **{"hidden": (5, 4), **shape}).double()
        found = []
        pair = OutputPenalty(strength=0.3, num_old=2), OutputPenalty(strength=0.3, targets="factored", num_old=2)
        for penalty in pair:
            penalty.before_task(hyper, 4)
        shaken(hyper)
        for penalty in pair:
            hyper.zero_grad()
            penalty.backward(hyper, torch.tensor([3, 1]))
            found.append([tensor.grad for tensor in hyper.parameters() if tensor.grad is not None])
        for own, other in zip(*found, strict=True):
            torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-13)


def test_factors_know_the_penalty_itself():
    hyper = made()
    pair = OutputPenalty(strength=0.3), OutputPenalty(strength=0.3, targets="factored")
    for penalty in pair:
        penalty.before_task(hyper, 4)
    old = pair[0].embeddings(None)
    wanted = pair[0].value(shaken(hyper).emitted(old), None)
    factored = pair[1].factored
    assert factored is not None
    torch.testing.assert_close(factored.backward(hyper, old, None, 0.3 / 4), wanted, rtol=1e-11, atol=0)


def test_its_slopes_are_finite_differences_of_its_value():
    hyper = made()
    penalty = OutputPenalty(strength=0.7)
    penalty.before_task(hyper, 3)
    emitted = shaken(hyper).emitted(penalty.embeddings(None)).detach()
    slopes = penalty.slopes(emitted, None)
    for place in ((0, 0), (1, 17), (2, 50)):
        step = torch.zeros_like(emitted)
        step[place] = 1e-4
        rise = penalty.value(emitted + step, None) - penalty.value(emitted - step, None)
        torch.testing.assert_close(slopes[place], rise / 2e-4, rtol=1e-6, atol=1e-10)


def test_some_old_tasks_are_drawn_and_the_mean_is_theirs():
    hyper = made()
    penalty = OutputPenalty(strength=1.0, num_old=2)
    penalty.before_task(hyper, 4)
    shaken(hyper)
    drawn = [penalty.draw(source(seed)) for seed in range(20)]
    assert all(which is not None and len(set(which.tolist())) == 2 for which in drawn)
    assert {int(task) for which in drawn if which is not None for task in which} == {0, 1, 2, 3}
    which, every = torch.tensor([3, 1]), OutputPenalty(strength=1.0)
    every._stored_TN, every._weights_N = penalty._stored_TN, penalty._weights_N
    emitted = hyper.emitted(penalty.embeddings(which))
    each = [penalty.value(emitted[place][None], which[place][None]) for place in (0, 1)]
    torch.testing.assert_close(penalty.value(emitted, which), torch.stack(each).mean())


def test_what_is_held_grows_with_old_tasks_if_stored_and_not_if_recomputed():
    hyper, held = made(), {}
    for targets in ("stored", "recomputed", "factored"):
        penalty = OutputPenalty(strength=1.0, targets=targets)
        held[targets] = []
        for num_old in (1, 2, 4):
            penalty.before_task(hyper, num_old)
            held[targets].append(penalty.num_held)
    width = hyper.emitted(hyper.embeddings).shape[1]
    assert held["stored"] == [width, 2 * width, 4 * width]
    assert [held["factored"][2] - held["factored"][1], held["factored"][1] - held["factored"][0]] == [2 * 21, 21]
    assert held["recomputed"] == [sum(tensor.numel() for tensor in hyper.parameters())] * 3


@pytest.mark.parametrize(
    "make",
    [
        lambda params: torch.optim.SGD(params, lr=0.1),
        lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
        lambda params: torch.optim.Adam(params, lr=0.01),
        lambda params: torch.optim.Adam(params, lr=0.01, betas=(0.5, 0.9), eps=1e-3, fused=True),
    ],
)
def test_a_step_that_is_looked_at_is_the_one_that_the_optimizer_takes(make: Any):
    params = [nn.Parameter(torch.randn(3, 2, generator=source(seed), dtype=torch.float64)) for seed in (0, 1)]
    optimizer = make(params)
    for number in range(4):
        for place, tensor in enumerate(params):
            tensor.grad = torch.randn(3, 2, generator=source(10 * number + place), dtype=torch.float64)
        before = [tensor.detach().clone() for tensor in params]
        steps = next_step(optimizer, params)
        assert all(torch.equal(tensor, own) for tensor, own in zip(params, before, strict=True))
        optimizer.step()
        for tensor, own, step in zip(params, before, steps, strict=True):
            torch.testing.assert_close(tensor.detach() - own, step, rtol=1e-9, atol=1e-14)


def test_another_optimizer_is_refused_by_name():
    params = [nn.Parameter(torch.zeros(2))]
    with pytest.raises(TypeError, match="Expected SGD or Adam, but got RMSprop"):
        next_step(torch.optim.RMSprop(params), params)


def test_moved_parameters_come_back_to_the_bit():
    params = [nn.Parameter(torch.randn(5, generator=source()))]
    before = params[0].detach().clone()
    with moved(params, [torch.full((5,), 1e-3)]):
        assert not torch.equal(params[0], before)
    assert torch.equal(params[0], before)


def _update(hyper: Hypernetwork, optimizer: torch.optim.Optimizer, task: int) -> Update:
    images = torch.randn(8, 4, generator=source(3), dtype=torch.float64)
    labels = torch.randint(3, (8,), generator=source(4))
    embedding = nn.Parameter(hyper.embeddings[task : task + 1].detach().clone())
    return Update(task, embedding, images, labels, 0.5, source(5), optimizer)


@pytest.mark.parametrize("targets", ["stored", "factored"])
@pytest.mark.parametrize("lookahead", [False, True])
def test_an_update_has_the_gradients_of_the_loss_and_of_the_penalty_where_the_step_would_lead(
    lookahead: bool, targets: TargetsOf
):
    hyper = made()
    objective = KeepOutputs(OutputPenalty(strength=0.5, targets=targets), lookahead=lookahead)
    objective.before_task(hyper, 3)
    before = copy.deepcopy(hyper)
    shaken(hyper)
    params = objective.moving(hyper)
    optimizer = torch.optim.Adam(params, lr=0.05)
    update = _update(hyper, optimizer, 3)
    weights = hyper.emit(update.embedding_1E)
    scores = torch.func.functional_call(target().double(), {n: t[0] for n, t in weights.items()}, (update.images,))
    loss = nn.functional.cross_entropy(scores, update.labels)
    wanted = list(torch.autograd.grad(loss, [*params, update.embedding_1E]))
    ahead = copy.deepcopy(hyper)
    if lookahead:
        for tensor, grad in zip(params, wanted, strict=False):
            tensor.grad = grad
        for tensor, step in zip(objective.moving(ahead), next_step(optimizer, params), strict=True):
            tensor.data += step
        optimizer.zero_grad()
    pulled = torch.autograd.grad(by_loop(before, ahead, 3, 0.5), objective.moving(ahead))
    wanted = [one + other for one, other in zip(wanted, pulled, strict=False)] + wanted[-1:]
    objective.backward(hyper, update)
    for tensor, grad in zip([*params, update.embedding_1E], wanted, strict=True):
        torch.testing.assert_close(tensor.grad, grad, rtol=1e-9, atol=1e-13)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="Expected `strength` to be 0 or more, but got -1"):
        OutputPenalty(strength=-1.0)
    with pytest.raises(ValueError, match="Expected `num_old` to be positive, but got 0"):
        OutputPenalty(strength=1.0, num_old=0)
