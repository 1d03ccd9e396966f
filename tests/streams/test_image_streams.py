"""Streams of images: every image once, classes in the order and as frequent as their name says."""

import pytest
import torch

from hyperlearning.data.images import load
from hyperlearning.streams.image_pool import ImagePool, image_pool
from hyperlearning.streams.image_streams import ImageStream, StreamName, draw_image_stream, tail_counts


def pools() -> tuple[ImagePool, ImagePool]:
    return image_pool([load("digits", "train")]), image_pool([load("digits", "test")])


def drawn(name: StreamName, seed: int = 0, num_images: int = 200) -> ImageStream:
    source = torch.Generator().manual_seed(seed)
    return draw_image_stream(*pools(), source, name=name, num_images=num_images, num_tests=7, tail_ratio=20.0)


@pytest.mark.parametrize("name", ["classes", "shuffled", "shuffled_tail", "classes_tail"])
def test_it_has_as_many_images_of_each_class_as_it_says_and_none_twice(name: StreamName):
    stream = drawn(name)
    assert stream.labels.bincount().tolist() == stream.counts.tolist()
    assert len(stream.images.flatten(1).unique(dim=0)) == len(stream.images) == 200
    assert stream.test_labels.bincount().tolist() == [7] * 10
    assert 0 <= float(stream.images.min()) < float(stream.images.max()) == 1


def test_images_are_of_the_class_that_their_number_stands_for():
    pool, stream = pools()[0], drawn("shuffled")
    places = torch.cat([(pool.images.float() / 255 == image).flatten(1).all(1).nonzero()[0] for image in stream.images])
    classes = torch.bucketize(places, pool.first, right=True) - 1
    pairs = set(zip(stream.labels.tolist(), classes.tolist(), strict=True))
    assert len(pairs) == 10


@pytest.mark.parametrize("name", ["classes", "classes_tail"])
def test_classes_come_one_after_another(name: StreamName):
    labels = drawn(name).labels
    assert labels.tolist() == sorted(labels.tolist())


def test_mixed_ones_do_not():
    labels = drawn("shuffled").labels
    assert len(labels[:40].unique()) > 5
    assert (labels.diff() < 0).any()


def test_a_tail_falls_by_one_factor_and_its_order_in_a_stream_of_classes_is_chance():
    counts = drawn("shuffled_tail", num_images=400).counts
    assert counts.tolist() == tail_counts(400, 10, 20.0).tolist() == sorted(counts.tolist(), reverse=True)
    assert float(counts[0] / counts[-1]) == pytest.approx(20, rel=0.3)
    assert drawn("classes_tail", num_images=400).counts.tolist() != counts.tolist()


def test_a_ratio_of_27_over_four_classes_is_a_factor_of_three():
    assert tail_counts(100, 4, 27.0).tolist() == [69, 22, 7, 2]


def test_every_class_has_an_image_however_steep_the_tail():
    assert tail_counts(12, 10, 1e6).tolist() == [2, 2, *[1] * 8]


def test_a_stream_follows_from_its_source():
    one, again, other = (drawn("classes", seed) for seed in (0, 0, 1))
    assert torch.equal(one.images, again.images)
    assert not torch.equal(one.images, other.images)


def test_more_images_than_a_class_has_are_refused():
    with pytest.raises(ValueError, match="Expected 200 images of a class"):
        drawn("classes", num_images=2000)


def test_fewer_images_than_classes_are_refused():
    with pytest.raises(ValueError, match="one for each class"):
        tail_counts(9, 10, 2.0)
