"""CIFAR-100 in ten groups of ten classes: Self-Net, what needs no training, short codes, and one network for all tasks.

Claim (dissertation, section 2.4.6, figure 2.5): recollected networks almost match those that were trained, 46 to 49 percent.

The page `docs/experiments/selfnet-cifar100.md` lists every deviation from the source.
"""

from dataclasses import replace

from hyperlearning.experiments.selfnet.streaming import stream_experiment
from hyperlearning.systems.selfnet.settings import (
    CodeSettings,
    MaskSettings,
    StreamSettings,
    TaskTraining,
)
from hyperlearning.systems.selfnet.stream_life import (
    ALL_STORES,
    LAPTOP_STORES,
    QUICK_LEARNERS,
    StreamConfig,
    smoke_of,
)

_LAPTOP = StreamConfig(
    data=StreamSettings(stream="class_groups", dataset="cifar100"),
    training=TaskTraining(task_epochs=15, task_lr=0.01, task_momentum=0.9),
    codes=CodeSettings(code_sizes=(256, 1024, 4096, 16_384), code_epochs=15),
    masks=MaskSettings(mask_epochs=15),
    stores=LAPTOP_STORES,
    latent=50,
    hidden=(100,),
    pieces=3,
    most_iterations=100,
    later_iterations=100,
)

_QUICK = replace(
    _LAPTOP,
    data=replace(_LAPTOP.data, num_tasks=5),
    codes=CodeSettings(code_sizes=(256, 1024), code_epochs=15, code_lr=0.2),
    continual=QUICK_LEARNERS,
    stores=("mean", "principal", "bits_4", "ternary", "self_net"),
    hidden=(20,),
    own_iterations=300,
)

PRESETS: dict[str, StreamConfig] = {
    "quick": _QUICK,
    "laptop": _LAPTOP,
    "smoke": smoke_of(_QUICK),
    "paper": replace(
        _LAPTOP,
        training=TaskTraining(task_epochs=3, task_batch=4, task_lr=0.001, task_momentum=0.9),
        stores=ALL_STORES,
        thresholds=(0.996,),
        hidden=(2000,),
        most_iterations=100,
        later_iterations=300,
    ),
}


EXPERIMENT = stream_experiment(
    __name__,
    claim="Networks of ten groups of ten classes of CIFAR-100 are recollected nearly as they were trained.",
    presets=PRESETS,
)
