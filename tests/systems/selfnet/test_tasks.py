"""Tasks of a stream: of the right images, the life's own apart from those of trials."""

from dataclasses import replace

import pytest
import torch

from hyperlearning.systems.selfnet.settings import StreamSettings, TaskSettings
from hyperlearning.systems.selfnet.tasks import drawn_tasks, stream_tasks

STREAMS = ("permuted", "one_against_four", "class_groups")


def settings(stream: str) -> StreamSettings:
    return StreamSettings(stream=stream, dataset="digits", num_tasks=3, most_images=60, test_images=30)


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("validation", [False, True])
def test_a_stream_has_tasks_of_no_more_images_than_it_may_and_the_same_ones_again(stream: str, validation: bool):
    own, again = (stream_tasks(settings(stream), 0, validation=validation) for _ in range(2))
    assert len(own) == 3
    for number in range(3):
        train, test = own.train(number), own.test(number)
        assert 0 < len(train.labels) <= 60
        assert 0 < len(test.labels) <= 30
        assert int(train.labels.max()) < own.num_outputs
        assert own.first()(test.images).shape == (len(test.labels), own.num_outputs)
        assert torch.equal(train.images, again.train(number).images)


@pytest.mark.parametrize("stream", STREAMS)
def test_trials_have_other_tasks_and_no_image_to_test_on(stream: str):
    whole = replace(settings(stream), most_images=100_000, test_images=100_000)
    life, trial = stream_tasks(whole, 0), stream_tasks(whole, 0, validation=True)
    if stream != "permuted":
        assert life.titles != trial.titles
    tested = {image.numpy().tobytes() for number in range(3) for image in life.test(number).images}
    tried = {
        image.numpy().tobytes()
        for number in range(3)
        for data in (trial.train(number), trial.test(number))
        for image in data.images
    }
    assert not tested & tried
    learned = {image.numpy().tobytes() for image in trial.train(0).images}
    assert not learned & {image.numpy().tobytes() for image in trial.test(0).images}


def test_another_seed_makes_other_permutations():
    first, second = (stream_tasks(settings("permuted"), seed).test(0).images for seed in (0, 1))
    assert not torch.equal(first, second)


def test_drawn_tasks_of_trials_are_another_draw_of_images_to_learn_from():
    own = TaskSettings(dataset="digits", num_tasks=4)
    assert drawn_tasks(own, 0).titles != drawn_tasks(own, 0, validation=True).titles


def test_colour_images_get_the_network_for_them():
    from hyperlearning.systems.selfnet.task_networks import ColourNetwork, TaskNetwork

    assert isinstance(stream_tasks(settings("permuted"), 0).first(), TaskNetwork)
    assert ColourNetwork(torch.Generator(), num_outputs=2)(torch.zeros(1, 3, 32, 32)).shape == (1, 2)


def test_a_users_network_stands_in_for_grey_images_alone():
    from hyperlearning.systems.selfnet.task_networks import PatchNetwork

    network = stream_tasks(replace(settings("permuted"), network="patches"), 0).first()
    assert isinstance(network, PatchNetwork)
    assert sum(tensor.numel() for tensor in PatchNetwork(torch.Generator()).parameters()) == 12_802
    images = torch.randn(3, 1, 28, 28)
    assert network(images).shape == (3, 10)
    moved = images.clone()
    moved[:, :, :4, :4], moved[:, :, 4:8, :4] = images[:, :, 4:8, :4], images[:, :, :4, :4]
    assert not torch.allclose(network(moved), network(images))


def test_more_tasks_than_classes_are_refused():
    with pytest.raises(ValueError, match="at most 10 tasks of one class against four, but got 11"):
        stream_tasks(replace(settings("one_against_four"), num_tasks=11), 0)
