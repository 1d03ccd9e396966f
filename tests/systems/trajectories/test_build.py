"""Networks and their training: the same numbers every time, and what cannot be is refused before work starts."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.systems.trajectories.digits import digits_for_omniglot

from hyperlearning.core.params import partition
from hyperlearning.systems.trajectories import build
from hyperlearning.systems.trajectories.build import (
    build_continual,
    check_parameters,
    check_training,
    embedding_of,
    embedding_training,
    pretraining,
)
from hyperlearning.systems.trajectories.characters import CharacterSettings
from hyperlearning.systems.trajectories.settings import ContinualSettings, ContinualTraining, TrajectorySettings

SMALL = ContinualTraining(
    data=CharacterSettings(meta_train_classes=6),
    network=ContinualSettings(architecture="oml", width=1 / 64),
    training=TrajectorySettings(num_steps=3, images_per_class=3, remember_size=4, inner_lr=0.03),
)


def _characters(num_classes: int = 6):
    return torch.randint(0, 256, (num_classes, 20, 1, 28, 28), generator=torch.Generator().manual_seed(0)).byte()


def _training(settings: ContinualTraining):
    return embedding_training(settings, _characters(), label="x", title="X")


def _last(job: Any, state: Any):
    return list(job.steps(state))[-1].state


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"network": ContinualSettings(width=1 / 16)},
        {"network": ContinualSettings(width=1 / 16, gates="random")},
        {"training": replace(SMALL.training, first_order=True)},
        {"supervised": True},
        {"data": CharacterSettings(meta_train_classes=6, augmentation="mild")},
    ],
)
def test_the_same_seed_trains_to_the_same_numbers_also_when_stopped_and_every_learned_one_moves(
    changes: dict[str, Any],
):
    settings = replace(SMALL, **changes)
    (job, begun), (again, _) = ((training.job, training.job.begin()) for training in (_training(settings),) * 2)
    whole = job.pack(_last(job, begun)).tensors
    halfway = again.pack(next(again.steps(again.begin())).state)
    resumed = again.pack(_last(again, again.unpack(halfway))).tensors
    before = job.pack(begun).tensors
    for name, tensor in whole.items():
        torch.testing.assert_close(resumed[name], tensor, rtol=0, atol=0)
        if name.startswith(("start/", "params/")):
            assert not torch.equal(tensor, before[name])


def test_first_and_second_order_differ():
    exact, shipped = (
        _last(job, job.begin()).hyper.start["predictor.last.weight"]
        for job in (
            build_continual(settings, _characters()).job
            for settings in (SMALL, replace(SMALL, training=replace(SMALL.training, first_order=True)))
        )
    )
    assert SMALL.order == "second order, exact"
    assert not torch.equal(exact, shipped)


def test_a_pretrained_network_learns_its_classes():
    alike = _characters()[:, :1].expand(-1, 20, -1, -1, -1)
    training = replace(SMALL.training, num_steps=60, images_per_class=1, remember_size=30, outer_lr=0.003)
    settings = replace(SMALL, supervised=True, training=training)
    network = settings.network.build(settings.data, settings.seed)
    job = pretraining(settings, network, alike)
    params = _last(job, job.begin()).params
    logits = torch.func.functional_call(network, params, (alike.flatten(0, 1).float() / 255,))
    right = (logits.argmax(1) == torch.arange(6).repeat_interleave(20)).float().mean()
    assert right > 0.9


def test_an_embedding_is_what_the_last_layer_takes():
    network = ContinualSettings(width=1 / 16).build(SMALL.data, 0)
    plastic, innate = partition(network, network.is_innate)
    images = _characters(1)[0]
    features = embedding_of(network, plastic | innate)(images)
    torch.testing.assert_close(network.predictor.last(features), network(images.float() / 255))


def test_parameters_of_another_architecture_are_refused():
    network = ContinualSettings(width=1 / 16).build(SMALL.data, 0)
    wider = dict(ContinualSettings(width=1 / 8).build(SMALL.data, 0).named_parameters())
    with pytest.raises(
        ValueError, match=r"of the same architecture in there, but `predictor\.stack.weights\.0` is of shape"
    ):
        check_parameters(network, wider, where="there")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data": CharacterSettings(meta_train_classes=965)},
            "`num_classes` to be at most 10, the classes",
        ),
        (
            {"training": TrajectorySettings(images_per_class=21)},
            "at most 20, the images of a class, but got 21",
        ),
    ],
)
def test_more_than_there_is_is_refused_before_work_starts(
    changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
):
    digits_for_omniglot(monkeypatch)
    with pytest.raises(ValueError, match=message):
        check_training(replace(SMALL, **changes))


def test_a_graph_that_does_not_fit_is_refused_with_what_shrinks_it(monkeypatch: pytest.MonkeyPatch):
    digits_for_omniglot(monkeypatch)
    monkeypatch.setattr(build, "available_bytes", lambda device: 1_000_000)
    with pytest.raises(ValueError, match=r"fits in 0\.00 GB, but got one of .* GB for inner graph.*`checkpoint`"):
        check_training(replace(SMALL, network=ContinualSettings(width=1 / 16)))
