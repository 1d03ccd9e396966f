"""A folder's images lived class after class: every life meets the same, and what is said of each is what it did."""

import math
from dataclasses import replace

import pytest
import torch

from hyperlearning.data.image_folders import UserImages
from hyperlearning.data.images import load
from hyperlearning.engine.devices import computing_on
from hyperlearning.experiments.images.class_incremental import load_classifier
from hyperlearning.experiments.shipped import IMAGES, shipped
from hyperlearning.learners.prototypes import distance_logits
from hyperlearning.streams.image_pool import image_pool
from hyperlearning.systems.folder import FolderSettings, LearnedFolder, folder_stream, learn_folder
from hyperlearning.systems.images.innate_file import read_innate
from hyperlearning.systems.images.methods import newborn
from hyperlearning.systems.images.trained import TrainedClassifier
from hyperlearning.systems.innate import Innate

NUM_CLASSES, NUM_IMAGES = 4, 9


@pytest.fixture(scope="module")
def run() -> TrainedClassifier:
    return load_classifier(shipped(IMAGES))


@pytest.fixture(scope="module")
def innate() -> Innate:
    return read_innate(shipped(IMAGES) / "innate.safetensors")


def of_sizes(*sizes: int) -> UserImages:
    """Digits, so many of each."""
    pool = image_pool([load("digits", "test")], side=28, channels=1)
    images = [pool.images[int(pool.first[k]) : int(pool.first[k]) + size] for k, size in enumerate(sizes)]
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    return UserImages(
        images=torch.cat(images).float() / 255,
        labels=labels,
        class_names=tuple(f"digit {k}" for k in range(len(sizes))),
        file_names=tuple(f"{label}/{place}.png" for place, label in enumerate(labels.tolist())),
        unread=(),
        said=(),
    )


@pytest.fixture(scope="module")
def learned(run: TrainedClassifier, innate: Innate) -> LearnedFolder:
    return learn_folder(run, of_sizes(*[NUM_IMAGES] * NUM_CLASSES), innate=innate)


def test_at_most_half_of_a_class_is_learned_at_least_one_and_all_if_asked_for():
    pictures = of_sizes(1, 2, 3, 12)
    settings = {
        FolderSettings(): [1, 1, 1, 5],
        FolderSettings(num_learned=2): [1, 1, 1, 2],
        FolderSettings(num_learned=100): [1, 1, 1, 6],
        FolderSettings(num_learned="all"): [1, 2, 3, 12],
    }
    for wanted, expected in settings.items():
        stream = folder_stream(pictures, wanted, num_instances=5)
        assert [len(batch) for batch in stream.batches] == expected
        assert int(stream.is_learned.sum()) == sum(expected)
        for label, batch in enumerate(stream.batches):
            assert (pictures.labels[batch] == label).all()
    with pytest.raises(ValueError, match="`num_learned` to be positive"):
        FolderSettings(num_learned=0)


def test_the_seed_chooses_what_is_learned():
    pictures = of_sizes(9, 9)
    first, again, other = (
        folder_stream(pictures, FolderSettings(seed=seed), num_instances=5).is_learned for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_hyper_trained_network_lives_as_its_deployment_does(run: TrainedClassifier, learned: LearnedFolder):
    life, stream = run.deployment(), learned.stream
    for label, batch in enumerate(stream.batches):
        life.learn(stream.images[batch], label)
    assert life.classify(stream.images) == learned["dan"].chosen.tolist()
    assert learned["dan"].num_stored == life.num_stored


def test_class_means_choose_the_nearest_mean_of_what_was_learned(run: TrainedClassifier, learned: LearnedFolder):
    stream = learned.stream
    with torch.no_grad():
        features = newborn(run.settings, run.start, run.innate).features(stream.images)
    means = torch.stack([features[batch].mean(0) for batch in stream.batches])
    nearest = distance_logits(features[None], means[None], torch.ones(1, NUM_CLASSES, dtype=torch.bool))[0].argmax(1)
    assert torch.equal(learned["means"].chosen, nearest)


def test_along_the_life_is_the_mean_over_what_shorter_lives_recognise_at_their_end(
    run: TrainedClassifier, innate: Innate
):
    """Of three classes: the life asked after two, and after three."""
    three = of_sizes(9, 9, 9)
    first = three.labels < 2
    two = UserImages(
        images=three.images[first],
        labels=three.labels[first],
        class_names=three.class_names[:2],
        file_names=three.file_names[:18],
        unread=(),
        said=(),
    )
    longer, shorter = (learn_folder(run, pictures, innate=innate) for pictures in (three, two))
    for name in ("dan", "means", "bayes", "plain", "plain_replay"):
        ends = [shorter[name].all_held_out, longer[name].all_held_out]
        assert longer[name].along == pytest.approx(sum(end for end in ends if end is not None) / 2)


def test_shares_are_of_what_each_life_chose(learned: LearnedFolder):
    stream = learned.stream
    for life in learned.lives:
        right = life.chosen == stream.labels
        own = (stream.labels == 1) & ~stream.is_learned
        assert float(life.held_out[1]) == pytest.approx(float(right[own].double().mean()))
        assert life.all_learned == pytest.approx(float(right[stream.is_learned].double().mean()))


def test_the_best_comes_first_and_bounds_last(learned: LearnedFolder):
    along = [life.along for life in learned.lives if life.along is not None]
    assert along == sorted(along, reverse=True)
    assert learned.lives[-1].joint
    assert learned.lives[-1].along is None
    assert learned["plain"].all_held_out is not None
    assert learned["dan"].all_held_out is not None
    assert learned["plain"].all_held_out < learned["dan"].all_held_out


def test_only_replay_keeps_images(learned: LearnedFolder):
    met = int(learned.stream.is_learned.sum())
    assert learned["plain_replay"].num_stored - learned["plain"].num_stored == met * (28 * 28 + 1)
    assert learned["means"].num_stored == NUM_CLASSES * (256 + 2)


def test_lives_are_the_same_whatever_the_number_of_threads(run: TrainedClassifier):
    learned = []
    for threads in (1, 2):
        with computing_on(torch.device("cpu"), threads=threads):
            learned.append(learn_folder(run, of_sizes(4, 4)))
            assert torch.get_num_threads() == threads
    for first, second in zip(*(own.lives for own in learned), strict=True):
        assert (first.name, first.along) == (second.name, second.along)
        assert torch.equal(first.chosen, second.chosen)


def test_without_innate_statistics_a_life_is_left_out_and_it_is_said(run: TrainedClassifier):
    learned = learn_folder(run, of_sizes(3, 3))
    assert "innate_discriminant" not in {life.name for life in learned.lives}
    assert "innate discriminant was left out" in " ".join(learned.said)


def test_a_class_of_one_image_is_learned_and_nothing_of_it_held_out(run: TrainedClassifier, innate: Innate):
    learned = learn_folder(run, of_sizes(1, 6), innate=innate)
    assert "Of one image only" in " ".join(learned.said)
    assert "digit 0" in " ".join(learned.said)
    assert math.isnan(float(learned["dan"].held_out[0]))


def test_if_all_are_learned_nothing_is_held_out_and_it_is_said(run: TrainedClassifier, innate: Innate):
    learned = learn_folder(run, of_sizes(3, 3), innate=innate, settings=FolderSettings(num_learned="all"))
    assert {life.along for life in learned.lives} == {life.all_held_out for life in learned.lives} == {None}
    assert "Nothing was held out" in " ".join(learned.said)


def test_too_few_and_too_many_classes_are_refused(run: TrainedClassifier):
    with pytest.raises(ValueError, match="two classes or more"):
        learn_folder(run, of_sizes(3))
    settings = replace(run.settings, network=replace(run.settings.network, num_outputs=2))
    with pytest.raises(ValueError, match=r"at most 2 classes.*got 3.*--num-outputs 3"):
        learn_folder(run._replace(settings=settings), of_sizes(1, 1, 1))
