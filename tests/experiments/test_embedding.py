"""Input DANs trained alone, as an embedding, before hyper-training begins with them."""

from dataclasses import replace

import pytest
import torch

from hyperlearning.engine.hyper_training import hyper_train
from hyperlearning.experiments.class_incremental import PRESETS, Config
from hyperlearning.experiments.shared.image_training import embedding, prototype_system, with_trained_trunk
from hyperlearning.experiments.shared.images import DataSettings, build_system, load_pools
from hyperlearning.learners.prototypes import SCALE


def _trained():
    settings = replace(PRESETS["smoke"].settings, data=DataSettings(dataset="digits", side=12))
    pools = load_pools(settings.data)
    system = build_system(settings, pools.meta_train)
    first = prototype_system(settings, pools, system.network, purpose="lives of the embedding")
    *_, last = hyper_train(first.phases, first.initial, first.generator)
    return system, last.state, with_trained_trunk(system, last.state), pools


def test_hyper_training_begins_with_the_trunk_of_the_embedding_and_all_else_as_it_was():
    system, state, begun, _ = _trained()
    before, after = system.initial.hyper, begun.initial.hyper
    assert set(after.innate) == set(before.innate)
    assert SCALE not in after.innate
    for name, value in after.innate.items():
        source = state.hyper.innate if name.startswith("trunk.") else before.innate
        torch.testing.assert_close(value, source[name], rtol=0, atol=0)
    moved = [name for name in after.innate if not torch.equal(after.innate[name], before.innate[name])]
    assert moved
    assert all(name.startswith("trunk.") for name in moved)
    assert after.start.keys() == before.start.keys()


def test_the_network_sees_the_features_of_its_embedding():
    system, state, begun, pools = _trained()
    images = pools.meta_test.images[:6].float().unsqueeze(0) / 255
    features = begun.learner.prepared(begun.initial.hyper.innate, images)
    torch.testing.assert_close(features, embedding(system.network)(state.hyper.innate, images))


def test_its_lives_are_others_than_those_of_hyper_training():
    system, _, begun, _ = _trained()
    first = prototype_system(PRESETS["smoke"].settings, _trained()[3], system.network, purpose="lives of the embedding")
    assert not torch.equal(first.initial.cursor.generator_state, begun.initial.cursor.generator_state)


def test_a_negative_number_of_epochs_is_refused():
    with pytest.raises(ValueError, match="embedding_epochs"):
        Config(embedding_epochs=-1)
