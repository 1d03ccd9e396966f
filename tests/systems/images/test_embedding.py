"""Input DANs trained alone, as an embedding, before hyper-training begins with them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from hyperlearning.core.tensor_files import load_tensors, save_tensors
from hyperlearning.engine.fitting import Fitting
from hyperlearning.engine.hyper_training import HyperTraining, hyper_training
from hyperlearning.engine.job import Packed
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.images import class_incremental, semi_supervised_class_incremental
from hyperlearning.experiments.images.class_incremental import PRESETS
from hyperlearning.learners.closed_form.learned_prior import LOG_RATE, LOG_SHAPE, LOG_STRENGTH, MEAN
from hyperlearning.systems.images.build import build_system
from hyperlearning.systems.images.embedding import (
    BAYES,
    embedding,
    embedding_settings,
    images_of_embedding,
    prototype_system,
    train_embedding,
    trunk_of,
)
from hyperlearning.systems.images.pools import load_pools
from hyperlearning.systems.images.settings import DataSettings, EmbeddingSettings
from hyperlearning.systems.images.training import images_per_epoch

EMBEDDING = EmbeddingSettings(embedding_epochs=3, embedding_classes=8)


def _trained():
    settings = replace(PRESETS["smoke"].settings, data=DataSettings(dataset="digits", side=12))
    pools = load_pools(settings.data)
    system = build_system(settings, pools.meta_train)
    own = embedding_settings(settings, EMBEDDING, num_classes=pools.meta_train.num_classes)
    first = prototype_system(own, pools.meta_train, system.network, purpose="lives of the embedding")
    *_, last = first.steps(first.begin())
    return settings, pools, system, first, last.state


def _innate(job: HyperTraining):
    return job.begin().hyper.innate


def test_lives_learn_phenotypes_and_births_and_leave_the_trained_convolutions():
    settings, pools, system, _, state = _trained()
    trunk = trunk_of(state)
    assert set(trunk) == {name for name in _innate(system.job) if name.startswith("trunk.")}
    before = {name: value.clone() for name, value in trunk.items()}
    lived = build_system(settings, pools.meta_train, trunk=trunk).job
    *_, last = lived.steps(lived.begin())
    innate = last.state.hyper.innate
    assert innate.keys() | trunk.keys() == _innate(system.job).keys()
    assert not innate.keys() & trunk.keys()
    assert any(not torch.equal(innate[name], _innate(lived)[name]) for name in innate)
    assert any(
        not torch.equal(last.state.hyper.start[name], value) for name, value in lived.begin().hyper.start.items()
    )
    for name, value in trunk.items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_the_outer_gradient_is_that_of_a_network_whose_convolutions_are_trained_too():
    settings, pools, _, _, state = _trained()
    trunk = trunk_of(state)
    moments = []
    for fixed in (trunk, None):
        system = build_system(
            replace(settings, training=replace(settings.training, max_grad_norm=None)), pools.meta_train, trunk=fixed
        )
        innate = {**_innate(system.job), **(trunk if fixed is None else {})}
        job = hyper_training(system.job.phases, innate, system.job.begin().hyper.start, system.job.source)
        moments.append(next(job.steps(job.begin())).state.hyper.outer_moments)
    without, with_all = moments
    assert without.keys() < with_all.keys()
    for name, value in without.items():
        torch.testing.assert_close(value, with_all[name], rtol=1e-4, atol=1e-7)


def test_the_network_sees_the_features_of_its_embedding():
    settings, pools, system, _, state = _trained()
    images = pools.meta_test.images[:6].float().unsqueeze(0) / 255
    lived = build_system(settings, pools.meta_train, trunk=trunk_of(state))
    features = lived.learner.prepared(_innate(lived.job), images)
    torch.testing.assert_close(features, embedding(system.network)(state.params, images))


def test_its_lives_are_others_than_those_of_hyper_training():
    _, _, system, first, _ = _trained()
    assert not torch.equal(first.begin().generator_state, system.job.begin().cursor.generator_state)


def _bayes() -> Fitting:
    settings = replace(PRESETS["smoke"].settings, data=DataSettings(dataset="digits", side=12))
    pools = load_pools(settings.data)
    own = embedding_settings(settings, EMBEDDING, num_classes=pools.meta_train.num_classes)
    return prototype_system(own, pools.meta_train, settings.network.build(settings.data, 0), classifier=BAYES)


@pytest.mark.parametrize("stop", [1, 2])
def test_conjugate_bayes_stopped_saved_and_gone_on_with_ends_in_the_same_bits(stop: int, tmp_path: Path):
    job = _bayes()
    steps = list(job.steps(job.begin()))
    packed = job.pack(steps[stop - 1].state)
    save_tensors(tmp_path / "state.safetensors", packed.tensors, packed.facts)
    loaded = load_tensors(tmp_path / "state.safetensors")
    other = _bayes()
    *_, last = other.steps(other.unpack(Packed(loaded.tensors, loaded.facts)))
    theirs = other.pack(last.state).tensors
    ours = job.pack(steps[-1].state).tensors
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_the_prior_of_conjugate_bayes_is_trained_with_its_features_and_is_no_part_of_the_convolutions():
    job = _bayes()
    *_, last = job.steps(job.begin())
    before, after = job.begin().params, last.state.params
    assert after.keys() == before.keys()
    assert all(not torch.equal(value, before[name]) for name, value in after.items())
    assert after.keys() - trunk_of(last.state).keys() == {MEAN, LOG_STRENGTH, LOG_SHAPE, LOG_RATE}


def test_a_negative_number_of_epochs_is_refused():
    with pytest.raises(ValueError, match="embedding_epochs"):
        EmbeddingSettings(embedding_epochs=-1)


@pytest.mark.parametrize("num_images", [1, 1000, 54_321])
def test_an_embedding_that_is_compared_meets_as_many_images(num_images: int):
    settings = embedding_settings(PRESETS["laptop"].settings, EMBEDDING, num_classes=28, num_images=num_images)
    one = images_per_epoch(settings)
    assert one == 2 * 8 * 5
    assert (
        embedding_settings(PRESETS["laptop"].settings, EmbeddingSettings(), num_classes=28).training.train_tasks == 28
    )
    assert abs(settings.training.num_epochs * one - num_images) <= max(one / 2, one - num_images)


@pytest.mark.parametrize("experiment", [class_incremental, semi_supervised_class_incremental])
def test_the_embedding_of_every_preset_can_be_drawn_and_has_no_class_apart(experiment: Any):
    pools = load_pools(DataSettings(dataset="digits", side=8))
    for config in experiment.PRESETS.values():
        settings = replace(config.settings, data=DataSettings(dataset="digits", side=8, augmentation="none"))
        own = embedding_settings(settings, config.embedding, num_classes=pools.meta_train.num_classes)
        network = replace(settings.network, maps=(4,)).build(settings.data, 0)
        stream = prototype_system(own, pools.meta_train, network).draw(torch.Generator().manual_seed(0))
        assert stream.hyper_inputs.shape[3] == stream.inputs.shape[0] * stream.inputs.shape[2]
        assert set(stream.hyper_targets.flatten().tolist()) == set(stream.targets.flatten().tolist())


@pytest.mark.parametrize(
    ("mix", "expected"),
    [((0.5, 0.5, 0.0), (0.5, 0.5, 0.0)), ((0.2, 0.6, 0.2), (0.25, 0.75, 0.0)), ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0))],
)
def test_shares_of_classes_never_met_go_to_those_met(mix: tuple[float, ...], expected: tuple[float, ...]):
    settings = PRESETS["laptop"].settings
    settings = replace(settings, training=replace(settings.training, hyper_mix=mix))
    own = embedding_settings(settings, EMBEDDING, num_classes=28)
    assert own.training.hyper_mix == pytest.approx(expected)


def test_images_met_before_lives_are_those_of_all_its_generations():
    settings, pool = PRESETS["laptop"].settings, load_pools(DataSettings(dataset="digits", side=12)).meta_train
    assert images_of_embedding(settings, EmbeddingSettings(), pool) == 0
    assert images_of_embedding(settings, EMBEDDING, pool) == 3 * 2 * 8 * 5


def test_a_trained_embedding_is_read_and_not_trained_again_and_none_leaves_no_record(tmp_path: Path):
    settings = replace(PRESETS["smoke"].settings, data=DataSettings(dataset="digits", side=12))
    record = RunRecord.create(tmp_path, "x", "y", PRESETS["smoke"])
    pools, network = load_pools(settings.data), settings.network.build(settings.data, 0)
    console = Console(quiet=True)
    assert train_embedding(record, settings, EmbeddingSettings(), network, pools, console) == {}
    assert not (record.path / "systems").exists()
    first = train_embedding(record, settings, EMBEDDING, network, pools, console)
    lines = (record.path / "systems" / "input-DANs" / "metrics.jsonl").read_text()
    again = train_embedding(record, settings, EMBEDDING, network, pools, console)
    assert (record.path / "systems" / "input-DANs" / "metrics.jsonl").read_text() == lines
    assert set(first) == {name for name, _ in network.named_parameters() if name.startswith("trunk.")}
    for name, value in first.items():
        torch.testing.assert_close(again[name], value, rtol=0, atol=0)
    assert any(not torch.equal(value, network.get_parameter(name)) for name, value in first.items())
