"""Networks to be disturbed: tasks of a set differ, splits do not overlap, all begin at one network."""

import torch

from hyperlearning.core.weight_vectors import weights_of
from hyperlearning.systems.selfnet.robust_networks import RobustnessData, network_set
from hyperlearning.systems.selfnet.task_networks import ColourNetwork, TaskNetwork

DATA = RobustnessData(dataset="digits", num_networks=3, most_images=50, test_images=20)


def test_networks_have_the_sizes_of_the_text():
    assert weights_of(TaskNetwork(torch.Generator(), num_outputs=10)).header.size == 21_840
    assert weights_of(ColourNetwork(torch.Generator())).header.size == 62_006


def test_tasks_of_a_set_differ_and_all_networks_begin_at_one():
    own = network_set("digits", DATA, 0)
    assert torch.equal(weights_of(own.first()).vector, weights_of(own.first()).vector)
    images = [own.data(number, "train").images for number in range(3)]
    assert images[0].shape[1:] == (1, 28, 28)
    assert any(one.shape != images[0].shape or not torch.equal(one, images[0]) for one in images[1:])


def test_tests_are_other_images_than_those_learned_and_as_few_as_asked_for():
    own = network_set("digits", DATA, 0)
    train, test = own.data(0, "train"), own.data(0, "test")
    assert int(train.labels.sum()) == 50
    assert int(test.labels.sum()) == 20
    learned = {image.numpy().tobytes() for image in train.images}
    assert sum(image.numpy().tobytes() in learned for image in test.images) == 0


def test_all_three_sets_unless_one_is_named():
    assert RobustnessData().sets == ("permuted-mnist", "split-mnist", "cifar10")
    assert DATA.sets == ("digits",)
