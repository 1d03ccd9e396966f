"""The meta-test, beside a plain loop, scikit-learn's nearest centroids and poisoned images."""

import dataclasses
from typing import Literal

import pytest
import torch
from sklearn.metrics.pairwise import cosine_distances
from sklearn.neighbors import NearestCentroid
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hyperlearning.learners.last_layer import draw_last_layers
from hyperlearning.streams.trajectories import MetaTestRuns, draw_meta_test, shuffled_runs
from hyperlearning.systems.trajectories import meta_test as module
from hyperlearning.systems.trajectories.meta_test import (
    Accuracy,
    ClassFeatures,
    Protocol,
    Selection,
    choose_lr,
    class_features,
    meta_test,
    prototypes,
    sweep_lrs,
)

K, TRAIN, HELD_OUT, F = 9, 4, 3, 12
PAPER = Protocol(num_outputs=14)


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


def _plain(features: ClassFeatures, runs: MetaTestRuns, lr: float, num_outputs: int | None):
    """One run after another, one image after another, as the publications' programs do."""
    source, scores = _seeded(1), []
    for classes in runs.classes.tolist():
        output = {label: label if num_outputs else place for place, label in enumerate(classes)}
        drawn = draw_last_layers(1, F, num_outputs or len(classes), source, dtype=torch.float64)
        linear = nn.Linear(F, num_outputs or len(classes), dtype=torch.float64)
        nn.init.zeros_(linear.bias)
        linear.weight.data.copy_(drawn.weight[0].T)
        adam = torch.optim.Adam(linear.parameters(), lr=lr)
        for label in classes:
            for image in features.train[label]:
                adam.zero_grad()
                cross_entropy(linear(image[None]), torch.tensor([output[label]])).backward()
                adam.step()
        scores.append([_share(linear, part, output) for part in (features.train, features.held_out)])
    return torch.tensor(scores).T


def _share(linear: nn.Linear, images: Tensor, outputs: dict[int, int]) -> float:
    right = [linear(image).argmax().item() == own for label, own in outputs.items() for image in images[label]]
    return sum(right) / len(right)


@pytest.mark.parametrize("lr", [1e-3, 3e-2, 0.3])
@pytest.mark.parametrize("num_outputs", [14, None])
def test_accuracies_are_those_of_a_plain_loop(lr: float, num_outputs: int | None):
    result = meta_test(_features(), _runs(), _seeded(1), lr=lr, protocol=Protocol(num_outputs=num_outputs))
    torch.testing.assert_close(torch.stack(result[:2]), _plain(_features(), _runs(), lr, num_outputs))


def test_a_sweep_has_the_accuracies_of_each_rate_alone():
    together = sweep_lrs(_features(), _runs(), _seeded(), lrs=[1e-3, 3e-2], protocol=PAPER)
    for i, lr in enumerate((1e-3, 3e-2)):
        alone = meta_test(_features(), _runs(), _seeded(), lr=lr, protocol=PAPER)
        torch.testing.assert_close(Accuracy(*(part[i] for part in together)), alone, rtol=0, atol=0)


def test_blocks_of_runs_make_no_difference(monkeypatch: pytest.MonkeyPatch):
    whole = sweep_lrs(_features(), _runs(), _seeded(), lrs=[1e-3, 3e-2], protocol=PAPER)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 1)
    torch.testing.assert_close(
        sweep_lrs(_features(), _runs(), _seeded(), lrs=[1e-3, 3e-2], protocol=PAPER), whole, rtol=0, atol=0
    )


def test_with_only_the_runs_outputs_both_ways_to_count_agree():
    result = meta_test(_features(), _runs(), _seeded(), lr=3e-2, protocol=Protocol(num_outputs=None))
    torch.testing.assert_close(result.memory, result.memory_in_run, rtol=0, atol=0)
    torch.testing.assert_close(result.held_out, result.held_out_in_run, rtol=0, atol=0)


def test_outputs_of_other_classes_can_only_take_away():
    result = meta_test(_features(), _runs(), _seeded(), lr=1e-3, protocol=PAPER)
    assert (result.memory_in_run >= result.memory).all()
    assert (result.held_out_in_run >= result.held_out).all()
    assert result.memory.sum() < result.memory_in_run.sum()


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_classes_that_are_far_apart_are_recognised(optimizer: Literal["adam", "sgd"]):
    features = _far_apart()
    result = meta_test(features, _runs(), _seeded(), lr=0.5, protocol=Protocol(num_outputs=K, optimizer=optimizer))
    assert result.memory.tolist() == result.held_out.tolist() == [1.0, 1.0, 1.0]


def test_the_joint_order_forgets_less_than_one_class_after_another():
    runs = _runs(num_classes=9, num_runs=10)
    features, protocol = _features(noise=0.2), Protocol(num_outputs=K)
    in_turn = meta_test(features, runs, _seeded(), lr=0.1, protocol=protocol)
    joint = meta_test(features, shuffled_runs(runs, _seeded(5)), _seeded(), lr=0.1, protocol=protocol)
    assert joint.memory.mean() > in_turn.memory.mean() + 0.1


def test_the_same_seed_gives_the_same_accuracies():
    first, second = (meta_test(_features(), _runs(), _seeded(), lr=3e-2, protocol=PAPER) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_prototypes_are_scikit_learns_nearest_centroids(metric: Literal["euclidean", "cosine"]):
    features, runs = _features(), _runs(num_runs=6)
    result = prototypes(features, runs, metric=metric)
    for run, classes in enumerate(runs.classes):
        labels = classes.repeat_interleave(TRAIN).numpy()
        means = NearestCentroid().fit(features.train[classes].flatten(0, 1).numpy(), labels)
        for own, images in ((result.memory, features.train), (result.held_out, features.held_out)):
            shown = images[classes].flatten(0, 1).numpy()
            nearest_direction = means.classes_[cosine_distances(shown, means.centroids_).argmin(1)]
            found = means.predict(shown) if metric == "euclidean" else nearest_direction
            expected = (found == classes.repeat_interleave(images.shape[1]).numpy()).mean()
            assert own[run].item() == pytest.approx(expected)


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
        choose_lr((1e-3, 3e-2, 1.0), features, _runs(), _seeded(), by="training accuracy", protocol=PAPER)
        for features in (clean, poisoned, wrong)
    ]
    assert choices[0] == choices[1] == choices[2]


def test_the_choice_by_training_accuracy_has_the_highest_memory():
    lrs = (1e-3, 3e-2, 1.0)
    choice = choose_lr(lrs, _features(), _runs(), _seeded(), by="training accuracy", protocol=PAPER)
    memory = sweep_lrs(_features(), _runs(), _seeded(), lrs=lrs, protocol=PAPER).memory.mean(1)
    assert choice.scores == pytest.approx(memory.tolist())
    assert choice.lr == lrs[int(memory.argmax())]


def test_the_choice_on_meta_train_classes_has_the_highest_held_out_accuracy_there():
    lrs, features = (1e-3, 3e-2, 1.0), _features(split="meta-train")
    choice = choose_lr(lrs, features, _runs(), _seeded(), by="meta-train classes", protocol=PAPER)
    held_out = sweep_lrs(features, _runs(), _seeded(), lrs=lrs, protocol=PAPER).held_out.mean(1)
    assert choice.scores == pytest.approx(held_out.tolist())


def test_of_equals_the_lowest_rate_is_chosen():
    features = _far_apart()
    protocol = Protocol(num_outputs=K, optimizer="sgd")
    choice = choose_lr((0.2, 0.05, 0.1), features, _runs(), _seeded(), by="training accuracy", protocol=protocol)
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
    choice = choose_lr((1e-3, 3e-2), _features(split=split), _runs(), _seeded(), by=by, protocol=PAPER)
    assert words in choice.how


def test_meta_test_classes_cannot_pass_for_meta_train_classes():
    with pytest.raises(ValueError, match="meta-train classes to select on, but got those of meta-test"):
        choose_lr((1e-3,), _features(), _runs(), _seeded(), by="meta-train classes")


def test_no_candidates_are_refused():
    with pytest.raises(ValueError, match="one or more `candidates`"):
        choose_lr((), _features(), _runs(), _seeded(), by="training accuracy")


def test_a_class_without_an_output_is_refused():
    with pytest.raises(ValueError, match="`num_outputs` above 8, the highest class, but got 8"):
        meta_test(_features(), _runs(num_classes=9), _seeded(), lr=1e-3, protocol=Protocol(num_outputs=8))


def test_runs_of_other_classes_are_refused():
    with pytest.raises(ValueError, match="runs among 9 classes, but got class 19"):
        meta_test(_features(), draw_meta_test(20, 20, _seeded(), train_images=TRAIN), _seeded(), lr=1e-3)


def test_runs_of_another_number_of_images_are_refused():
    with pytest.raises(ValueError, match="runs of 4 training images a class, but got 15"):
        prototypes(_features(), draw_meta_test(K, 5, _seeded()))


def test_an_unknown_metric_is_refused():
    with pytest.raises(ValueError, match="a metric among"):
        getattr(prototypes, "__wrapped__", prototypes)(_features(), _runs(), metric="taxicab")


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
    slow = Protocol(optimizer="sgd", zero_start=True, cosine=True, num_outputs=100_000)
    learned = meta_test(features, runs, source, lr=1e-4, protocol=slow)
    torch.testing.assert_close(learned.held_out_in_run, prototypes(features, runs, metric="cosine").held_out)
