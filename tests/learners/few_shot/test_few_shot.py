"""Few-shot heads and learners: each against its formula written out, in double precision."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from hyperlearning.core.seeding import generator
from hyperlearning.learners.few_shot.anil import AnilHead
from hyperlearning.learners.few_shot.descent import descend
from hyperlearning.learners.few_shot.embedded import Embedded
from hyperlearning.learners.few_shot.hyper_maml import HyperMamlHead, blend_share
from hyperlearning.learners.few_shot.hyper_shot import EquivariantHyperShotHead, HyperShotHead
from hyperlearning.learners.few_shot.linear_tuning import TunedHead
from hyperlearning.learners.few_shot.maml import Maml
from hyperlearning.learners.few_shot.matching import MatchingHead
from hyperlearning.learners.few_shot.prototypes import PrototypeHead
from hyperlearning.learners.few_shot.ridge import RidgeHead, ridge_weights
from hyperlearning.networks.conv4 import Conv4

E, W, S, Q, D = 3, 4, 2, 5, 6


def source() -> torch.Generator:
    return generator(0, "few-shot tests")


def features(num_shots: int = S) -> tuple[Tensor, Tensor]:
    own = source()
    draw = lambda *shape: torch.randn(*shape, generator=own, dtype=torch.float64)  # noqa: E731
    return draw(E, W, num_shots, D), draw(E, Q, D)


HEADS: dict[str, Callable[[], nn.Module]] = {
    "prototypes": lambda: PrototypeHead("euclidean"),
    "prototypes by angle": lambda: PrototypeHead("cosine"),
    "matching": MatchingHead,
    "ridge": lambda: RidgeHead(D),
    "linear": lambda: TunedHead("linear", D, 9, generator=source()),
    "cosine": lambda: TunedHead("cosine", D, 9, generator=source()),
    "anil": lambda: AnilHead(D, W, generator=source()),
    "hyper shot": lambda: HyperShotHead(W, hidden=7, neck=8, generator=source()),
    "hyper shot, adapted": lambda: HyperShotHead(W, hidden=7, neck=8, num_steps=3, generator=source()),
    "equivariant": lambda: EquivariantHyperShotHead(hidden=5, summary=4, generator=source()),
    "equivariant, adapted": lambda: EquivariantHyperShotHead(hidden=5, summary=4, num_steps=3, generator=source()),
    "hyper maml": lambda: HyperMamlHead(D, W, hidden=(8,), generator=source()),
}
ANY_ORDER = [name for name in HEADS if name not in ("anil", "hyper shot", "hyper shot, adapted", "hyper maml")]


@pytest.mark.parametrize("name", HEADS)
def test_episodes_in_one_call_are_episodes_one_by_one(name: str):
    head, (support, query) = HEADS[name]().double(), features()
    together = head(support, query)
    assert together.shape == (E, Q, W)
    alone = [head(support[i : i + 1], query[i : i + 1]) for i in range(E)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", HEADS)
def test_queries_do_not_depend_on_one_another(name: str):
    head, (support, query) = HEADS[name]().double(), features()
    torch.testing.assert_close(head(support, query[:, :1]), head(support, query)[:, :1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ANY_ORDER)
def test_classes_in_another_order_have_their_scores_in_that_order(name: str):
    head, (support, query) = HEADS[name]().double(), features()
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(head(support[:, order], query), head(support, query)[..., order], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ANY_ORDER)
def test_any_number_of_classes_is_possible_where_order_does_not_matter(name: str):
    head, (support, query) = HEADS[name]().double(), features()
    assert head(support[:, :3], query).shape == (E, Q, 3)


@pytest.mark.parametrize("name", HEADS)
def test_nothing_that_is_handed_in_is_changed(name: str):
    head, (support, query) = HEADS[name]().double(), features()
    before = support.clone(), query.clone()
    with torch.no_grad():
        head(support, query)
    assert torch.equal(support, before[0])
    assert torch.equal(query, before[1])


@pytest.mark.parametrize("name", ["prototypes", "matching", "ridge", "anil", "hyper shot", "equivariant", "hyper maml"])
def test_gradients_with_respect_to_features_are_finite_differences(name: str):
    head, (support, query) = HEADS[name]().double(), features()
    loss = lambda moved: head(moved, query).log_softmax(-1)[..., 0].sum()  # noqa: E731
    leaf = support.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf), leaf)
    other = torch.Generator().manual_seed(99)  # Along the features themselves, angles do not change.
    direction = torch.randn(support.shape, generator=other, dtype=torch.float64)
    step = 1e-6
    with torch.no_grad():
        found = (loss(support + step * direction) - loss(support - step * direction)) / (2 * step)
    along = float((gradient * direction).sum())
    assert abs(along) > 1e-6
    assert float(found) == pytest.approx(along, rel=1e-4)


def test_prototypes_are_means_and_scores_are_distances_by_plain_loops():
    support, query = features()
    scores = PrototypeHead("euclidean").double()(support, query).detach()
    by_angle = PrototypeHead("cosine").double()(support, query).detach()
    for e in range(E):
        for q in range(Q):
            for w in range(W):
                mean = sum(support[e, w, s] for s in range(S)) / S
                assert float(scores[e, q, w]) == pytest.approx(float(-10 * (query[e, q] - mean).square().mean()))
                unit = sum(support[e, w, s] / support[e, w, s].norm() for s in range(S))
                angle = query[e, q] @ unit / (query[e, q].norm() * unit.norm())
                assert float(by_angle[e, q, w]) == pytest.approx(float(10 * angle))


def test_matching_is_attention_on_labels_by_plain_loops():
    support, query = features()
    probabilities = MatchingHead().double()(support, query).softmax(-1)
    for q in range(Q):
        weights = torch.stack(
            [torch.stack([_cosine(query[1, q], support[1, w, s]) for s in range(S)]) for w in range(W)]
        )
        attention = (10 * weights).flatten().softmax(0).view(W, S).sum(1)
        torch.testing.assert_close(probabilities[1, q], attention)


def _cosine(first: Tensor, second: Tensor) -> Tensor:
    return first @ second / (first.norm() * second.norm())


def test_ridge_weights_solve_the_normal_equations():
    support, _ = features(num_shots=3)
    precision = torch.tensor(0.7, dtype=torch.float64)
    weights = ridge_weights(support, precision)
    images = support.flatten(1, 2)
    targets = torch.eye(W, dtype=torch.float64).repeat_interleave(3, 0)
    left = (images.transpose(1, 2) @ images + precision * torch.eye(D, dtype=torch.float64)) @ weights
    torch.testing.assert_close(left, images.transpose(1, 2) @ targets, rtol=1e-9, atol=1e-9)


def test_gradient_steps_on_a_quadratic_have_the_closed_form_and_its_derivative():
    curvature, lr, num_steps = 0.8, 0.3, 7
    start = torch.tensor([1.5], dtype=torch.float64, requires_grad=True)
    ends = {
        order: descend(
            lambda own: 0.5 * curvature * own["w"].square(), {"w": start}, num_steps=num_steps, lr=lr, order=order
        )["w"]
        for order in ("second", "first", "none")
    }
    factor = (1 - lr * curvature) ** num_steps
    assert all(float(end.detach()) == pytest.approx(1.5 * factor, rel=1e-12) for end in ends.values())
    slopes = [torch.autograd.grad(ends[order], start)[0].item() for order in ("second", "first")]
    assert slopes[0] == pytest.approx(factor, rel=1e-12)
    assert slopes[1] == 1.0
    assert not ends["none"].requires_grad


def maml(order: str) -> Maml:
    network = Conv4(width=3, side=16, statistics="batch", generator=source())
    return Maml(network, network.num_features, 2, num_steps=2, lr=0.3, order=order, generator=source()).double()


def maml_loss(learner: Maml) -> Tensor:
    own = source()
    images = torch.rand(1, 2, 2, 1, 16, 16, generator=own, dtype=torch.float64)
    query = torch.rand(1, 3, 1, 16, 16, generator=own, dtype=torch.float64)
    return learner(images, query).log_softmax(-1)[..., 0].sum()


def test_the_second_order_gradient_of_maml_is_finite_differences_and_the_first_order_one_is_not():
    gradients, direction = {}, {}
    for order in ("second", "first"):
        learner = maml(order)
        gradients[order] = torch.autograd.grad(maml_loss(learner), list(learner.parameters()))
    learner, own = maml("second"), source()
    direction = [torch.randn(p.shape, generator=own, dtype=torch.float64) for p in learner.parameters()]
    moved = []
    for sign in (1, -1):
        learner = maml("second")
        with torch.no_grad():
            for parameter, along in zip(learner.parameters(), direction, strict=True):
                parameter += sign * 1e-6 * along
        moved.append(float(maml_loss(learner).detach()))
    found = (moved[0] - moved[1]) / 2e-6
    along = {
        order: sum(float((g * d).sum()) for g, d in zip(own, direction, strict=True))
        for order, own in gradients.items()
    }
    assert along["second"] == pytest.approx(found, rel=1e-5)
    assert along["first"] != pytest.approx(found, rel=1e-2)


def test_maml_leaves_its_parameters_and_adapts_without_gradients_too():
    learner = maml("second").eval()
    before = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    with torch.no_grad():
        adapted = maml_loss(learner)
    assert all(torch.equal(before[name], tensor) for name, tensor in learner.state_dict().items())
    learner.num_steps = 0
    assert float(adapted.detach()) != pytest.approx(float(maml_loss(learner).detach()), rel=1e-6)


def test_anil_is_its_classifier_after_gradient_steps_written_out():
    head, (support, query) = AnilHead(D, W, num_steps=1, lr=0.5, generator=source()).double(), features()
    weights, offsets = head.weights.detach(), head.offsets.detach()
    images, labels = support[0].flatten(0, 1), torch.arange(W).repeat_interleave(S)
    errors = (images @ weights.T + offsets).softmax(-1) - torch.eye(W, dtype=torch.float64)[labels]
    moved = weights - 0.5 * errors.T @ images / len(images)
    expected = query[0] @ moved.T + offsets - 0.5 * errors.mean(0)
    torch.testing.assert_close(head(support, query)[0], expected)


def test_a_tuned_head_learns_its_support():
    support, _ = features()
    for kind in ("linear", "cosine"):
        head = TunedHead(kind, D, 9, num_steps=300, lr=0.05, generator=source()).double()
        found = head(support, support.flatten(1, 2)).argmax(-1)
        assert torch.equal(found, torch.arange(W).repeat_interleave(S).expand(E, -1))


def test_adapting_what_hyper_shot_writes_lowers_the_loss_on_the_support():
    support, _ = features(num_shots=1)
    for make in (HyperShotHead, EquivariantHyperShotHead):
        losses = []
        for num_steps in (0, 20):
            arguments = (W,) if make is HyperShotHead else ()
            head = make(*arguments, num_steps=num_steps, lr=0.05, generator=source()).double()
            logits = head(support, support.flatten(1, 2))
            losses.append(float(-logits.detach().log_softmax(-1).diagonal(dim1=1, dim2=2).mean()))
        assert losses[1] < losses[0]


def test_hyper_maml_moves_its_classifier_by_what_is_written_once_and_by_gradients_while_they_have_a_share():
    head, (support, query) = HyperMamlHead(D, W, hidden=(8,), lr=0.5, generator=source()).double(), features()
    first = {"weights": head.weights.expand(E, -1, -1), "offsets": head.offsets.expand(E, 1, -1)}
    deltas = head.deltas(support, first)
    expected = query @ (first["weights"] - deltas["weights"]).transpose(1, 2) + first["offsets"] - deltas["offsets"]
    torch.testing.assert_close(head(support, query), expected)
    head.gradient_share = 1.0
    by_gradients = AnilHead(D, W, num_steps=5, lr=0.5, generator=source()).double()
    with torch.no_grad():
        by_gradients.weights.copy_(head.weights)
    torch.testing.assert_close(head(support, query), by_gradients(support, query))
    head.eval()
    torch.testing.assert_close(head(support, query), expected)


def test_the_blend_begins_with_gradients_alone_and_ends_where_the_authors_command_does():
    assert blend_share(0.0) == blend_share(0.2) == 1.0
    assert blend_share(1.0) == pytest.approx(1 - 206 / 500, abs=0.01)
    assert blend_share(1.0, warm_up=0.1, end=0.6) == 0.0


def test_an_embedded_head_sees_features_of_its_own_images():
    network = Conv4(width=4, side=16, generator=source()).eval()
    learner, own = Embedded(network, PrototypeHead("euclidean")).eval(), source()
    support, query = torch.rand(2, 3, 2, 1, 16, 16, generator=own), torch.rand(2, 5, 1, 16, 16, generator=own)
    found = learner.features(support, query)
    torch.testing.assert_close(found.support[1, 2, 1], network(support[1, 2, 1:2])[0])
    torch.testing.assert_close(found.query[1, 4], network(query[1, 4:5])[0])
    assert learner(support, query).shape == (2, 5, 3)


def test_guessing_costs_the_logarithm_of_the_number_of_classes():
    support, query = features()
    head = PrototypeHead("euclidean").double()
    with torch.no_grad():
        head.scale.zero_()
    assert float(-head(support, query).detach().log_softmax(-1).mean()) == pytest.approx(math.log(W))
