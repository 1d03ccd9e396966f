"""Split CIFAR-10, ten networks of 61,326 weights, each cut into three: Self-Net, its rivals, and one network for all tasks.

Claim (dissertation, section 2.4.5, figure 2.4 bottom): recollected networks nearly match those that were trained, 78 to 84
percent, and do better than all other techniques.

The page `docs/experiments/selfnet-split-cifar10.md` lists every deviation from the source.
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
    data=StreamSettings(stream="one_against_four", dataset="cifar10"),
    training=TaskTraining(task_epochs=10, task_lr=0.005, task_momentum=0.9),
    codes=CodeSettings(code_sizes=(64, 256, 1024, 4096, 16_384), code_step=0.5, code_epochs=10, code_lr=0.05),
    masks=MaskSettings(mask_epochs=10),
    stores=LAPTOP_STORES,
    latent=50,
    hidden=(100,),
    pieces=3,
    most_iterations=100,
    later_iterations=100,
)

_QUICK = replace(
    _LAPTOP,
    data=replace(_LAPTOP.data, num_tasks=4, most_images=1800, test_images=900),
    training=replace(_LAPTOP.training, task_epochs=6),
    codes=CodeSettings(code_sizes=(256,), code_epochs=6),
    masks=MaskSettings(mask_epochs=6),
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
        thresholds=(0.993,),
        hidden=(1000,),
        most_iterations=100,
        later_iterations=300,
    ),
}


EXPERIMENT = stream_experiment(
    __name__,
    claim="Networks of ten classes of CIFAR-10, cut into three for one autoencoder, nearly match those trained.",
    presets=PRESETS,
)
