"""Class-incremental lives and hyper-streams: what is distinct, how often, in which order, and that nothing held out leaks.

Every image of the pools here says its number in its first two pixels, so that a copy of it would be seen anywhere.
"""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hyperlearning.data.catalogue import CATALOGUE
from hyperlearning.data.images import ImageSet, load
from hyperlearning.data.prepared import split_path
from hyperlearning.streams.augmentation import Augmentation
from hyperlearning.streams.class_incremental import (
    ClassLives,
    as_reconstruction,
    augmented,
    draw_class_hyper_stream,
    draw_lives,
    lives_as_reconstruction,
)
from hyperlearning.streams.class_picks import distinct_picks, split_by_share
from hyperlearning.streams.image_pool import image_pool, with_rotated_classes

ROOT = os.environ.get("HYPERLEARNING_DATA", "")
PER_CLASS = 12
NUM_CLASSES = 30


def _seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


def _numbered_pool(counts: list[int]):
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    numbers = torch.arange(len(labels))
    images = torch.zeros(len(labels), 1, 3, 3, dtype=torch.uint8)
    images[:, 0, 0, 0] = (numbers // 256).to(torch.uint8)
    images[:, 0, 0, 1] = (numbers % 256).to(torch.uint8)
    made = ImageSet(
        name="made",
        split="train",
        images=images,
        labels=labels,
        num_classes=len(counts),
        class_names=(),
        ids=MappingProxyType({}),
        num_published=len(labels),
    )
    return image_pool([made])


POOL = _numbered_pool([PER_CLASS] * NUM_CLASSES)


def _numbers(images: Tensor):
    pixels = (images[..., 0, 0, :2] * 255).round().long()
    return 256 * pixels[..., 0] + pixels[..., 1]


def _classes(images: Tensor):
    return _numbers(images) // PER_CLASS


def _lives(seed: int = 0, **options: Any):
    defaults = {"num_lives": 3, "num_tasks": 6, "num_instances": 4, "num_held_out": 3}
    return draw_lives(POOL, _seeded(seed), **(defaults | options))


def _hyper_stream(seed: int = 0, **options: Any):
    defaults = {
        "population": 3,
        "num_tasks": 6,
        "num_classes": 9,
        "num_instances": 4,
        "num_held_out": 3,
        "outer_steps": 12,
        "hyper_batch_size": 20,
        "hyper_mix": (0.4, 0.4, 0.2),
        "num_labels": 40,
    }
    return draw_class_hyper_stream(POOL, _seeded(seed), **(defaults | options))


SIZES = {
    "seed": st.integers(0, 10_000),
    "num_tasks": st.integers(1, NUM_CLASSES),
    "num_instances": st.integers(1, PER_CLASS),
}


@given(**SIZES, data=st.data())
def test_a_life_learns_distinct_images_of_distinct_classes_and_holds_out_others_of_the_same(
    seed: int, num_tasks: int, num_instances: int, data: Any
):
    num_held_out = data.draw(st.integers(0, PER_CLASS - num_instances))
    lives = _lives(seed, num_tasks=num_tasks, num_instances=num_instances, num_held_out=num_held_out)
    assert lives.inputs.shape == (num_tasks, 3, num_instances, 1, 3, 3)
    assert lives.held_out.shape == (3, num_tasks, num_held_out, 1, 3, 3)
    for life in range(3):
        drawn = torch.cat([_numbers(lives.inputs[:, life]), _numbers(lives.held_out[life])], dim=1)
        assert len(drawn.unique()) == drawn.numel()
        classes = drawn // PER_CLASS
        assert (classes == classes[:, :1]).all()
        assert len(classes[:, 0].unique()) == num_tasks


def test_what_is_learned_is_what_is_met():
    lives = _lives()
    torch.testing.assert_close(lives.inputs.transpose(0, 1), lives.learned, rtol=0, atol=0)


def test_values_are_bytes_over_255():
    values = torch.tensor([0, 1, 128, 255], dtype=torch.uint8)
    pool = _numbered_pool([4])
    pool.images[:, 0, 1, 1] = values
    lives = draw_lives(pool, _seeded(), num_lives=1, num_tasks=1, num_instances=4, num_held_out=0)
    expected = values.float()[_numbers(lives.inputs[0, 0])] / 255
    torch.testing.assert_close(lives.inputs[0, 0, :, 0, 1, 1], expected, rtol=0, atol=0)


@given(seed=st.integers(0, 1000), num_tasks=st.integers(1, 20), spare=st.integers(0, 30))
def test_random_labels_are_distinct_and_in_range(seed: int, num_tasks: int, spare: int):
    labels = _lives(seed, num_tasks=num_tasks, num_labels=num_tasks + spare).labels
    assert labels.shape == (3, num_tasks)
    assert all(len(life.unique()) == num_tasks for life in labels)
    assert labels.min() >= 0
    assert labels.max() < num_tasks + spare


def test_labels_in_order_count_the_tasks():
    assert _lives(label_order="in_order").labels.tolist() == [[0, 1, 2, 3, 4, 5]] * 3


def test_each_target_is_the_label_of_its_task():
    lives = _lives(num_labels=50)
    expected = lives.labels.T[:, :, None].expand(-1, -1, 4)
    assert lives.targets.tolist() == expected.tolist()


def test_given_classes_are_met_in_the_order_given():
    class_ids = torch.tensor([7, 0, 29, 3, 11, 2])
    lives = _lives(class_ids=class_ids)
    assert _classes(lives.inputs).tolist() == class_ids[:, None, None].expand(6, 3, 4).tolist()
    assert _classes(lives.held_out).tolist() == class_ids[None, :, None].expand(3, 6, 3).tolist()


def test_classes_of_unequal_size_are_drawn_from_in_full():
    pool = _numbered_pool([3, 40, 9])
    seen = Counter()
    for seed in range(60):
        lives = draw_lives(pool, _seeded(seed), num_lives=4, num_tasks=3, num_instances=2, num_held_out=1)
        seen.update(_numbers(lives.inputs).flatten().tolist())
    assert sorted(seen) == list(range(52))


def test_lives_side_by_side_differ():
    lives = _lives(num_lives=2)
    assert _classes(lives.inputs[:, 0]).tolist() != _classes(lives.inputs[:, 1]).tolist()


def test_reconstruction_targets_are_the_images():
    lives, stream = lives_as_reconstruction(_lives()), as_reconstruction(_hyper_stream())
    for made in (lives, stream):
        torch.testing.assert_close(made.targets, made.inputs.flatten(3), rtol=0, atol=0)
    torch.testing.assert_close(stream.hyper_targets, stream.hyper_inputs.flatten(4), rtol=0, atol=0)


@given(
    seed=st.integers(0, 10_000),
    num_tasks=st.integers(1, 12),
    num_others=st.integers(0, 8),
    num_instances=st.integers(1, 7),
    num_held_out=st.integers(0, 5),
    hyper_batch_size=st.integers(1, 50),
    scope=st.sampled_from(["stream", "met"]),
)
def test_no_held_out_image_or_class_leaks_into_a_life(
    seed: int,
    num_tasks: int,
    num_others: int,
    num_instances: int,
    num_held_out: int,
    hyper_batch_size: int,
    scope: Any,
):
    weights = (1.0, float(num_held_out > 0), float(num_others > 0))
    mix = (weights[0] / sum(weights), weights[1] / sum(weights), weights[2] / sum(weights))
    stream = _hyper_stream(
        seed,
        num_tasks=num_tasks,
        num_classes=num_tasks + num_others,
        num_instances=num_instances,
        num_held_out=num_held_out,
        hyper_batch_size=hyper_batch_size,
        hyper_mix=mix,
        scope=scope,
    )
    counts = split_by_share(hyper_batch_size, mix)
    for member in range(3):
        met = set(_numbers(stream.inputs[:, member]).flatten().tolist())
        learned, held_out, apart = (
            set(_numbers(part).flatten().tolist()) for part in stream.hyper_inputs[:, :, member].split(counts, dim=2)
        )
        assert learned <= met
        assert not met & (held_out | apart)
        classes = {number // PER_CLASS for number in met}
        assert {number // PER_CLASS for number in held_out} <= classes
        assert not classes & {number // PER_CLASS for number in apart}
        assert len(apart) <= num_others * (num_instances + num_held_out)


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), hyper_batch_size=st.integers(1, 60), scope=st.sampled_from(["stream", "met"]))
def test_each_kind_of_a_hyper_batch_is_even_over_classes_and_over_their_images(
    seed: int, hyper_batch_size: int, scope: Any
):
    mix = (0.4, 0.4, 0.2)
    stream = _hyper_stream(seed, hyper_batch_size=hyper_batch_size, hyper_mix=mix, scope=scope)
    met = [6] * 12 if scope == "stream" else [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    parts = stream.hyper_inputs[:, 0].split(split_by_share(hyper_batch_size, mix), dim=2)
    for part, available, num_images in zip(parts, (met, met, [3] * 12), (4, 3, 7), strict=True):
        for step in range(12):
            for member in range(3):
                numbers = _numbers(part[step, member])
                per_class = Counter((numbers // PER_CLASS).tolist())
                fair = len(numbers) / available[step]
                assert all(abs(count - fair) < 1 for count in per_class.values())
                assert len(per_class) == min(available[step], len(numbers))
                check_even_images(numbers, num_images)


def check_even_images(numbers: Tensor, num_images: int):
    """Of a class, as many different images as there can be, none of them twice more often than another."""
    for number in (numbers // PER_CLASS).unique():
        own = Counter(numbers[numbers // PER_CLASS == number].tolist())
        assert max(own.values()) - min(own.values()) <= 1
        assert len(own) == min(sum(own.values()), num_images)


def test_learned_and_held_out_images_together_are_even_over_tasks():
    stream = _hyper_stream(hyper_batch_size=15, hyper_mix=(0.4, 0.4, 0.2))
    for batch in _classes(stream.hyper_inputs[:, 0, :, :12]).flatten(0, 1):
        assert set(Counter(batch.tolist()).values()) == {2}


def test_over_many_hyper_batches_every_image_comes_equally_often():
    stream = _hyper_stream(outer_steps=600, hyper_batch_size=10, hyper_mix=(0.4, 0.3, 0.3), population=1)
    for part, share, images in zip(
        stream.hyper_inputs[:, 0, 0].split((4, 3, 3), 1), (4, 3, 3), (24, 18, 21), strict=True
    ):
        seen = Counter(_numbers(part).flatten().tolist())
        assert len(seen) == images
        expected = 600 * share / images
        assert max(abs(count - expected) for count in seen.values()) < 5 * expected**0.5


@given(seed=st.integers(0, 1000), num_tasks=st.integers(1, 12), steps_per_task=st.integers(1, 4))
def test_met_never_has_a_task_to_come_and_has_the_one_just_met(seed: int, num_tasks: int, steps_per_task: int):
    stream = _hyper_stream(
        seed,
        num_tasks=num_tasks,
        num_classes=num_tasks,
        outer_steps=num_tasks * steps_per_task,
        hyper_mix=(0.5, 0.5, 0.0),
        hyper_batch_size=24,
        scope="met",
    )
    order = _classes(stream.inputs[:, :, 0])
    for step in range(num_tasks * steps_per_task):
        for member in range(3):
            seen = set(_classes(stream.hyper_inputs[step, 0, member]).tolist())
            assert seen == set(order[: step // steps_per_task + 1, member].tolist())


def test_one_outer_step_after_several_tasks_has_met_them_all():
    stream = _hyper_stream(outer_steps=2, hyper_mix=(1.0, 0.0, 0.0), scope="met", hyper_batch_size=12)
    order = _classes(stream.inputs[:, 0, 0])
    assert set(_classes(stream.hyper_inputs[0, 0, 0]).tolist()) == set(order[:3].tolist())


@given(seed=st.integers(0, 1000))
def test_hyper_targets_are_the_labels_of_the_tasks_and_others_for_held_out_classes(seed: int):
    stream = _hyper_stream(seed)
    for member in range(3):
        label_of = dict(
            zip(_classes(stream.inputs[:, member, 0]).tolist(), stream.targets[:, member, 0].tolist(), strict=True)
        )
        assert len(set(label_of.values())) == 6
        apart = {}
        classes = _classes(stream.hyper_inputs[:, :, member]).flatten().tolist()
        for number, label in zip(classes, stream.hyper_targets[:, :, member].flatten().tolist(), strict=True):
            assert label_of.get(number, label) == label
            if number not in label_of:
                assert apart.setdefault(number, label) == label
        assert len(apart) == len(set(apart.values())) == 3
        assert not set(apart.values()) & set(label_of.values())


def test_shapes_are_those_that_hyper_training_takes():
    stream = _hyper_stream(outer_steps=24)
    assert stream.inputs.shape == (6, 3, 4, 1, 3, 3)
    assert stream.targets.shape == (6, 3, 4)
    assert stream.hyper_inputs.shape == (24, 1, 3, 20, 1, 3, 3)
    assert stream.hyper_targets.shape == (24, 1, 3, 20)


@pytest.mark.parametrize("draw", [_lives, _hyper_stream])
def test_the_seed_decides_everything(draw: Any):
    options = {"num_labels": 40}
    torch.testing.assert_close(draw(3, **options), draw(3, **options), rtol=0, atol=0)
    assert _numbers(draw(3, **options).inputs).tolist() != _numbers(draw(4, **options).inputs).tolist()


def test_the_pool_stays_as_it_is():
    before = POOL.images.clone()
    _hyper_stream()
    torch.testing.assert_close(POOL.images, before, rtol=0, atol=0)


@given(total=st.integers(0, 200), weights=st.lists(st.integers(0, 20), min_size=1, max_size=4).filter(any))
def test_shares_are_met_to_within_one_and_sum_up(total: int, weights: list[int]):
    shares = tuple(weight / sum(weights) for weight in weights)
    counts = split_by_share(total, shares)
    assert sum(counts) == total
    assert all(abs(count - total * share) < 1 for count, share in zip(counts, shares, strict=True))
    assert all(share or not count for count, share in zip(counts, shares, strict=True))


@given(seed=st.integers(0, 1000), num=st.integers(0, 8), spare=st.lists(st.integers(0, 5), min_size=1, max_size=5))
def test_distinct_picks_are_distinct_and_in_range(seed: int, num: int, spare: list[int]):
    counts = num + torch.tensor(spare)
    picks = distinct_picks(counts, num, _seeded(seed))
    for count, row in zip(counts.tolist(), picks.tolist(), strict=True):
        assert len(set(row)) == num
        assert all(0 <= pick < count for pick in row)


def test_every_ordered_choice_is_equally_likely():
    picks = distinct_picks(torch.full((12_000,), 4), 2, _seeded())
    seen = Counter(map(tuple, picks.tolist()))
    assert len(seen) == 12
    # Twelve ordered pairs, each expected 1,000 times: chi-squared with 11 degrees of freedom, 31.3 at one in a thousand.
    assert sum((count - 1000) ** 2 / 1000 for count in seen.values()) < 31.3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_tasks": 31}, "at least 31 classes for a life, but got 30"),
        ({"num_held_out": 9}, r"at least 13 images of every class \(4 to learn and 9 held out\), but got 12 of one"),
        ({"num_held_out": -1}, "`num_held_out` to be non-negative, but got -1"),
        ({"num_tasks": 0}, "`num_tasks` to be positive, but got 0"),
        ({"num_instances": 0}, "`num_instances` to be positive, but got 0"),
        ({"num_labels": 5}, "`num_labels` to be at least 6, one for each class, but got 5"),
    ],
)
def test_lives_that_cannot_be_are_refused(options: Any, message: str):
    with pytest.raises(ValueError, match=message):
        _lives(**options)


@pytest.mark.parametrize(
    ("class_ids", "message"),
    [
        ([0, 1], "`class_ids` for 6 tasks, but got 2"),
        ([0, 1, 2, 3, 4, 4], "distinct classes from 0 to 29"),
        ([0, 1, 2, 3, 4, 30], "distinct classes from 0 to 29"),
    ],
)
def test_class_ids_that_do_not_fit_are_refused(class_ids: list[int], message: str):
    with pytest.raises(ValueError, match=message):
        _lives(class_ids=torch.tensor(class_ids))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 31}, "at least 31 classes for a life, but got 30"),
        ({"num_classes": 5}, "`num_classes` to be at least 6, the tasks, but got 5"),
        ({"num_labels": 8}, "`num_labels` to be at least 9"),
        ({"outer_steps": 0}, "`outer_steps` to be positive"),
        ({"hyper_mix": (0.5, 0.5, 0.1)}, "shares that sum to 1"),
        ({"hyper_mix": (1.5, -0.5, 0.0)}, "non-negative shares"),
        ({"num_held_out": 0}, "for 0 held-out images of a class and 3 held-out classes"),
        ({"num_classes": 6}, "for 3 held-out images of a class and 0 held-out classes"),
    ],
)
def test_hyper_streams_that_cannot_be_are_refused(options: Any, message: str):
    with pytest.raises(ValueError, match=message):
        _hyper_stream(**options)


def test_a_small_class_that_is_not_asked_for_is_no_error():
    pool = _numbered_pool([1, 5, 5])
    sizes = {"num_lives": 1, "num_instances": 3, "num_held_out": 2}
    lives = draw_lives(pool, _seeded(), num_tasks=2, class_ids=torch.tensor([2, 1]), **sizes)
    assert (_numbers(lives.inputs) >= 1).all()
    with pytest.raises(ValueError, match=r"at least 5 images of every class .* but got 1 of one"):
        draw_lives(pool, _seeded(), num_tasks=3, **sizes)


def test_digits_are_met_in_order():
    pool = image_pool([load("digits", "train")])
    lives = draw_lives(
        pool,
        _seeded(),
        num_lives=2,
        num_tasks=10,
        num_instances=5,
        num_held_out=20,
        label_order="in_order",
        class_ids=torch.arange(10),
    )
    train = load("digits", "train")
    for task in range(10):
        own = {image.numpy().tobytes() for image in train.images[train.labels == task]}
        drawn = (torch.cat([lives.learned[:, task], lives.held_out[:, task]], 1) * 255).round().to(torch.uint8)
        assert all(image.numpy().tobytes() in own for image in drawn.flatten(0, 1))
    assert lives.targets[:, 0, 0].tolist() == list(range(10))


def test_lives_of_omniglot_are_of_drawings_of_one_character_each():
    if not (ROOT and split_path(CATALOGUE["omniglot"], "evaluation", Path(ROOT)).is_file()):
        pytest.skip("omniglot/evaluation.npz is not under HYPERLEARNING_DATA")
    pool = with_rotated_classes(image_pool([load("omniglot", "evaluation", root=ROOT)]))
    assert pool.num_classes == 4 * 659
    assert pool.counts.unique().tolist() == [20]
    defaults = {"population": 2, "num_tasks": 20, "num_classes": 25, "num_instances": 5, "num_held_out": 15}
    mix = {"outer_steps": 20, "hyper_batch_size": 20, "hyper_mix": (0.4, 0.4, 0.2)}
    stream = draw_class_hyper_stream(pool, _seeded(), **defaults, **mix)
    class_of = {
        image.numpy().tobytes(): number // 20 for number, image in enumerate((pool.images.float() / 255).unbind())
    }
    classes = [class_of[image.numpy().tobytes()] for image in stream.inputs[:, 0].flatten(0, 1)]
    assert len(set(classes)) == 20
    assert classes == [number for number in classes[::5] for _ in range(5)]
    other = [class_of[image.numpy().tobytes()] for image in stream.hyper_inputs[:, 0, 0, 16:].flatten(0, 1)]
    assert len(set(other)) == 5
    assert not set(other) & set(classes)


def _mixed_pool(sizes: tuple[int, ...]):
    """One data set for each size, of so many classes of three images."""
    pool = _numbered_pool([3] * sum(sizes))
    source = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    return replace(pool, source=source, source_names=tuple(f"made{index}/train" for index in range(len(sizes))))


def _classes_of(lives: ClassLives) -> Tensor:
    """(L, T), each task's class, three images each."""
    numbers = (lives.learned[:, :, 0, 0, 0, :2] * 255).round().long()
    return (numbers[..., 0] * 256 + numbers[..., 1]) // 3


def test_balanced_lives_meet_a_small_data_set_as_often_as_a_large_one():
    pool = _mixed_pool((2, 30, 8))
    lives = draw_lives(pool, _seeded(), num_lives=6_000, num_tasks=1, num_instances=1, num_held_out=0)
    shares = torch.bincount(pool.source[_classes_of(lives)[:, 0]]) / 6_000
    # Four standard deviations of a share of a third.
    assert torch.allclose(shares, torch.full((3,), 1 / 3), atol=0.025)


def test_the_only_class_of_a_balanced_data_set_is_in_three_of_four_lives_of_two():
    # One class beside two: half of the lives draw it first, half of the others second.
    lives = draw_lives(_mixed_pool((1, 2)), _seeded(), num_lives=6_000, num_tasks=2, num_instances=1, num_held_out=0)
    share = (_classes_of(lives) == 0).any(1).double().mean()
    assert abs(float(share) - 0.75) < 0.023


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), sizes=st.lists(st.integers(1, 6), min_size=2, max_size=4), spare=st.integers(0, 3))
def test_balanced_lives_have_distinct_classes_even_where_a_data_set_is_used_up(seed: int, sizes: list[int], spare: int):
    num_tasks = max(1, sum(sizes) - spare)
    lives = draw_lives(
        _mixed_pool(tuple(sizes)),
        _seeded(seed),
        num_lives=3,
        num_tasks=num_tasks,
        num_instances=1,
        num_held_out=0,
    )
    classes = _classes_of(lives)
    assert all(len(set(life)) == num_tasks for life in classes.tolist())
    assert int(classes.max()) < sum(sizes)


def test_balanced_hyper_streams_meet_data_sets_equally():
    pool = _mixed_pool((2, 30))
    stream = draw_class_hyper_stream(
        pool,
        _seeded(),
        population=4_000,
        num_tasks=1,
        num_classes=1,
        num_instances=1,
        num_held_out=0,
        outer_steps=1,
        hyper_batch_size=1,
        hyper_mix=(1.0, 0.0, 0.0),
    )
    numbers = (stream.inputs[0, :, 0, 0, 0, :2] * 255).round().long()
    small = (numbers[:, 0] * 256 + numbers[:, 1]) // 3 < 2
    assert abs(float(small.double().mean()) - 0.5) < 0.032


def test_augmenting_a_stream_changes_every_image_once_and_nothing_else():
    stream = draw_class_hyper_stream(
        POOL,
        _seeded(),
        population=2,
        num_tasks=3,
        num_classes=4,
        num_instances=2,
        num_held_out=1,
        outer_steps=2,
        hyper_batch_size=5,
        hyper_mix=(0.5, 0.3, 0.2),
    )
    sizes = []

    def negative(images: Tensor, generator: torch.Generator):
        sizes.append(len(images))
        return 1 - images

    changed = augmented(stream, negative, _seeded())
    assert torch.equal(changed.inputs, 1 - stream.inputs)
    assert torch.equal(changed.hyper_inputs, 1 - stream.hyper_inputs)
    assert torch.equal(changed.targets, stream.targets)
    assert torch.equal(changed.hyper_targets, stream.hyper_targets)
    assert sizes == [3 * 2 * 2, 2 * 2 * 5]


def test_the_generator_decides_how_a_stream_is_augmented():
    stream = draw_class_hyper_stream(
        POOL,
        _seeded(),
        population=2,
        num_tasks=2,
        num_classes=2,
        num_instances=2,
        num_held_out=1,
        outer_steps=1,
        hyper_batch_size=4,
        hyper_mix=(0.5, 0.5, 0.0),
    )
    augment = Augmentation(rotation=20.0).apply
    first, again, other = (augmented(stream, augment, _seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.hyper_inputs, again.hyper_inputs)
    assert not torch.equal(first.inputs, other.inputs)
