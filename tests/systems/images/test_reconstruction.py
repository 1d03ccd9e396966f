"""Lives of autoencoders: references in closed form, scores by hand, packed pictures."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hyperlearning.core.image_losses import summed_pixel_error
from hyperlearning.evaluation.reconstruction import LifeErrors
from hyperlearning.learners.inner_loop import Learner
from hyperlearning.learners.optimizers import sgd
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.autoencoder_lines import reconstruction_line
from hyperlearning.systems.images.reconstruction import deploy, frozen, mean_image, principal_components, watch
from hyperlearning.systems.packed_images import pack_images, unpack_images
from hyperlearning.systems.system import Method


def lives(num_lives: int = 2, num_tasks: int = 3, side: int = 4) -> ClassLives:
    source = torch.Generator().manual_seed(0)
    learned = torch.rand(num_lives, num_tasks, 2, 1, side, side, generator=source)
    held_out = torch.rand(num_lives, num_tasks, 3, 1, side, side, generator=source)
    inputs = learned.transpose(0, 1)
    labels = torch.arange(num_tasks).repeat(num_lives, 1)
    return ClassLives(inputs, inputs.flatten(-3), learned, held_out, labels)


def learner(inner_lr: float) -> Learner:
    """Outputs are its plastic biases: it can learn one image for all."""
    return Learner(
        lambda plastic, innate, inputs: plastic["bias"][:, None].expand(*inputs.shape[:2], -1),
        summed_pixel_error,
        sgd(),
        inner_lr,
    )


START = {"bias": torch.zeros(16)}


def test_all_components_of_the_images_met_remember_them_and_the_mean_forgets():
    kept = principal_components(lives(), rank=5)
    assert kept.memory[:, -1].max() < 1e-10
    for stage in (1, 2):
        assert kept.memory[:, stage, :stage].max() < 1e-10
    assert mean_image(lives()).memory[:, -1].min() > 0.01


def test_the_error_of_the_mean_image_is_the_images_variance():
    some = lives()
    met = some.learned.flatten(1, 2).flatten(2)
    torch.testing.assert_close(mean_image(some).memory[:, -1].mean(-1), met.var(1, correction=0).mean(-1))


def test_before_the_first_class_references_are_black():
    torch.testing.assert_close(mean_image(lives()).generalization[:, 0], lives().held_out.square().flatten(2).mean(-1))


def test_a_life_ends_with_the_last_class_and_its_first_look_is_at_birth():
    some = lives(num_lives=12)
    errors = deploy(learner(2.0), START, {}, some, steps_per_task=200)
    torch.testing.assert_close(errors.memory[:, 0], (some.learned - 0.5).square().flatten(2).mean(-1))
    of_last = some.learned[:, -1].flatten(2)
    expected = of_last.var(1, correction=0).mean(-1)
    torch.testing.assert_close(errors.memory[:, -1, -1], expected, atol=1e-4, rtol=1e-2)


def test_a_frozen_life_is_its_birth_at_every_stage():
    some = lives()
    errors, alive = frozen(learner(2.0), START, {}, some), deploy(learner(2.0), START, {}, some, steps_per_task=1)
    for stage in range(4):
        torch.testing.assert_close(errors.generalization[:, stage], alive.generalization[:, 0])


def test_watching_sees_what_deployment_scores():
    some = lives()
    seen = dict(watch(learner(2.0), START, {}, some, steps_per_task=2, looks=[0, 1, 6]))
    assert sorted(seen) == [0, 1, 6]
    alive = deploy(learner(2.0), START, {}, some, steps_per_task=2)
    error = (seen[6][:, :2] - some.learned[0].flatten(2)).square().mean((-1, -2))
    torch.testing.assert_close(error, alive.memory[0, -1])


def test_scores_by_hand():
    memory = torch.tensor([[9.0, 9.0], [1.0, 8.0], [3.0, 2.0]]).expand(2, -1, -1)
    general = torch.tensor([[9.0, 7.0], [4.0, 5.0], [6.0, 2.0]]).expand(2, -1, -1)
    errors = LifeErrors(memory, general)
    line = reconstruction_line(Method("x", "x", "x", lambda lives: errors), "meta_test", errors)
    assert line.scores.by_name() == {
        "memory": [2.5] * 2,
        "generalization": [4.0] * 2,
        "forgetting": [1.0] * 2,
        "unseen": [5.0] * 2,
        "forward_transfer": [2.0] * 2,
    }
    assert line.course.memory.mean == [1.0, 2.5]
    assert line.course.generalization.mean == [4.0, 4.0]
    assert line.course.unseen.mean == [8.0, 5.0]


@given(st.lists(st.floats(-0.5, 1.5, width=32), min_size=6, max_size=6))
def test_packed_images_come_back_to_8_bits(values: list[float]):
    images = torch.tensor(values).reshape(2, 3)
    back = torch.tensor(unpack_images(pack_images(images))) / 255
    assert (back - images.clamp(0, 1)).abs().max() <= 0.5 / 255 + 1e-6


def test_no_component_at_all_is_refused():
    with pytest.raises(ValueError, match="Expected `rank` to be positive"):
        principal_components(lives(), rank=0)
