"""Networks with two outputs: how supervisions differ, how synapses begin and act."""

from dataclasses import replace

import pytest
import torch

from hyperlearning.networks.dan.network import DANNetwork, Synapses
from hyperlearning.systems.images.pools import load_pools
from hyperlearning.systems.images.semi_supervised import (
    Supervision,
    SupervisionSettings,
    TwoOutputSettings,
    build_two_outputs,
    two_output_system,
)
from hyperlearning.systems.images.settings import (
    DataSettings,
    ImageSettings,
    LifeSettings,
    NetworkSettings,
    TrainingSettings,
)

DIGITS = DataSettings(dataset="digits", side=14)
SETTINGS = TwoOutputSettings(
    image=ImageSettings(
        data=DIGITS,
        network=NetworkSettings(maps=(8, 8), hidden_sizes=(6,), num_channels=2, phenotype_units=4, num_outputs=5),
        life=LifeSettings(num_tasks=4, num_instances=3, steps_per_task=1, num_held_out=3, num_lives=3),
        training=TrainingSettings(
            population=2, num_epochs=2, train_tasks=4, train_classes=5, train_held_out=2, hyper_batch_size=12
        ),
    ),
    supervision=SupervisionSettings(),
    hidden_scaling=10.0,
)


def test_supervisions_differ_in_labels_alone():
    pools, streams = load_pools(DIGITS), {}
    for name, num_labelled in (("dan", 1), ("all", 3)):
        supervised = Supervision(name, name, name, num_labelled, reconstructs=name == "dan")
        (phase,) = two_output_system(SETTINGS, supervised, pools, {}).job.phases
        streams[name] = phase.draw(torch.Generator().manual_seed(0))
    assert torch.equal(streams["dan"].inputs, streams["all"].inputs)
    assert torch.equal(streams["dan"].targets[..., 2:], streams["all"].targets[..., 2:])
    assert streams["dan"].targets[..., 1].mean() == pytest.approx(1 / 3)
    assert streams["all"].targets[..., 1].mean() == 1


def test_synapses_into_outputs_alone_are_zero_at_first():
    network = build_two_outputs(SETTINGS)
    zero = {name for name, tensor in network.named_parameters() if "synapses" in name and not tensor.any()}
    assert {name.split(".")[2] for name in zero} == {"0_2", "1_2"}


def synapses_of(settings: TwoOutputSettings) -> dict[str, Synapses]:
    head = build_two_outputs(settings).head
    assert isinstance(head, DANNetwork)
    return {name: module for name, module in head.synapses.items() if isinstance(module, Synapses)}


def test_an_update_changes_hidden_drives_by_the_square_of_their_scaling():
    changes = []
    for scaling in (10.0, 100.0):
        synapses = synapses_of(replace(SETTINGS, hidden_scaling=scaling))["0_1"]
        before = synapses.effective_weight()
        (grad,) = torch.autograd.grad(before.sum(), synapses.weight)
        with torch.no_grad():
            synapses.weight.sub_(grad)
            changes.append(float((synapses.effective_weight() - before).mean()))
    assert changes[0] / changes[1] == pytest.approx(100, rel=0.02)


def test_outputs_have_the_scaling_of_the_settings_and_hidden_neurons_their_own():
    scalings = {name: synapses.scaling for name, synapses in synapses_of(SETTINGS).items()}
    of_outputs = SETTINGS.image.network.synaptic_scaling
    assert scalings == {"0_1": SETTINGS.hidden_scaling, "0_2": of_outputs, "1_2": of_outputs}
