"""Decoders that a hypernetwork emits: their images are like a task's, and teach which task an image is of."""

import torch
from torch import Tensor

from hyperlearning.learners.hypernet_continual.learner import AdamRule, HypernetLearner
from hyperlearning.learners.hypernet_continual.output_penalty import OutputPenalty
from hyperlearning.learners.hypernet_continual.replaying import KeepDecoders, decoder, replayed, task_classifier
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork

LATENT, SIDE, NUM_TASKS = 4, 6, 3


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(task: int, num: int = 200) -> Tensor:
    """Two rows of white, of which each task has its own, in noise."""
    made = 0.1 * torch.rand(num, 1, SIDE, SIDE, generator=source(task))
    made[:, :, 2 * task : 2 * task + 2] = 0.9
    return made


def learner() -> HypernetLearner:
    network = decoder(LATENT, 16, SIDE * SIDE, source())
    hyper = Hypernetwork(network, NUM_TASKS, embedding_size=8, hidden=(16,), chunk_size=200, generator=source())
    objective = KeepDecoders(
        OutputPenalty(strength=0.1), latent=LATENT, hidden=16, num_pixels=SIDE * SIDE, source=source(1)
    )
    return HypernetLearner(hyper, objective, AdamRule(300, 32, 0.01))


def learned() -> HypernetLearner:
    made = learner()
    for task in range(NUM_TASKS):
        made.learn(images(task), torch.zeros(200, dtype=torch.int64), source(task))
    return made


def test_decoders_of_old_tasks_still_make_their_images_and_teach_which_task_an_image_is_of():
    hyper = learned().hyper
    made = replayed(hyper, NUM_TASKS, 50, LATENT, source(5)).mean(1)
    wanted = torch.stack([images(task).flatten(1).mean(0) for task in range(NUM_TASKS)])
    assert float((made - wanted).abs().mean()) < 0.1
    classifier = task_classifier(
        hyper, NUM_TASKS, latent=LATENT, hidden=16, num_steps=100, batch=30, lr=0.01, source=source(6)
    )
    for task in range(NUM_TASKS):
        assert float((classifier(images(task, 50).flatten(1)).argmax(1) == task).float().mean()) > 0.95


def test_an_encoder_is_drawn_anew_so_that_what_is_kept_goes_on_to_the_same_bits():
    whole, other = learned(), learner()
    begun = learner()
    begun.learn(images(0), torch.zeros(200, dtype=torch.int64), source(0))
    other.restore({name: tensor.clone() for name, tensor in begun.tensors().items()}, 1)
    for task in (1, 2):
        other.learn(images(task), torch.zeros(200, dtype=torch.int64), source(task))
    assert all(torch.equal(whole.tensors()[name], tensor) for name, tensor in other.tensors().items())
