"""Split MNIST, ten networks in a store: Self-Net, what needs no training, short codes, and one network for all tasks.

Claim (dissertation, section 2.4.4, figure 2.4 middle): recollected networks do far better than EWC, online EWC, Progress &
Compress, and pulls without importance.

The page `docs/experiments/selfnet-split-mnist.md` lists every deviation from the source.
"""

from dataclasses import replace

from hyperlearning.experiments.selfnet.streaming import stream_experiment
from hyperlearning.systems.selfnet.settings import (
    CodeSettings,
    ContinualSettings,
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
    data=StreamSettings(stream="one_against_four", dataset="mnist", most_images=6000),
    training=TaskTraining(task_epochs=3),
    codes=CodeSettings(code_sizes=(64, 256, 1024, 4096), code_epochs=3),
    masks=MaskSettings(mask_epochs=3),
    stores=LAPTOP_STORES,
    most_iterations=200,
    later_iterations=200,
)

_QUICK = replace(
    _LAPTOP,
    data=replace(_LAPTOP.data, num_tasks=5, most_images=2000, test_images=1000),
    codes=CodeSettings(code_sizes=(64, 256), code_epochs=3),
    continual=QUICK_LEARNERS,
    stores=("mean", "principal", "bits_4", "ternary", "self_net"),
    hidden=(50,),
    own_iterations=300,
)

PRESETS: dict[str, StreamConfig] = {
    "quick": _QUICK,
    "laptop": _LAPTOP,
    "users": replace(
        _LAPTOP,
        data=replace(_LAPTOP.data, network="patches"),
        training=TaskTraining(task_epochs=6, task_lr=0.03, task_momentum=0.9),
        codes=CodeSettings(code_sizes=(64, 256, 1024), code_epochs=6),
        masks=MaskSettings(mask_epochs=6),
        continual=ContinualSettings(learners=("sgd", "ewc", "replay", "joint")),
        stores=tuple(store for store in LAPTOP_STORES if store != "self_net_text"),
    ),
    "smoke": smoke_of(_QUICK),
    "paper": StreamConfig(
        data=StreamSettings(stream="one_against_four", dataset="mnist"),
        training=TaskTraining(task_epochs=3),
        codes=CodeSettings(code_sizes=(64, 256, 1024, 4096), code_epochs=3),
        masks=MaskSettings(mask_epochs=3),
        hidden=(2000,),
        most_iterations=100,
        later_iterations=100,
    ),
}


EXPERIMENT = stream_experiment(
    __name__,
    claim="Recollected networks of ten digits, each against others, beat one network that learns all of them with a remedy.",
    presets=PRESETS,
)
