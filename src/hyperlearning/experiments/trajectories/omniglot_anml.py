"""ANML: a neuromodulatory network learns to gate a prediction network so that it can learn classes in a row.

Claim (Beaulieu et al., "Learning to Continually Learn", 2020): gating activations, and through them plasticity, by a
meta-learned network lets the prediction network learn 600 classes one after another, without replay.

The page `docs/experiments/omniglot-anml.md` lists every deviation from the source.
"""

from rich.console import Console

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.systems.trajectories.characters import CharacterSettings
from hyperlearning.systems.trajectories.long_tests import LongTestSettings
from hyperlearning.systems.trajectories.settings import ContinualSettings, TrajectorySettings
from hyperlearning.systems.trajectories.single_network import ContinualConfig, check_continual, run_continual

NAME = "omniglot-anml"

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
    run_continual(config, record, console, title="ANML")
