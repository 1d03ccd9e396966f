"""Settings of every kind."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.regression.incremental_regression import (
    PRESETS,
    AnimationLine,
    Config,
    check,
    run,
)
from hyperlearning.systems.regression.lines import MethodLine


def small(preset: str, *, network: dict[str, Any], training: dict[str, Any], num_tasks: int) -> Config:
    """A preset at its smallest, a few settings changed; channels as in `smoke`, so that no further kernel is compiled."""
    config = PRESETS[preset]
    sizes = {"hidden_sizes": (4, 4), "num_channels": 16} | network
    return replace(
        config,
        network=replace(config.network, **sizes),
        training=replace(config.training, **{"population": 2, "num_epochs": 1, "num_polish_epochs": 0} | training),
        stream=replace(config.stream, num_tasks=num_tasks, updates_per_task=5),
        num_functions=4,
        threads=1,
    )


@pytest.mark.parametrize(
    "config",
    [
        small("paper", network={}, training={"reset": "redraw"}, num_tasks=5),
        small("notebook", network={"phenotype_sizes": (5,)}, training={"num_outer_updates": 2}, num_tasks=5),
        small("smoke", network={"sharing": "layer"}, training={"backend": "eager"}, num_tasks=2),
        small("smoke", network={}, training={"reset": "learned", "through": 5, "update_every": 5}, num_tasks=3),
        small("smoke", network={}, training={"inner_optimizer": "adam"}, num_tasks=6),
        small(
            "smoke", network={}, training={"inner_innate_lr": 0.001, "hyper_scope": "memory_and_future"}, num_tasks=5
        ),
    ],
    ids=["redraw", "notebook", "layer", "exact", "adam", "plastic"],
)
def test_settings_of_every_kind_run_to_the_end(config: Config, tmp_path: Path):
    check(config)
    record = RunRecord.create(tmp_path, "incremental-regression", "small", config)
    run(config, record, Console(quiet=True))
    assert {line.method for line in record.lines(MethodLine)} >= {"dan", "dan_joint", "mlp_ewc", "rbf"}
    assert len(record.last(AnimationLine).frames) > 1
