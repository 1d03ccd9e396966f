"""Tasks that are inferred: densities are those of the formula, entropies have no NaN, and known tasks are told apart."""

import math

import pytest
import torch
from torch import nn

from hyperlearning.streams.binary_tasks import TaskData
from hyperlearning.systems.selfnet.settings import InferenceSettings
from hyperlearning.systems.selfnet.task_inference import (
    RULES,
    Density,
    Embedding,
    infer_tasks,
    negative_entropy,
    said_by,
)
from hyperlearning.systems.selfnet.tasks import Tasks

SETTINGS = InferenceSettings(density_components=2, density_pool=1, embedding_features=30)


def test_the_density_is_that_of_a_gaussian_with_the_covariance_of_the_formula():
    torch.manual_seed(0)
    images = torch.randn(200, 1, 3, 3) @ torch.diag(torch.tensor([3.0, 1.0, 0.5])) + 1
    density, some = Density(images, num_components=2, pool=1), torch.randn(5, 1, 3, 3)
    kept = {name: tensor.double() for name, tensor in density.kept.items()}
    along = kept["directions"].T * (kept["variances"] - kept["rest"]) @ kept["directions"]
    gaussian = torch.distributions.MultivariateNormal(
        kept["mean"], along + kept["rest"] * torch.eye(9, dtype=torch.float64)
    )
    wanted = gaussian.log_prob(some.flatten(1).double()) + 9 / 2 * math.log(2 * math.pi)
    torch.testing.assert_close(density.log_likelihood(some).double(), wanted, rtol=1e-2, atol=1e-2)


def test_a_network_that_is_quite_sure_has_entropy_0_and_no_nan():
    said = torch.tensor([[[0.0, -1e9], [math.log(0.5), math.log(0.5)]]])
    torch.testing.assert_close(negative_entropy(said), torch.tensor([[0.0, -math.log(2)]]))
    sure = said_by([nn.Linear(1, 2)], torch.full((1, 1), 1e8))
    assert bool(negative_entropy(sure).isfinite().all())


class Toy:
    """Tasks whose images lie far apart, each with two labels, and networks that know their own."""

    centres = (-6.0, 6.0)

    def tasks(self, *, one_class: bool = False, shared: bool = False) -> Tasks:
        return Tasks(("a", "b"), self.examples, self.first, one_class=one_class, labels_are_shared=shared)

    def examples(self, number: int, split: str) -> TaskData:
        source = torch.Generator().manual_seed(number + 2 * (split == "test"))
        labels = torch.arange(80) % 2
        images = torch.randn(80, 1, 2, 2, generator=source) * 0.3 + self.centres[number]
        images[:, 0, 0, 0] += (labels * 2 - 1) * 2.0
        return TaskData(images, labels)

    def first(self) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(4, 2))

    def networks(self) -> list[nn.Module]:
        found = []
        for centre in self.centres:
            network = self.first()
            with torch.no_grad():
                network[1].weight.zero_()
                network[1].weight[1, 0] = 5.0
                network[1].bias.copy_(torch.tensor([0.0, -5.0 * centre]))
            found.append(network)
        return found


@pytest.mark.parametrize("shared", [True, False])
def test_tasks_that_lie_far_apart_are_told_apart(shared: bool):
    toy = Toy()
    found = {line.rule: line for line in infer_tasks(toy.tasks(shared=shared), toy.networks(), SETTINGS, seed=0)}
    assert tuple(found) == RULES
    for rule in ("known", "density", "embedding"):
        assert min(found[rule].found) == 1.0
        assert min(found[rule].right) > 0.95
    assert found["density"].num_bytes > 0
    assert found["known"].num_bytes == found["entropy"].num_bytes == 0


def test_a_wrong_task_is_a_wrong_label_unless_labels_are_shared():
    toy, swapped = Toy(), None
    for shared in (True, False):
        networks = toy.networks()
        networks[1] = networks[0]
        (_, entropy, *_) = infer_tasks(toy.tasks(shared=shared), networks, SETTINGS, seed=0)
        right = sum(entropy.right) / 2
        swapped = right if swapped is None else swapped - right
    assert swapped is not None
    assert swapped > 0


def test_of_one_class_against_others_its_own_images_are_inferred():
    toy = Toy()
    found = {line.rule: line for line in infer_tasks(toy.tasks(one_class=True), toy.networks(), SETTINGS, seed=0)}
    assert found["density"].found == (1.0, 1.0)
    assert found["known"].right == (1.0, 1.0)


def test_an_embedding_learns_labels_and_follows_from_its_seed():
    toy = Toy()
    data = toy.examples(0, "train")
    made = [Embedding(4, num_features=30, num_labels=2, seed=seed) for seed in (0, 0, 1)]
    for embedding in made:
        embedding.learn(data.images, data.labels)
    test = toy.examples(0, "test")
    scores = [embedding.scores(test.images) for embedding in made]
    assert float((scores[0].argmax(1) == test.labels).float().mean()) > 0.9
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])
