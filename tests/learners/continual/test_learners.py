"""What every continual learner does: it learns, goes on where it was stopped, and remembers as well as its remedy says."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from hyperlearning.core.weight_vectors import num_bytes
from hyperlearning.learners.continual.distillation import Distillation, divergence
from hyperlearning.learners.continual.learner import ContinualLearner, Remedy, Sgd
from hyperlearning.learners.continual.progress_and_compress import Column, ProgressAndCompress
from hyperlearning.learners.continual.quadratic import Quadratic
from hyperlearning.learners.continual.rehearsal import Rehearsal

SGD = Sgd(num_epochs=20, batch=16, lr=0.1, momentum=0.5)
Make = Callable[[nn.Module], ContinualLearner | ProgressAndCompress]


def with_remedy(remedy: Callable[[], Remedy], **settings: bool) -> Make:
    return lambda network: ContinualLearner(network, remedy(), SGD, **settings)


LEARNERS: dict[str, Make] = {
    "sgd": with_remedy(Remedy),
    "l2": with_remedy(lambda: Quadratic("ones", strength=0.1, every_anchor=True)),
    "online_l2": with_remedy(lambda: Quadratic("ones", strength=0.1)),
    "ewc": with_remedy(lambda: Quadratic("fisher", strength=100.0, every_anchor=True)),
    "online_ewc": with_remedy(lambda: Quadratic("fisher", strength=100.0)),
    "one_head": with_remedy(lambda: Quadratic("fisher", strength=100.0), own_heads=False),
    "path": with_remedy(lambda: Quadratic("path", strength=1.0)),
    "distillation": with_remedy(lambda: Distillation(strength=1.0)),
    "rehearsal": with_remedy(lambda: Rehearsal(num_kept=20, generator=torch.Generator().manual_seed(5))),
    "progress_and_compress": lambda network: ProgressAndCompress(network, SGD, strength=100.0),
}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 2))


def task(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(number)
    images, direction = torch.randn(128, 6, generator=source), torch.randn(6, generator=source)
    return images, (images @ direction > 0).long()


def source() -> torch.Generator:
    return torch.Generator().manual_seed(9)


def right(learner: ContinualLearner | ProgressAndCompress, number: int) -> float:
    images, labels = task(number)
    return float((learner.scores(images, number).argmax(1) == labels).float().mean())


@pytest.mark.parametrize("name", LEARNERS)
def test_the_newest_task_is_learned(name: str):
    learner = LEARNERS[name](network())
    for number in range(2):
        learner.learn(*task(number), source())
    assert right(learner, 1) > 0.8
    assert learner.num_tasks == 2
    assert learner.scores(task(0)[0], 0).shape == (128, 2)


@pytest.mark.parametrize("name", LEARNERS)
def test_restored_after_two_tasks_it_learns_the_third_to_the_same_bits(name: str):
    whole, first = LEARNERS[name](network()), LEARNERS[name](network())
    for number in range(3):
        whole.learn(*task(number), source())
    for number in range(2):
        first.learn(*task(number), source())
    kept = {key: tensor.clone() for key, tensor in first.tensors().items()}
    first.learn(*task(7), source())
    second = LEARNERS[name](network())
    second.restore(kept, 2)
    second.learn(*task(2), source())
    for number in range(3):
        assert torch.equal(second.scores(task(0)[0], number), whole.scores(task(0)[0], number))


@pytest.mark.parametrize("name", [name for name in LEARNERS if name not in ("sgd", "one_head")])
def test_the_first_task_is_remembered_better_than_by_sgd(name: str):
    found = {}
    for each in ("sgd", name):
        scores = []
        for first in range(0, 16, 4):
            learner = LEARNERS[each](network())
            for number in range(first, first + 4):
                learner.learn(*task(number), source())
            scores += [_right_as(learner, number, first) for number in range(first, first + 3)]
        found[each] = sum(scores) / len(scores)
    assert found[name] > found["sgd"]


def _right_as(learner: ContinualLearner | ProgressAndCompress, number: int, first: int) -> float:
    images, labels = task(number)
    return float((learner.scores(images, number - first).argmax(1) == labels).float().mean())


def test_a_learner_does_not_change_the_network_it_is_given():
    given = network()
    before = {name: tensor.clone() for name, tensor in given.state_dict().items()}
    for make in LEARNERS.values():
        make(given).learn(*task(0), source())
    assert all(torch.equal(tensor, before[name]) for name, tensor in given.state_dict().items())


def test_the_divergence_is_that_of_the_definition_and_0_of_equal_scores():
    torch.manual_seed(0)
    scores, wanted = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    p, q = (wanted / 2).softmax(1), (scores / 2).softmax(1)
    torch.testing.assert_close(divergence(scores, wanted, temperature=2.0), 4 * (p * (p / q).log()).sum(1).mean())
    assert float(divergence(wanted, wanted).abs()) < 1e-12


def test_replay_keeps_as_many_images_of_every_task_within_its_bytes():
    remedy = Rehearsal(num_kept=20, generator=source())
    learner = ContinualLearner(network(), remedy, SGD)
    for number in range(3):
        learner.learn(*task(number), source())
    kept = remedy.tensors()
    counts = torch.bincount(kept["tasks"].long(), minlength=3)
    assert counts.max() - counts.min() <= 1 + counts.max() // 6
    assert len(kept["labels"]) == len(kept["images"]) <= 20
    assert kept["images"].dtype == torch.uint8


def test_replayed_images_are_those_that_were_kept_but_for_rounding():
    remedy = Rehearsal(num_kept=10, generator=source())
    learner = ContinualLearner(network(), remedy, Sgd(1, 16, 0.1))
    images, labels = task(0)
    learner.learn(images, labels, source())
    kept = remedy.tensors()
    low, high = kept["range"]
    pixels = kept["images"].float() / 255 * (high - low) + low
    nearest = (pixels[:, None] - images[None]).abs().amax(2).min(1)
    assert float(nearest.values.max()) < float(high - low) / 500
    assert torch.equal(labels[nearest.indices], kept["labels"].long())


def test_a_column_computes_what_its_equation_says():
    torch.manual_seed(1)
    own, other = network(), network()
    column = Column(own, other, source())
    images = torch.randn(4, 6)
    h = other[0](images).relu()
    adapter = column.adapters["2"]
    k = column.layers[0](images).relu()
    second = column.layers[2](k) + adapter.outwards(adapter.scale * adapter.inwards(h).relu())
    heard = other[2](h).relu()
    last = column.adapters["4"]
    wanted = column.layers[4](second.relu()) + last.outwards(last.scale * last.inwards(heard).relu())
    torch.testing.assert_close(column(images), wanted)


def test_bytes_of_a_learner_do_not_grow_with_tasks_but_for_heads():
    learner, sizes = LEARNERS["ewc"](network()), []
    for number in range(3):
        learner.learn(*task(number), source())
        sizes.append(num_bytes(learner.tensors()))
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0] == 4 * (12 * 2 + 2)


def test_a_column_needs_a_sequence_of_layers():
    class Other(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

    with pytest.raises(ValueError, match="Expected a Sequential, but got Other"):
        Column(Other(), Other(), source())


def test_a_network_without_a_dense_layer_is_refused():
    with pytest.raises(ValueError, match="ends in a dense layer, but got Conv2d"):
        ContinualLearner(nn.Conv2d(1, 1, 3), Remedy(), SGD)
