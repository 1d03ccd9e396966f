"""The meta-test, beside a plain loop and poisoned images."""

import dataclasses
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hyperlearning.evaluation.recognition import ClassFeatures, prototypes
from hyperlearning.learners.last_layer import draw_last_layers
from hyperlearning.streams.trajectories import MetaTestRuns, draw_meta_test, shuffled_runs
from hyperlearning.systems.trajectories import meta_test as module
from hyperlearning.systems.trajectories.meta_test import LayerRule, Selection, choose_lr, class_features, meta_test

K, TRAIN, HELD_OUT, F = 9, 4, 3, 12
PAPER = LayerRule(num_outputs=14)


def _seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def _features(noise: float = 0.6, split: Literal["meta-train", "meta-test"] = "meta-test"):
    source = _seeded(3)
    means = torch.rand(K, 1, F, generator=source, dtype=torch.float64)
    all_of_them = torch.relu(means + noise * torch.randn(K, TRAIN + HELD_OUT, F, generator=source, dtype=torch.float64))
    return ClassFeatures(train=all_of_them[:, :TRAIN], held_out=all_of_them[:, TRAIN:], split=split)


def _far_apart():
    points = 6 * torch.eye(K)[:, None]
    return ClassFeatures(train=points.repeat(1, TRAIN, 1), held_out=points, split="meta-test")


def _runs(num_classes: int = 5, num_runs: int = 3, seed: int = 0):
    return draw_meta_test(K, num_classes, _seeded(seed), num_runs=num_runs, train_images=TRAIN)


def _plain(features: ClassFeatures, runs: MetaTestRuns, lr: float):
    """One run after another, one image after another, as the publications' programs do."""
    source, scores = _seeded(1), []
    for classes in runs.classes.tolist():
        drawn = draw_last_layers(1, F, PAPER.num_outputs, source, dtype=torch.float64)
        linear = nn.Linear(F, PAPER.num_outputs, dtype=torch.float64)
        nn.init.zeros_(linear.bias)
        linear.weight.data.copy_(drawn.weight[0].T)
        adam = torch.optim.Adam(linear.parameters(), lr=lr)
        for label in classes:
            for image in features.train[label]:
                adam.zero_grad()
                cross_entropy(linear(image[None]), torch.tensor([label])).backward()
                adam.step()
        scores.append([_share(linear, part, classes) for part in (features.train, features.held_out)])
    return torch.tensor(scores).T


def _share(linear: nn.Linear, images: Tensor, classes: list[int]) -> float:
    right = [linear(image).argmax().item() == label for label in classes for image in images[label]]
    return sum(right) / len(right)


@pytest.mark.parametrize("lr", [1e-3, 3e-2, 0.3])
def test_accuracies_are_those_of_a_plain_loop(lr: float):
    result = meta_test(_features(), _runs(), _seeded(1), lr=lr, rule=PAPER)
    torch.testing.assert_close(torch.stack(result[:2]), _plain(_features(), _runs(), lr))


def test_rates_tried_together_have_the_accuracies_of_each_alone():
    lrs = (1e-3, 3e-2)
    together = choose_lr(lrs, _features(), _runs(), _seeded(), by="training accuracy", rule=PAPER)
    alone = [meta_test(_features(), _runs(), _seeded(), lr=lr, rule=PAPER).memory.mean().item() for lr in lrs]
    assert list(together.scores) == alone


def test_blocks_of_runs_make_no_difference(monkeypatch: pytest.MonkeyPatch):
    whole = meta_test(_features(), _runs(), _seeded(), lr=3e-2, rule=PAPER)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 1)
    torch.testing.assert_close(meta_test(_features(), _runs(), _seeded(), lr=3e-2, rule=PAPER), whole, rtol=0, atol=0)


def test_outputs_of_other_classes_can_only_take_away():
    result = meta_test(_features(), _runs(), _seeded(), lr=1e-3, rule=PAPER)
    assert (result.memory_in_run >= result.memory).all()
    assert (result.held_out_in_run >= result.held_out).all()
    assert result.memory.sum() < result.memory_in_run.sum()


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_classes_that_are_far_apart_are_recognised(optimizer: Literal["adam", "sgd"]):
    features = _far_apart()
    result = meta_test(features, _runs(), _seeded(), lr=0.5, rule=LayerRule(num_outputs=K, optimizer=optimizer))
    assert result.memory.tolist() == result.held_out.tolist() == [1.0, 1.0, 1.0]


def test_the_joint_order_forgets_less_than_one_class_after_another():
    runs = _runs(num_classes=9, num_runs=10)
    features, rule = _features(noise=0.2), LayerRule(num_outputs=K)
    in_turn = meta_test(features, runs, _seeded(), lr=0.1, rule=rule)
    joint = meta_test(features, shuffled_runs(runs, _seeded(5)), _seeded(), lr=0.1, rule=rule)
    assert joint.memory.mean() > in_turn.memory.mean() + 0.1


def test_the_same_seed_gives_the_same_accuracies():
    first, second = (meta_test(_features(), _runs(), _seeded(), lr=3e-2, rule=PAPER) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_features_are_those_of_the_network_and_split_in_order():
    images = torch.rand(5, 4, 1, 3, 3)
    features = class_features(lambda x: x.flatten(1) * 2, images, split="meta-train", train_images=3, batch_size=7)
    torch.testing.assert_close(features.train, images[:, :3].flatten(2) * 2)
    torch.testing.assert_close(features.held_out, images[:, 3:].flatten(2) * 2)
    assert features.split == "meta-train"


def test_features_carry_no_graph():
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 2))
    assert not class_features(network, torch.rand(5, 4, 1, 3, 3), split="meta-test", train_images=3).train.requires_grad


def test_the_choice_by_training_accuracy_never_sees_held_out_images():
    clean = _features()
    poisoned = dataclasses.replace(clean, held_out=torch.full_like(clean.held_out, torch.nan))
    wrong = dataclasses.replace(clean, held_out=clean.held_out.flip(0))
    choices = [
        choose_lr((1e-3, 3e-2, 1.0), features, _runs(), _seeded(), by="training accuracy", rule=PAPER)
        for features in (clean, poisoned, wrong)
    ]
    assert choices[0] == choices[1] == choices[2]


@pytest.mark.parametrize(
    ("by", "split", "judged"),
    [("training accuracy", "meta-test", 0), ("meta-train classes", "meta-train", 1)],
)
def test_the_chosen_rate_has_the_highest_accuracy(
    by: Selection, split: Literal["meta-train", "meta-test"], judged: int
):
    lrs, features = (1e-3, 3e-2, 1.0), _features(split=split)
    chosen = choose_lr(lrs, features, _runs(), _seeded(), by=by, rule=PAPER)
    scores = [meta_test(features, _runs(), _seeded(), lr=lr, rule=PAPER)[judged].mean().item() for lr in lrs]
    assert chosen.scores == pytest.approx(scores)
    assert chosen.lr == lrs[scores.index(max(scores))]


def test_of_equals_the_lowest_rate_is_chosen():
    features = _far_apart()
    rule = LayerRule(num_outputs=K, optimizer="sgd")
    choice = choose_lr((0.2, 0.05, 0.1), features, _runs(), _seeded(), by="training accuracy", rule=rule)
    assert choice.scores == (1.0, 1.0, 1.0)
    assert choice.lr == 0.05


@pytest.mark.parametrize(
    ("by", "split", "words"),
    [
        (
            "training accuracy",
            "meta-test",
            "images learned of meta-test classes, over 3 runs of 5 classes, among 0.001, 0.03",
        ),
        ("meta-train classes", "meta-train", "held-out images of meta-train classes"),
    ],
)
def test_a_choice_says_how_it_was_made(by: Selection, split: Literal["meta-train", "meta-test"], words: str):
    choice = choose_lr((1e-3, 3e-2), _features(split=split), _runs(), _seeded(), by=by, rule=PAPER)
    assert words in choice.how


def test_meta_test_classes_cannot_pass_for_meta_train_classes():
    with pytest.raises(ValueError, match="meta-train classes to select on, but got those of meta-test"):
        choose_lr((1e-3,), _features(), _runs(), _seeded(), by="meta-train classes")


def test_no_candidates_are_refused():
    with pytest.raises(ValueError, match="one or more `candidates`"):
        choose_lr((), _features(), _runs(), _seeded(), by="training accuracy")


def test_a_class_without_an_output_is_refused():
    with pytest.raises(ValueError, match="`num_outputs` above 8, the highest class, but got 8"):
        meta_test(_features(), _runs(num_classes=9), _seeded(), lr=1e-3, rule=LayerRule(num_outputs=8))


@pytest.mark.parametrize("train_images", [0, 4])
def test_a_split_without_one_of_its_halves_is_refused(train_images: int):
    with pytest.raises(ValueError, match=f"`train_images` from 1 to 3, but got {train_images}"):
        class_features(lambda x: x.flatten(1), torch.rand(5, 4, 1, 3, 3), split="meta-test", train_images=train_images)


def test_a_cosine_layer_from_zero_learned_slowly_holds_the_prototypes():
    source = torch.Generator().manual_seed(0)
    means = torch.randn(12, 1, 20, generator=source)
    unit = torch.nn.functional.normalize(means + torch.randn(12, 10, 20, generator=source), dim=-1)
    features = ClassFeatures(train=unit[:, :6], held_out=unit[:, 6:], split="meta-test")
    runs = draw_meta_test(12, 8, source, num_runs=5, train_images=6)
    slow = LayerRule(optimizer="sgd", zero_start=True, cosine=True, num_outputs=100_000)
    learned = meta_test(features, runs, source, lr=1e-4, rule=slow)
    torch.testing.assert_close(learned.held_out_in_run, prototypes(features, runs, metric="cosine").held_out)
