"""Trajectories, remember sets and meta-test runs: what comes when, and what never does."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hyperlearning.data import prepared
from hyperlearning.data.catalogue import CATALOGUE
from hyperlearning.data.images import ImageSet, load
from hyperlearning.streams.trajectories import (
    draw_meta_test,
    draw_trajectories,
    shuffled_runs,
    stack_classes,
)

K, N = 12, 8
IMAGES = torch.arange(float(K * N)).reshape(K, N, 1, 1, 1)
"""Every image is its own number: class * N + image."""

ROOT = os.environ.get("HYPERLEARNING_DATA", "")


def _seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def _draw(seed: int = 0, **settings: int):
    chosen = {"num_trajectories": 3, "images_per_class": 4, "remember_size": 10} | settings
    return draw_trajectories(IMAGES, _seeded(seed), **chosen)


sizes = st.fixed_dictionaries(
    {
        "num_trajectories": st.integers(1, 4),
        "classes_per_trajectory": st.integers(1, K),
        "images_per_class": st.integers(1, 5),
        "other_images_per_class": st.integers(0, 3),
        "remember_size": st.integers(0, K * N),
        "seed": st.integers(0, 1000),
    }
)


@given(sizes=sizes)
def test_a_stream_has_one_image_a_step_and_one_hyper_batch(sizes: dict[str, int]):
    stream = _draw(**sizes)
    members, own = sizes["num_trajectories"], sizes["classes_per_trajectory"] * sizes["images_per_class"]
    others = sizes["classes_per_trajectory"] * sizes["other_images_per_class"]
    assert stream.inputs.shape == (own, members, 1, 1, 1, 1)
    assert stream.targets.shape == (own, members, 1)
    assert stream.hyper_inputs.shape == (1, 1, members, (others or own) + sizes["remember_size"], 1, 1, 1)
    assert stream.hyper_targets.shape == stream.hyper_inputs.shape[:4]


@given(sizes=sizes)
def test_labels_are_those_of_the_images(sizes: dict[str, int]):
    stream = _draw(**sizes)
    assert (stream.inputs.flatten(2)[:, :, :1] // N == stream.targets).all()
    assert (stream.hyper_inputs.flatten(3) // N == stream.hyper_targets).all()


@given(sizes=sizes)
def test_a_trajectory_meets_different_images_class_after_class(sizes: dict[str, int]):
    stream = _draw(**sizes)
    for images, labels in zip(stream.inputs.flatten(1).T, stream.targets[..., 0].T, strict=True):
        assert len(images.unique()) == len(images)
        _, counts = labels.unique_consecutive(return_counts=True)
        assert counts.tolist() == [sizes["images_per_class"]] * sizes["classes_per_trajectory"]
        assert len(labels.unique()) == sizes["classes_per_trajectory"]


@given(sizes=sizes)
def test_the_meta_loss_sees_the_trajectory_or_other_images_of_its_classes(sizes: dict[str, int]):
    stream = _draw(**sizes)
    own = sizes["classes_per_trajectory"] * (sizes["other_images_per_class"] or sizes["images_per_class"])
    for member in range(sizes["num_trajectories"]):
        met = stream.inputs[:, member].flatten().tolist()
        judged = stream.hyper_inputs[0, 0, member].flatten()[:own].tolist()
        if sizes["other_images_per_class"]:
            assert not set(judged) & set(met)
            assert {image // N for image in judged} == {image // N for image in met}
        else:
            assert judged == met


def test_a_remember_set_has_different_images_of_all_classes():
    stream = _draw(remember_size=K * N)
    remembered = stream.hyper_inputs[0, 0, :, 4:].flatten(1)
    assert (remembered.sort(1).values == torch.arange(K * N)).all()


def test_remember_sets_draw_every_image_as_often():
    counts = torch.zeros(K * N)
    for seed in range(200):
        counts += torch.bincount(_draw(seed).hyper_inputs[0, 0, :, 4:].long().flatten(), minlength=K * N)
    share, probability = counts / 600, 10 / (K * N)
    assert (share - probability).abs().max() < 4.5 * (probability * (1 - probability) / 600) ** 0.5


def test_members_have_trajectories_of_their_own():
    assert len(_draw(num_trajectories=30).targets.unique()) > 5


def test_the_same_seed_gives_the_same_trajectories_and_another_others():
    torch.testing.assert_close(_draw(), _draw(), rtol=0, atol=0)
    assert (_draw().inputs != _draw(1).inputs).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images_per_class": 9}, "`images_per_class` to be at most 8, the images of a class, but got 9"),
        ({"images_per_class": 0}, "Expected a positive `images_per_class`, but got 0"),
        (
            {"images_per_class": 5, "other_images_per_class": 4},
            "at most 8 together, the images of a class, and not neg",
        ),
        ({"other_images_per_class": -1}, "not negative, but got 4 and -1"),
        (
            {"classes_per_trajectory": 13},
            "`classes_per_trajectory` to be at most 12, the classes to draw from, but got 13",
        ),
        ({"remember_size": 97}, "`remember_size` from 0 to 96, the images of all classes, but got 97"),
        ({"num_trajectories": 0}, "Expected a positive `num_trajectories`, but got 0"),
    ],
)
def test_trajectories_that_cannot_be_are_refused(settings: dict[str, int], message: str):
    with pytest.raises(ValueError, match=message):
        _draw(**settings)


@given(num_classes=st.integers(1, 20), num_runs=st.integers(1, 5), train=st.integers(1, 6), seed=st.integers(0, 1000))
def test_a_run_meets_each_of_its_classes_once_and_in_sorted_order(
    num_classes: int, num_runs: int, train: int, seed: int
):
    runs = draw_meta_test(20, num_classes, _seeded(seed), num_runs=num_runs, train_images=train)
    assert runs.classes.shape == (num_runs, num_classes)
    for classes, order, places in zip(*runs, strict=True):
        assert len(classes.unique()) == num_classes
        assert 0 <= int(classes.min()) <= int(classes.max()) < 20
        assert (order // train).tolist() == classes.repeat_interleave(train).tolist()
        assert (order % train).tolist() == list(range(train)) * num_classes
        assert classes[places].tolist() == (order // train).tolist()


def test_a_published_run_of_600_classes_has_9000_steps():
    runs = draw_meta_test(659, 600, _seeded(), num_runs=2)
    assert runs.order.shape == (2, 9000)
    assert int(runs.order.max()) < 659 * 15


def test_every_class_is_drawn_as_often():
    runs = draw_meta_test(20, 5, _seeded(), num_runs=2000)
    share = torch.bincount(runs.classes.flatten(), minlength=20) / 2000
    assert (share - 0.25).abs().max() < 4.5 * (0.25 * 0.75 / 2000) ** 0.5


def test_shuffled_runs_meet_the_same_images_in_another_order():
    runs = draw_meta_test(20, 5, _seeded(), num_runs=3)
    mixed = shuffled_runs(runs, _seeded(1))
    assert (mixed.order.sort(1).values == runs.order.sort(1).values).all()
    assert (mixed.order != runs.order).any(1).all()
    assert (runs.classes.gather(1, mixed.places) == mixed.order // 15).all()


def test_more_classes_than_there_are_are_refused():
    with pytest.raises(ValueError, match="`num_classes` to be at most 659, the classes of the split, but got 660"):
        draw_meta_test(659, 660, _seeded())


@pytest.mark.parametrize("name", ["num_runs", "train_images"])
def test_runs_of_nothing_are_refused(name: str):
    with pytest.raises(ValueError, match=f"Expected a positive `{name}`, but got 0"):
        draw_meta_test(10, 5, _seeded(), **{name: 0})


def _image_set(labels: list[int], drawers: list[int]):
    count = len(labels)
    return ImageSet(
        name="made",
        split="up",
        images=torch.arange(count, dtype=torch.uint8).reshape(count, 1, 1, 1),
        labels=torch.tensor(labels),
        num_classes=max(labels) + 1,
        class_names=(),
        ids={"drawer": torch.tensor(drawers)},
        num_published=count,
    )


def test_images_are_stacked_by_class_and_drawer_in_whatever_order_they_come():
    stacked = stack_classes(_image_set([1, 0, 1, 0, 1, 0], [3, 2, 1, 3, 2, 1]))
    assert stacked.flatten(1).tolist() == [[5, 1, 3], [2, 4, 0]]


def test_the_first_classes_can_be_taken_alone():
    images = _image_set([1, 0, 2, 0, 1, 2], [1, 1, 1, 2, 2, 2])
    assert stack_classes(images, num_classes=2).flatten(1).tolist() == [[1, 3], [0, 4]]


def test_uneven_classes_are_refused():
    with pytest.raises(ValueError, match="as many images of every class, but got 1 to 2 in made/up"):
        stack_classes(_image_set([0, 0, 1], [1, 2, 1]))


def test_more_classes_than_the_split_has_are_refused():
    with pytest.raises(ValueError, match="`num_classes` to be at most 2, the classes of made/up, but got 3"):
        stack_classes(_image_set([0, 1], [1, 1]), num_classes=3)


def _omniglot(split: str):
    if not ROOT or not prepared.split_path(CATALOGUE["omniglot"], split, Path(ROOT)).is_file():
        pytest.skip(f"omniglot/{split}.npz is not under HYPERLEARNING_DATA")
    return load("omniglot", split, root=ROOT)


@pytest.mark.parametrize(("split", "num_classes"), [("background", 964), ("evaluation", 659)])
def test_omniglots_classes_are_in_sorted_file_order(split: str, num_classes: int):
    images = _omniglot(split)
    assert list(images.class_names) == sorted(images.class_names)
    assert (images.labels == torch.arange(num_classes).repeat_interleave(20)).all()
    assert (images.ids["drawer"] == torch.arange(1, 21).repeat(num_classes)).all()
    assert (images.ids["character"].unflatten(0, (-1, 20)).diff(dim=1) == 0).all()
    torch.testing.assert_close(stack_classes(images).flatten(0, 1), images.images, rtol=0, atol=0)
