"""Split CIFAR: one hypernetwork that writes a small convolutional network for each group of classes of CIFAR-10.

Claim (von Oswald et al., "Continual learning with hypernetworks", 2020, section 3; numbers for five pairs are those of the
authors' later repository, with ResNet-32): 93.77 percent with the task known, 54.74 where it is inferred by entropy; separate
networks 95.42 and 58.67.

The page `docs/experiments/hnet-split-cifar.md` lists every deviation from the source.
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

_DATA = ContinualTaskSettings(stream="split", dataset="cifar10", target="convolutional", units=(64,))
_HYPER = HypernetSettings(
    variants=("outputs", "unkept", "masks"),
    embedding_size=32,
    hidden=(32,),
    chunk_size=4000,
    chunk_embedding_size=32,
    num_steps=1000,
    batch=64,
    doubt=0.5,
)

_LAPTOP = ContinualConfig(
    data=_DATA,
    hyper=replace(_HYPER, lr=0.003, strength=0.1),
    rivals=RivalSettings(rivals=("sgd", "online_ewc", "distillation", "replay", "joint"), rival_lr=0.01),
    inference=InferenceSettings(replay=False),
)

_QUICK = replace(
    _LAPTOP,
    data=replace(_DATA, num_tasks=3, most_images=4000, test_images=1000),
    hyper=replace(_HYPER, variants=("outputs", "unkept"), num_steps=150),
    rivals=RivalSettings(
        rivals=("sgd", "replay", "joint"), class_incremental=False, rival_lr=0.01, features=300, feature_images=2000
    ),
)

PRESETS: dict[str, ContinualConfig] = {
    "quick": _QUICK,
    "laptop": _LAPTOP,
    "hundred": replace(_LAPTOP, data=replace(_DATA, dataset="cifar100", num_tasks=10)),
    "smoke": smoke_of(_QUICK),
    "paper": replace(
        _LAPTOP,
        data=replace(_DATA, units=(250, 250)),
        hyper=replace(_HYPER, hidden=(), chunk_size=7000, strength=0.05, num_steps=60_000, batch=32, doubt=0.0),
    ),
}

EXPERIMENT = continual_experiment(
    __name__,
    claim="One hypernetwork writes convolutional networks for groups of CIFAR-10's classes; networks of their own do better.",
    presets=PRESETS,
)
