"""Packed targets: labels of the first images alone, and pixels of all."""

import pytest
import torch

from hyperlearning.streams.class_incremental import draw_class_hyper_stream, draw_lives
from hyperlearning.streams.hyper_stream import HyperStream
from hyperlearning.streams.image_pool import ImagePool
from hyperlearning.streams.semi_supervised import as_semi_supervised, lives_as_semi_supervised, small_images


def pool() -> ImagePool:
    source = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (6 * 8, 1, 8, 8), dtype=torch.uint8, generator=source)
    first = torch.arange(6) * 8
    return ImagePool(
        images=images,
        first=first,
        counts=torch.full((6,), 8),
        source=torch.zeros(6, dtype=torch.long),
        source_names=("some/train",),
    )


def stream() -> HyperStream:
    return draw_class_hyper_stream(
        pool(),
        torch.Generator().manual_seed(1),
        population=2,
        num_tasks=3,
        num_classes=4,
        num_instances=4,
        num_held_out=2,
        outer_steps=1,
        hyper_batch_size=10,
        hyper_mix=(0.5, 0.5, 0.0),
    )


def test_the_first_images_alone_have_labels_and_hyper_batches_all():
    plain = stream()
    made = as_semi_supervised(plain, num_labelled=1, pixel_side=4)
    assert made.targets[..., 1].unique(dim=-2).tolist() == [[[1.0, 0.0, 0.0, 0.0]]] * 3
    assert bool((made.hyper_targets[..., 1] == 1).all())
    assert torch.equal(made.targets[..., 0].long(), plain.targets)
    assert torch.equal(made.hyper_targets[..., 0].long(), plain.hyper_targets)


def test_pixels_are_means_of_blocks():
    plain = stream()
    made = as_semi_supervised(plain, num_labelled=2, pixel_side=4)
    by_hand = plain.inputs.unflatten(-1, (4, 2)).unflatten(-3, (4, 2)).mean((-1, -3)).flatten(-3)
    torch.testing.assert_close(made.targets[..., 2:], by_hand)


def test_images_of_full_size_stay_as_they_are():
    images = stream().inputs
    assert torch.equal(small_images(images, 8), images.flatten(-3))


def test_lives_keep_what_they_are_scored_on():
    lives = draw_lives(pool(), torch.Generator(), num_lives=2, num_tasks=3, num_instances=4, num_held_out=2)
    made = lives_as_semi_supervised(lives, num_labelled=3, pixel_side=2)
    assert made.targets.shape == (3, 2, 4, 2 + 4)
    assert made.targets[..., 1].sum(-1).unique().tolist() == [3.0]
    assert torch.equal(made.held_out, lives.held_out)


@pytest.mark.parametrize(("num_labelled", "pixel_side"), [(0, 4), (5, 4), (1, 3), (1, 0)])
def test_labels_and_sides_that_do_not_fit_are_refused(num_labelled: int, pixel_side: int):
    with pytest.raises(ValueError, match=r"Expected `(num_labelled|pixel_side)`"):
        as_semi_supervised(stream(), num_labelled=num_labelled, pixel_side=pixel_side)
