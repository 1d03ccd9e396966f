"""Hypernetworks that learn tasks: they learn and keep, go on to the same bits, and stay within their bounds."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from hyperlearning.learners.hypernet_continual.hypermask import KeepMasks
from hyperlearning.learners.hypernet_continual.intervals import KeepIntervals, worst_scores
from hyperlearning.learners.hypernet_continual.learner import (
    AdamRule,
    HypernetLearner,
    KeepOutputs,
    turned,
    with_doubt,
)
from hyperlearning.learners.hypernet_continual.output_penalty import OutputPenalty
from hyperlearning.learners.hypernet_continual.task_inference import entropies, said_of, surest
from hyperlearning.networks.hypernetworks.emissions import MaskEmission, ResidualEmission
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork
from hyperlearning.networks.hypernetworks.intervals import emitted_interval, run_interval


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def target(outputs: int = 2) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, outputs))


def task(number: int, num_images: int = 200) -> tuple[Tensor, Tensor]:
    """Which of two sides of a plane of the task's own a point is on."""
    images = torch.randn(num_images, 6, generator=source(number + 10))
    return images, (images @ torch.randn(6, generator=source(number)) > 0).long()


def outputs(penalty: OutputPenalty | None = None, **options: bool) -> HypernetLearner:
    hyper = Hypernetwork(target(), 4, embedding_size=8, hidden=(16,), chunk_size=40, generator=source())
    return HypernetLearner(
        hyper, KeepOutputs(penalty or OutputPenalty(strength=1.0), **options), AdamRule(400, 32, 0.01)
    )


def masks() -> HypernetLearner:
    shape = {"embedding_size": 8, "hidden": (16,), "emits": lambda name: not name.startswith("2.")}
    hyper = Hypernetwork(target(8), 4, emission=MaskEmission(), generator=source(), **shape)
    objective = KeepMasks(OutputPenalty(strength=1e-2), hold=0.1, zeros=0.3, num_outputs=2)
    return HypernetLearner(hyper, objective, AdamRule(400, 32, 0.01))


def intervals(*, nested: bool = False) -> HypernetLearner:
    hyper = Hypernetwork(target(), 4, embedding_size=8, hidden=(16,), chunk_size=40, generator=source())
    objective = KeepIntervals(target(), strength=1.0, radius=0.1, nested=nested)
    return HypernetLearner(hyper, objective, AdamRule(400, 32, 0.01))


KINDS: dict[str, Callable[[], HypernetLearner]] = {
    "outputs": outputs,
    "lookahead": lambda: outputs(lookahead=True),
    "recomputed": lambda: outputs(OutputPenalty(strength=1.0, targets="recomputed", num_old=1)),
    "factored": lambda: outputs(OutputPenalty(strength=1.0, targets="factored")),
    "masks": masks,
    "intervals": intervals,
}


def right(learner: HypernetLearner, number: int) -> float:
    images, labels = task(number)
    return float((learner.scores(images, number).argmax(1) == labels).float().mean())


@pytest.mark.parametrize("kind", KINDS)
def test_tasks_are_learned_and_kept(kind: str):
    learner, when_learned = KINDS[kind](), []
    for number in range(4):
        learner.learn(*task(number), source())
        when_learned.append(right(learner, number))
    assert min(when_learned) > 0.9
    assert min(right(learner, number) - own for number, own in enumerate(when_learned)) > -0.06


def test_without_a_penalty_tasks_are_forgotten():
    learner = outputs(OutputPenalty(strength=0.0))
    for number in range(4):
        learner.learn(*task(number), source())
    assert right(learner, 3) > 0.9
    assert min(right(learner, number) for number in range(3)) < 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_restored_after_a_task_it_goes_on_to_the_same_bits(kind: str):
    learner, other, order = KINDS[kind](), KINDS[kind](), source()
    learner.learn(*task(0), order)
    learner.learn(*task(1), order)
    kept, state = {name: tensor.clone() for name, tensor in learner.tensors().items()}, order.get_state()
    learner.learn(*task(2), order)
    other.restore(kept, 2)
    again = source(9)
    again.set_state(state)
    other.learn(*task(2), again)
    for name, tensor in learner.tensors().items():
        assert torch.equal(tensor, other.tensors()[name])


def test_embeddings_of_old_tasks_stay_and_more_tasks_than_embeddings_are_refused():
    learner = outputs()
    learner.learn(*task(0), source())
    before = learner.hyper.embeddings[0].clone()
    learner.learn(*task(1), source())
    assert torch.equal(learner.hyper.embeddings[0], before)
    learner.num_tasks = 4
    with pytest.raises(ValueError, match="Expected at most 4 tasks"):
        learner.learn(*task(0), source())


def test_a_base_that_nothing_holds_does_not_move():
    hyper = Hypernetwork(target(), 2, emission=ResidualEmission(gain=0.5), hidden=(8,), generator=source())
    before = hyper.get_parameter("targets.target.base").clone()
    HypernetLearner(hyper, KeepOutputs(OutputPenalty(strength=1.0)), AdamRule(5, 32)).learn(*task(0), source())
    assert torch.equal(hyper.get_parameter("targets.target.base"), before)


def test_masks_have_their_zeros_and_outputs_of_old_tasks_do_not_move():
    learner = masks()
    learner.learn(*task(0), source())
    weights = learner.hyper.weights(0)["0.weight"]
    assert abs(float((weights == 0).float().mean()) - 0.3) < 0.02
    head = learner.hyper.get_parameter("targets.target.rest").view(-1)[: 8 * 16].view(8, 16)[:2].clone()
    learner.learn(*task(1), source())
    assert torch.equal(learner.hyper.get_parameter("targets.target.rest").view(-1)[: 8 * 16].view(8, 16)[:2], head)


def chain() -> nn.Sequential:
    layers = [nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(16, 5), nn.ELU(), nn.Linear(5, 3, bias=False)).double()


@pytest.mark.parametrize("shape", [{}, {"chunk_size": 37}, {"hidden": ()}, {"activation": "tanh", "hidden": (5, 4)}])
def test_no_network_of_a_box_and_no_output_leaves_its_bounds(shape: dict):
    network = chain()
    hyper = Hypernetwork(network, 2, embedding_size=4, generator=source(), **{"hidden": (6,), **shape}).double()
    centres, radii = hyper.embeddings.detach(), torch.tensor([[0.3], [0.0]]).double().expand(-1, 4)
    images = torch.randn(7, 1, 8, 8, generator=source(1), dtype=torch.float64)
    with torch.no_grad():
        lower, middle, upper = emitted_interval(hyper, centres, radii)
        torch.testing.assert_close(middle, hyper.emitted(centres), rtol=0, atol=0)
        torch.testing.assert_close(lower[1], upper[1], rtol=1e-12, atol=1e-12)
        ends = [{name: tensor[0] for name, tensor in hyper.weights_of(end).items()} for end in (lower, upper)]
        least, most = run_interval(network, ends[0], ends[1], images)
        for seed in range(200):
            step = torch.rand(2, 4, generator=source(seed), dtype=torch.float64) * 2 - 1
            step = step.sign() if seed % 2 else step
            emitted = hyper.emitted(centres + radii * step)
            assert bool(((emitted >= lower - 1e-12) & (emitted <= upper + 1e-12)).all())
            said = functional_call(network, {n: t[0] for n, t in hyper.weights_of(emitted).items()}, (images,))
            assert bool(((said >= least - 1e-12) & (said <= most + 1e-12)).all())
    assert bool((most > least).all())


def test_a_layer_that_may_fall_is_refused_by_name():
    with pytest.raises(TypeError, match="'0' is Softmax"):
        run_interval(nn.Sequential(nn.Softmax(1)), {}, {}, torch.zeros(2, 3))


def test_worst_scores_are_the_lower_end_of_the_true_label_and_the_upper_of_others():
    lower, upper = torch.tensor([[0.0, 1.0], [2.0, 3.0]]), torch.tensor([[10.0, 11.0], [12.0, 13.0]])
    assert torch.equal(worst_scores(lower, upper, torch.tensor([0, 1])), torch.tensor([[0.0, 11.0], [12.0, 3.0]]))


def test_nested_boxes_share_a_network_that_lies_within_the_bounds_of_each():
    learner = intervals(nested=True)
    for number in range(2):
        learner.learn(*task(number), source())
    objective, images = learner.objective, task(0)[0]
    assert isinstance(objective, KeepIntervals)
    with torch.no_grad():
        said = objective.shared_scores(learner.hyper, images)
        for number in range(2):
            lower, upper = objective.bounds(learner.hyper, images, number)
            assert bool(((said >= lower - 1e-5) & (said <= upper + 1e-5)).all())


def test_entropies_are_finite_however_far_scores_are_apart():
    scores = torch.tensor([[[0.0, 300.0], [1.0, 1.0]], [[0.0, 1e30], [0.0, 2.0]]])
    found = entropies(scores)
    assert bool(torch.isfinite(found).all())
    torch.testing.assert_close(found[0], torch.tensor([0.0, 0.6931]), atol=1e-4, rtol=0)
    plain = torch.distributions.Categorical(logits=scores[1, 1]).entropy()
    torch.testing.assert_close(found[1, 1], plain)


def test_of_networks_that_are_equally_sure_the_one_that_stands_out_is_taken_and_says_the_label():
    scores = torch.tensor([[[0.0, 300.0]], [[900.0, 0.0]], [[0.0, 1.0]]])
    assert surest(scores).tolist() == [1]
    assert said_of(scores, surest(scores)).tolist() == [0]


def test_penalties_leave_what_they_are_given_as_it_was():
    learner = outputs()
    learner.learn(*task(0), source())
    hyper = copy.deepcopy(learner.hyper)
    learner.objective.before_task(learner.hyper, 1)
    assert all(torch.equal(a, b) for a, b in zip(hyper.parameters(), learner.hyper.parameters(), strict=True))


def test_doubt_is_the_cross_entropy_of_turned_images_to_equal_labels():
    images, labels = torch.randn(6, 1, 4, 4, generator=source()), torch.tensor([0, 1, 2, 0, 1, 2])
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    far = turned(images)
    assert torch.equal(far[0], images[0].rot90(1, (1, 2)))
    assert torch.equal(far[5], images[5].rot90(3, (1, 2)))
    plain = nn.functional.cross_entropy(network(images), labels)
    even = nn.functional.cross_entropy(network(far), torch.full((6, 3), 1 / 3))
    torch.testing.assert_close(with_doubt(network, images, labels, doubt=0.5), plain + 0.5 * even)
