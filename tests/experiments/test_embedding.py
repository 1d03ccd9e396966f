"""Input DANs trained alone, as an embedding, before hyper-training begins with them."""

from dataclasses import replace

import pytest
import torch

from hyperlearning.engine.hyper_training import hyper_train
from hyperlearning.experiments.class_incremental import PRESETS
from hyperlearning.experiments.shared.image_training import (
    embedding,
    embedding_settings,
    images_per_epoch,
    prototype_system,
    with_trained_trunk,
)
from hyperlearning.experiments.shared.images import DataSettings, EmbeddingSettings, build_system, load_pools
from hyperlearning.learners.prototypes import SCALE

EMBEDDING = EmbeddingSettings(embedding_epochs=3, embedding_classes=8)


def _trained():
    settings = replace(PRESETS["smoke"].settings, data=DataSettings(dataset="digits", side=12))
    pools = load_pools(settings.data)
    system = build_system(settings, pools.meta_train)
    first = prototype_system(
        embedding_settings(settings, EMBEDDING, pools.meta_train),
        pools.meta_train,
        system.network,
        purpose="lives of the embedding",
    )
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
    system, _, begun, pools = _trained()
    first = prototype_system(
        PRESETS["smoke"].settings, pools.meta_train, system.network, purpose="lives of the embedding"
    )
    assert not torch.equal(first.initial.cursor.generator_state, begun.initial.cursor.generator_state)


def test_a_negative_number_of_epochs_is_refused():
    with pytest.raises(ValueError, match="embedding_epochs"):
        EmbeddingSettings(embedding_epochs=-1)


@pytest.mark.parametrize("num_images", [1, 1000, 54_321])
def test_an_embedding_that_is_compared_meets_as_many_images(num_images: int):
    pool = load_pools(DataSettings(dataset="digits", side=12)).meta_train
    settings = embedding_settings(PRESETS["laptop"].settings, EMBEDDING, pool, num_images=num_images)
    one = images_per_epoch(settings)
    assert one == 2 * 8 * 5
    assert embedding_settings(PRESETS["laptop"].settings, EmbeddingSettings(), pool).training.train_tasks == 28
    assert abs(settings.training.num_epochs * one - num_images) <= max(one / 2, one - num_images)
