"""OML: features are meta-learned so that a linear layer on them can learn classes in a row without forgetting.

Claim (Javed and White, "Meta-Learning Representations for Continual Learning", 2019): a representation trained through
trajectories of single-image updates lets a prediction network learn hundreds of classes one after another, without replay.

The page `docs/experiments/omniglot-oml.md` lists every deviation from the source.
"""

from rich.console import Console

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.experiments.trajectories.verbs import DEPLOY, ENTER, EVALUATE
from hyperlearning.systems.trajectories.characters import CharacterSettings, load_splits
from hyperlearning.systems.trajectories.long_tests import LEARNING_HEADS, LongTest, run_long_tests
from hyperlearning.systems.trajectories.settings import (
    ContinualConfig,
    ContinualSettings,
    LongTestSettings,
    TrajectorySettings,
)
from hyperlearning.systems.trajectories.single_network import check_continual, meta_train
from hyperlearning.systems.trajectories.trained import load_embedding

PRESETS: dict[str, ContinualConfig] = {
    # One class of 20 images a trajectory, as ANML: of the two it leads further in a tenth of the schedule.
    "laptop": ContinualConfig(
        network=ContinualSettings(architecture="oml"), training=TrajectorySettings(inner_lr=0.03)
    ),
    "smoke": ContinualConfig(
        network=ContinualSettings(architecture="oml", width=1 / 32),
        data=CharacterSettings(meta_train_classes=30, meta_test_classes=30),
        training=TrajectorySettings(num_steps=4, inner_lr=0.03, images_per_class=5, remember_size=8),
        test=LongTestSettings(test_classes=(3, 6), num_runs=3, lrs=(0.003, 0.001), lr_runs=1),
        threads=1,
    ),
    # Sizes of the authors' program, after its second derivatives were mended; its schedule is 700,000 steps.
    "paper": ContinualConfig(
        data=CharacterSettings(side=84),
        network=ContinualSettings(architecture="oml", width=1.0),
        training=TrajectorySettings(
            num_steps=20_000,
            classes_per_trajectory=3,
            images_per_class=5,
            other_images_per_class=5,
            remember_size=15,
            inner_lr=0.03,
            outer_lr=0.0001,
        ),
        test=LongTestSettings(num_runs=50),
    ),
}


def check(config: ContinualConfig) -> None:
    """Raises if settings contradict one another or data are absent, before a run exists."""
    check_continual(config, "oml")


def run(config: ContinualConfig, record: RunRecord, console: Console) -> None:
    """Meta-trains, or goes on doing so, then learns up to hundreds of evaluation classes in a row."""
    splits = load_splits(config.data)
    embedding = meta_train(config, record, splits, console)
    test = LongTest(embedding=embedding, splits=splits, settings=config.test, seed=config.seed)
    run_long_tests(record, test, LEARNING_HEADS, console)


EXPERIMENT = Experiment(
    claim="OML: features are meta-learned so that a linear layer on them learns classes in a row.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    verbs={"evaluate": EVALUATE, "deploy": DEPLOY},
    enter=ENTER,
    load=load_embedding,
)
