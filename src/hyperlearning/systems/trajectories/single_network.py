"""One network of OML or ANML from settings to an embedding: what `omniglot-oml` and `omniglot-anml` share."""

from rich.console import Console

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import run_job, save_model
from hyperlearning.systems.trajectories.build import (
    Embedding,
    check_training,
    embedding_training,
    num_parameters,
)
from hyperlearning.systems.trajectories.characters import Splits, meta_test_characters, meta_train_characters
from hyperlearning.systems.trajectories.settings import ContinualConfig
from hyperlearning.systems.trajectories.training import LOOK_CLASSES, short_meta_test


def check_continual(config: ContinualConfig, architecture: str) -> None:
    """Raises if settings contradict one another, data are absent or too few, or memory is too little."""
    if config.network.architecture != architecture:
        raise ValueError(
            f"Expected `architecture` to be '{architecture}' in this experiment, but got '{config.network.architecture}'."
        )
    check_training(config.system)
    config.test.check(meta_train=config.data.meta_train_classes, meta_test=len(meta_test_characters(config.data)))


def meta_train(config: ContinualConfig, record: RunRecord, splits: Splits, console: Console) -> Embedding:
    """Meta-trains a network in the run's own record, or goes on doing so, and saves it.

    Args:
        config: The run's settings.
        record: The run's record; it gets lines `epoch` and `validation`.
        splits: Characters.
        console: Where progress is shown.

    Returns:
        The embedding.
    """
    rotated = config.data.rotated_classes
    images = meta_train_characters(config.data, rotated=True) if rotated else splits.meta_train
    label = config.network.architecture
    training = embedding_training(config.system, images, label=label, title=label.upper())
    size = num_parameters(config.network.build(config.data, config.seed))
    record.note(parameters=size, order=training.order)
    console.print(f"network: {size:,} parameters; outer gradient: {training.order}", highlight=False)
    num_classes = min(LOOK_CLASSES, max(config.test.test_classes))
    look = short_meta_test(training, splits.meta_test, num_classes=num_classes, seed=config.seed)
    with record.timed("training_seconds"):
        state = run_job(record, training.job, console, look=look)
    save_model(record, state.hyper.innate, state.hyper.start)
    return training.embedding(state)
