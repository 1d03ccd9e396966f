"""ANML: a neuromodulatory network learns to gate a prediction network so that it can learn classes in a row.

Claim (Beaulieu et al., "Learning to Continually Learn", 2020): gating activations, and through them plasticity, by a
meta-learned network lets the prediction network learn 600 classes one after another, without replay.

The page `docs/experiments/omniglot-anml.md` lists every deviation from the source.
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
    "laptop": ContinualConfig(),
    "smoke": ContinualConfig(
        network=ContinualSettings(width=1 / 16),
        data=CharacterSettings(meta_train_classes=30, meta_test_classes=30),
        training=TrajectorySettings(num_steps=4, images_per_class=5, remember_size=8),
        test=LongTestSettings(test_classes=(3, 6), num_runs=3, lrs=(0.003, 0.001), lr_runs=1),
        threads=1,
    ),
    "paper": ContinualConfig(
        network=ContinualSettings(width=1.0),
        training=TrajectorySettings(num_steps=20_000),
        test=LongTestSettings(num_runs=50),
    ),
}


def check(config: ContinualConfig) -> None:
    """Raises if settings contradict one another or data are absent, before a run exists."""
    check_continual(config, "anml")


def run(config: ContinualConfig, record: RunRecord, console: Console) -> None:
    """Meta-trains, or goes on doing so, then learns up to hundreds of evaluation classes in a row."""
    splits = load_splits(config.data)
    embedding = meta_train(config, record, splits, console)
    test = LongTest(embedding=embedding, splits=splits, settings=config.test, seed=config.seed)
    run_long_tests(record, test, LEARNING_HEADS, console)


EXPERIMENT = Experiment(
    claim="ANML: a meta-learned network gates another so that it learns classes in a row.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    verbs={"evaluate": EVALUATE, "deploy": DEPLOY},
    enter=ENTER,
    load=load_embedding,
)
