"""Permuted MNIST, ten networks in a store: Self-Net, what needs no training, short codes, and one network for all tasks.

Claim (dissertation, section 2.4.3, figure 2.4 top): recollected networks almost match those that were trained, and do far better
than EWC, online EWC, and Progress & Compress.

The page `docs/experiments/selfnet-permuted-mnist.md` lists every deviation from the source.
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
    LAPTOP_STORES,
    QUICK_LEARNERS,
    StreamConfig,
    smoke_of,
)

_LAPTOP = StreamConfig(
    data=StreamSettings(stream="permuted", dataset="mnist", most_images=20_000, test_images=5000),
    training=TaskTraining(task_epochs=3, task_batch=64, task_lr=0.01, task_momentum=0.9),
    codes=CodeSettings(code_sizes=(256, 1024, 4096, 16_384), code_epochs=3),
    masks=MaskSettings(mask_epochs=3),
    stores=LAPTOP_STORES,
    hidden=(100,),
    most_iterations=200,
    later_iterations=200,
)

_QUICK = replace(
    _LAPTOP,
    data=replace(_LAPTOP.data, num_tasks=5, most_images=4000, test_images=1000),
    codes=CodeSettings(code_sizes=(1024, 4096), code_epochs=3),
    continual=QUICK_LEARNERS,
    stores=("mean", "principal", "bits_4", "ternary", "self_net"),
    hidden=(50,),
    own_iterations=300,
)

PRESETS: dict[str, StreamConfig] = {
    "quick": _QUICK,
    "laptop": _LAPTOP,
    "smoke": smoke_of(_QUICK),
    "paper": StreamConfig(
        data=StreamSettings(stream="permuted", dataset="mnist"),
        training=TaskTraining(task_epochs=3, task_batch=64, task_lr=0.001, task_momentum=0.9),
        codes=CodeSettings(code_sizes=(256, 1024, 4096, 16_384), code_epochs=3),
        masks=MaskSettings(mask_epochs=3),
        hidden=(2000,),
    ),
}


EXPERIMENT = stream_experiment(
    __name__,
    claim="Recollected networks of ten permutations of MNIST nearly match those trained, and beat EWC and Progress & Compress.",
    presets=PRESETS,
)
