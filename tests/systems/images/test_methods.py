"""Ordinary networks: what joint learning meets; an autoencoder's plain fit against torch.optim."""

from collections import Counter

import torch

from hyperlearning.core.image_losses import pixel_error
from hyperlearning.streams.hyper_stream import Stream
from hyperlearning.systems.images.autoencoder import build_autoencoder, plain_fit, plain_settings
from hyperlearning.systems.images.methods import in_no_order
from hyperlearning.systems.images.pools import load_pools
from hyperlearning.systems.images.settings import (
    DataSettings,
    ImageSettings,
    LifeSettings,
    NetworkSettings,
    TrainingSettings,
)


def test_without_order_every_image_is_met_as_often_as_with_it():
    images = torch.arange(12.0).reshape(3, 1, 4, 1)
    stream = in_no_order(Stream(images, images[..., 0].long()), steps_per_task=5, seed=0)
    assert stream.inputs.shape == (15, 1, 4, 1)
    assert torch.equal(stream.inputs[..., 0].long(), stream.targets)
    assert Counter(stream.targets.flatten().tolist()) == dict.fromkeys(range(12), 5)


def test_a_fit_without_lives_goes_as_adam_on_the_pixel_error_of_its_hyper_batches():
    network = NetworkSettings(maps=(4,), hidden_sizes=(3,), num_channels=2, phenotype_units=3, synaptic_scaling=0.0,
                              zero_start=False)  # fmt: skip
    training = TrainingSettings(
        population=2, train_tasks=3, train_classes=4, train_held_out=2, hyper_batch_size=6, max_grad_norm=None
    )
    data = DataSettings(dataset="digits", side=8)
    settings = ImageSettings(data=data, network=network, life=LifeSettings(num_instances=2), training=training)
    own, pools = plain_settings(settings, 3), load_pools(data)
    job = plain_fit(own, pools)
    *_, last = job.steps(job.begin())

    model, again = build_autoencoder(own), plain_fit(own, pools)
    rates, optimizer = own.training.outer_rate, torch.optim.Adam(model.parameters(), lr=1.0)
    for epoch in range(3):
        (group,) = optimizer.param_groups
        group["lr"] = rates(epoch / 3)
        stream = again.draw(again.source)
        optimizer.zero_grad()
        images = stream.hyper_inputs[0, 0].flatten(0, 1)
        (100 * pixel_error(model(images)[None], images.flatten(1)[None])).mean().backward()
        optimizer.step()
    for name, value in model.named_parameters():
        torch.testing.assert_close(last.state.params[name], value.detach(), rtol=1e-3, atol=1e-5)
