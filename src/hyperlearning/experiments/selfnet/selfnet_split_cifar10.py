"""Split CIFAR-10, ten networks of 61,326 weights, each cut into three: Self-Net, its rivals, and one network for all tasks.

Claim (dissertation, section 2.4.5, figure 2.4 bottom): recollected networks nearly match those that were trained, 78 to 84
percent, and do better than all other techniques.

The page `docs/experiments/selfnet-split-cifar10.md` lists every deviation from the source.
"""

from dataclasses import replace

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.entry import Entry, FurtherLives
from hyperlearning.experiments.experiment import Experiment, over_runs_in, page_of
from hyperlearning.experiments.selfnet.entering import enter_stores
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
    check_life,
    live,
    load_life,
    smoke_of,
)

_LAPTOP = StreamConfig(
    data=StreamSettings(stream="one_against_four", dataset="cifar10"),
    training=TaskTraining(task_epochs=10, task_lr=0.005, task_momentum=0.9),
    codes=CodeSettings(code_sizes=(64, 256, 1024, 4096), code_epochs=10),
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
        stores=StreamConfig(data=_LAPTOP.data, training=_LAPTOP.training).stores,
        thresholds=(0.993,),
        hidden=(1000,),
        most_iterations=100,
        later_iterations=300,
    ),
}


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every store and every learner on the tasks of the run, a task a life."""
    config = record.settings(StreamConfig)
    return enter_stores(
        record,
        further,
        code_sizes=config.codes.code_sizes,
        kind=config.data.stream,
        data=config.data.dataset,
        seed=config.seed,
    )


EXPERIMENT = Experiment(
    claim="Networks of ten classes of CIFAR-10, cut into three for one autoencoder, nearly match those trained.",
    presets=PRESETS,
    check=check_life,
    run=live,
    report=page_of(__name__),
    enter=enter,
    load=load_life,
    over_runs=over_runs_in("hyperlearning.systems.selfnet.over_seeds"),
)
