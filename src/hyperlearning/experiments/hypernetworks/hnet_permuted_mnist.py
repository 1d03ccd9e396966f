"""Permuted MNIST: one hypernetwork that writes a network for each of ten orders of pixels, or of a hundred.

Claim (von Oswald et al., "Continual learning with hypernetworks", 2020, section 3; numbers for a network of 100 and 100 units are
those of the authors' later repository): 95.05 percent after ten tasks with the task known, and hardly any forgetting.

The page `docs/experiments/hnet-permuted-mnist.md` lists every deviation from the source.
"""

from dataclasses import replace

from hyperlearning.experiments.hypernetworks.continual import continual_experiment
from hyperlearning.systems.hypernetworks.continual_life import ContinualConfig, smoke_of
from hyperlearning.systems.hypernetworks.continual_settings import (
    ContinualTaskSettings,
    HypernetSettings,
    InferenceSettings,
    RivalSettings,
)

_DATA = ContinualTaskSettings(stream="permuted", dataset="mnist", num_tasks=10, units=(100, 100), test_images=5000)
_HYPER = HypernetSettings(
    variants=("outputs", "subset", "unkept", "masks", "nested"),
    embedding_size=64,
    hidden=(50, 50),
    chunk_size=4000,
    chunk_embedding_size=64,
    strength=0.03,
    lr=0.004,
)

_LAPTOP = ContinualConfig(
    data=_DATA,
    hyper=_HYPER,
    rivals=RivalSettings(
        rivals=("sgd", "online_ewc", "synaptic_intelligence", "distillation", "replay", "joint"),
        replay_images=1000,
        feature_images=5000,
    ),
)

_QUICK = replace(
    _LAPTOP,
    data=replace(_DATA, num_tasks=4, most_images=10_000, test_images=1000),
    hyper=replace(_HYPER, variants=("outputs", "unkept"), num_steps=400),
    rivals=RivalSettings(
        rivals=("sgd", "online_ewc", "replay", "joint"),
        class_incremental=False,
        trials=2,
        tuning_tasks=3,
        tuning_images=1000,
        features=300,
        feature_images=2000,
    ),
    inference=InferenceSettings(replay=False),
)

PRESETS: dict[str, ContinualConfig] = {
    "quick": _QUICK,
    "laptop": _LAPTOP,
    "hundred": replace(
        _LAPTOP,
        data=replace(_DATA, num_tasks=100, most_images=20_000, test_images=500),
        hyper=replace(_HYPER, variants=("outputs", "subset"), num_steps=1000),
        rivals=RivalSettings(rivals=("online_ewc", "joint"), class_incremental=False, feature_images=1000),
        inference=InferenceSettings(replay=False),
    ),
    "smoke": smoke_of(_QUICK),
    "paper": ContinualConfig(
        data=replace(_DATA, units=(1000, 1000), test_images=10_000),
        hyper=HypernetSettings(
            embedding_size=24,
            hidden=(25, 25),
            chunk_size=78_000,
            chunk_embedding_size=8,
            strength=0.1,
            num_steps=5000,
            lr=0.0001,
        ),
    ),
}

EXPERIMENT = continual_experiment(
    __name__,
    claim="One hypernetwork writes networks for ten orders of pixels, with little forgetting as long as it has room for them.",
    presets=PRESETS,
)
