"""Characters read by a sequence model: streams with labels of their own, runs against lives image by image, its meta-training."""

import pytest
import torch
from tests.engine.resuming import check_goes_on_to_the_same_bits
from torch import Tensor

from hyperlearning.core.losses import cross_entropy
from hyperlearning.core.seeding import generator
from hyperlearning.engine.fitting import FitState
from hyperlearning.evaluation.recognition import ClassFeatures
from hyperlearning.learners.sequence_life import SequenceLife
from hyperlearning.streams.trajectories import TRAIN_IMAGES, draw_meta_test
from hyperlearning.systems.trajectories.build import EmbeddingTraining
from hyperlearning.systems.trajectories.meta_test import class_features
from hyperlearning.systems.trajectories.sequence import SequenceSettings, read_runs, sequence_training, trained_model

SIDE, LABELS = 28, 4


def settings(num_steps: int = 3) -> SequenceSettings:
    return SequenceSettings(
        sequence_steps=num_steps,
        sequence_population=2,
        sequence_classes=LABELS,
        sequence_shots=3,
        sequence_width=32,
        sequence_lr=0.01,
    )


def plain(num_classes: int = 6, num_images: int = 20) -> Tensor:
    """Images that are their class's number throughout."""
    numbers = torch.arange(num_classes, dtype=torch.uint8)
    return numbers[:, None, None, None, None].expand(-1, num_images, 1, SIDE, SIDE).contiguous()


def bars(num_classes: int = 6) -> Tensor:
    """Images with a bar at a place that tells their class."""
    images = torch.zeros(num_classes, 20, 1, SIDE, SIDE, dtype=torch.uint8)
    for number in range(num_classes):
        images[number, :, :, 4 * number : 4 * number + 4] = 255
    return images


def embed(images: Tensor) -> Tensor:
    """The brightness of each row, from 0 to 1."""
    return images.float().mean(dim=(1, 3)) / 255


def features(images: Tensor) -> ClassFeatures:
    return class_features(embed, images, split="meta-test")


def training(images: Tensor, num_steps: int = 3) -> EmbeddingTraining[FitState]:
    return sequence_training(settings(num_steps), embed, images, seed=0, label="sequence", title="sequence model")


def test_a_class_has_one_label_throughout_a_stream_and_another_in_others():
    job, labels_of_class_0 = training(plain()).job, set()
    for _ in range(30):
        lives = job.draw(job.source)
        for life in range(2):
            met = dict(zip(lives.inputs[:, life, 0, 0].tolist(), lives.targets[:, life, 0].tolist(), strict=True))
            numbers = lives.hyper_inputs[0, 0, life, :, 0].tolist()
            assert [met[number] for number in numbers] == lives.hyper_targets[0, 0, life].tolist()
            assert len(set(met.values())) == len(met) >= 2
            assert len(lives.inputs) == 3 * len(met)
            labels_of_class_0.add(met.get(0.0))
    assert labels_of_class_0 >= set(range(LABELS))


def test_runs_read_at_once_are_lives_that_read_image_by_image():
    train, images = training(bars()), bars()
    model = trained_model(settings(), train.job.begin())
    runs = draw_meta_test(6, LABELS, generator(0, "runs"), num_runs=1)
    accuracy = read_runs(model, features(images), runs, generator(0, "labels"))
    source, held_out = generator(0, "labels"), []
    for classes, order in zip(runs.classes, runs.order, strict=True):
        labels, life = torch.randperm(LABELS, generator=source), SequenceLife(model, loss_fn=cross_entropy)
        by_class = dict(zip(classes.tolist(), labels.tolist(), strict=True))
        for step in order.tolist():
            number, image = divmod(step, TRAIN_IMAGES)
            life.observe(embed(images[number, image][None]), torch.tensor([by_class[number]]))
        right = [
            life.predict(embed(images[number, TRAIN_IMAGES:])).argmax(-1) == by_class[number]
            for number in classes.tolist()
        ]
        held_out.append(float(torch.cat(right).float().mean()))
    torch.testing.assert_close(accuracy.held_out, torch.tensor(held_out))


def test_meta_trained_on_classes_that_are_easily_told_apart_it_knows_which_label_they_have_in_a_new_stream():
    train = training(bars(), 75)
    *_, last = train.job.steps(train.job.begin())
    runs = draw_meta_test(6, LABELS, generator(1, "runs"), num_runs=5)
    accuracy = train.embedding(last.state).read(features(bars()), runs, generator(1, "labels"))
    assert accuracy.held_out.mean() > 0.9
    assert accuracy.held_out_in_run.mean() >= accuracy.held_out.mean()


def test_stopped_after_any_step_its_meta_training_goes_on_to_the_same_bits():
    check_goes_on_to_the_same_bits(lambda: training(bars()).job)


def test_more_classes_than_labels_are_refused():
    train = training(plain())
    runs = draw_meta_test(6, LABELS + 1, generator(0, "runs"), num_runs=1)
    with pytest.raises(ValueError, match="at most 4 classes, one a label, but got 5"):
        train.embedding(train.job.begin()).read(features(plain()), runs, generator(0, "labels"))


@pytest.mark.parametrize("images", [plain(num_classes=3), plain(num_images=4)])
def test_too_few_classes_or_images_are_refused(images: Tensor):
    with pytest.raises(ValueError, match="Expected 4 classes of 5 images or more"):
        training(images)
