"""Pulls: kept in two numbers, they are the sum over all anchors; importance is what its definition says."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hyperlearning.learners.continual.fisher import fisher_diagonal
from hyperlearning.learners.continual.learner import ContinualLearner, Sgd
from hyperlearning.learners.continual.quadratic import Quadratic
from hyperlearning.networks.many_headed import ManyHeaded

DOUBLE = torch.float64
SGD = Sgd(num_epochs=1, batch=4, lr=0.05, momentum=0.5)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).to(DOUBLE)


def data(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(12, 3, generator=source, dtype=DOUBLE), torch.randint(3, (12,), generator=source)


def test_the_fisher_diagonal_is_what_a_plain_loop_over_images_and_labels_finds():
    many = ManyHeaded(network())
    many.add_task()
    images, _ = data(0)
    total = {name: torch.zeros_like(tensor) for name, tensor in many.shared().items()}
    for image in images:
        probable = many(image[None], 0).softmax(1)[0].detach()
        for label in range(3):
            many.zero_grad()
            many(image[None], 0).log_softmax(1)[0, label].backward()
            for name, tensor in many.shared().items():
                total[name] += probable[label] * tensor.grad**2 / len(images)
    found = fisher_diagonal(many, images, 0)
    assert set(found) == {"body.0.weight", "body.0.bias"}
    for name, wanted in total.items():
        torch.testing.assert_close(found[name], wanted)


def test_the_fisher_diagonal_is_the_curvature_of_the_divergence_from_the_network_itself():
    many = ManyHeaded(network())
    many.add_task()
    images, _ = data(0)
    before, step = many(images, 0).log_softmax(1).detach(), 1e-3
    fisher = fisher_diagonal(many, images, 0)["body.0.weight"][1, 2]

    def divergence(move: float) -> torch.Tensor:
        moved = copy.deepcopy(many)
        with torch.no_grad():
            moved.body[0].weight[1, 2] += move
            after = moved(images, 0).log_softmax(1)
        return (before.exp() * (before - after)).sum(1).mean()

    curvature = (divergence(step) + divergence(-step) - 2 * divergence(0.0)) / step**2
    torch.testing.assert_close(curvature, fisher, rtol=1e-3, atol=0)


@pytest.mark.parametrize("every_anchor", [True, False])
def test_a_pull_after_two_tasks_is_the_exact_minimum_of_the_sum_over_anchors(every_anchor: bool):
    strength, many = 3.0, ManyHeaded(network())
    pull = Quadratic("fisher", strength=strength, every_anchor=every_anchor)
    anchors, importances = [], []
    for task in range(2):
        many.add_task()
        with torch.no_grad():
            many.body[0].weight.add_(torch.randn(4, 3, dtype=DOUBLE))
        images, labels = data(task)
        pull.after_task(many, images, labels, torch.Generator().manual_seed(0))
        anchors.append(many.body[0].weight.detach().clone())
        importances.append(fisher_diagonal(many, images, task)["body.0.weight"])
    if not every_anchor:
        anchors = [anchors[-1]] * 2
    with torch.no_grad():
        many.body[0].weight.add_(torch.randn(4, 3, dtype=DOUBLE))
    begun = many.body[0].weight.detach().clone()
    pull.after_update(many, SGD)
    moved = many.body[0].weight.detach().clone().requires_grad_()
    own = (moved - begun).square().sum() / (2 * SGD.reach)
    for anchor, importance in zip(anchors, importances, strict=True):
        own = own + strength / 2 * (importance * (moved - anchor).square()).sum()
    (slope,) = torch.autograd.grad(own, moved)
    assert not torch.allclose(moved, begun)
    torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-10, rtol=0)


def test_online_l2_pulls_to_the_last_task_alone_and_no_harder_after_many():
    many, pull = ManyHeaded(network()), Quadratic("ones", strength=1.0)
    for task in range(3):
        many.add_task()
        with torch.no_grad():
            many.body[0].bias.fill_(float(task))
        pull.after_task(many, *data(0), torch.Generator())
    with torch.no_grad():
        many.body[0].bias.fill_(5.0)
    pull.after_update(many, SGD)
    wanted = (5.0 + SGD.reach * 2.0) / (1 + SGD.reach)
    torch.testing.assert_close(many.body[0].bias.detach(), torch.full((4,), wanted, dtype=DOUBLE))


def test_importance_by_the_path_is_what_a_plain_loop_counts():
    images, labels = data(1)
    pull = Quadratic("path", strength=2.0)
    learner = ContinualLearner(network(), pull, SGD)
    learner.learn(images, labels, torch.Generator().manual_seed(3))
    plain = network()
    names = {"body.0.weight": plain[0].weight, "body.0.bias": plain[0].bias}
    begun = {name: tensor.detach().clone() for name, tensor in names.items()}
    path = {name: torch.zeros_like(tensor) for name, tensor in begun.items()}
    sgd = torch.optim.SGD(plain.parameters(), lr=SGD.lr, momentum=SGD.momentum)
    for places in torch.randperm(12, generator=torch.Generator().manual_seed(3)).split(4):
        before = {name: tensor.detach().clone() for name, tensor in names.items()}
        sgd.zero_grad()
        cross_entropy(plain(images[places]), labels[places]).backward()
        sgd.step()
        for name, tensor in names.items():
            path[name] -= tensor.grad * (tensor.detach() - before[name])
    for name, tensor in names.items():
        wanted = path[name].clamp(min=0) / ((tensor.detach() - begun[name]) ** 2 + 0.1)
        torch.testing.assert_close(pull.tensors()[f"weight/{name}"], wanted)


def test_a_shared_head_is_pulled_too_and_an_own_one_is_not():
    for own_heads, num_pulled in ((True, 2), (False, 4)):
        many = ManyHeaded(network(), own_heads=own_heads)
        many.add_task()
        pull = Quadratic("ones", strength=1.0)
        pull.after_task(many, *data(0), torch.Generator())
        assert len(pull.tensors()) == 2 * num_pulled


def test_what_a_pull_refuses():
    with pytest.raises(ValueError, match="`strength` to be 0 or more, but got -1"):
        Quadratic("ones", strength=-1.0)
