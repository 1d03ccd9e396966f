"""What several runs of an experiment say together."""

from pathlib import Path

import numpy as np
import pytest

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.images import class_incremental_seeds
from hyperlearning.experiments.regression import incremental_regression_seeds, regression_ablations_overview
from hyperlearning.experiments.selfnet.selfnet_split_mnist import PRESETS
from hyperlearning.systems.regression.lines import MethodLine
from hyperlearning.systems.selfnet import over_seeds
from hyperlearning.systems.selfnet.lines import StageLine, StoreLine, TasksLine

RESULTS = Path(__file__).parents[2] / "results"


def runs(experiment: str, *names: str) -> list[RunRecord]:
    return [RunRecord(RESULTS / experiment / name) for name in names]


def test_a_score_over_seeds_is_the_mean_of_the_seeds_means():
    records = runs("incremental-regression", "best-seed0", "best-seed1", "best-seed2")
    (section,) = incremental_regression_seeds.over_runs(records)
    (row,) = section.tables[0].rows
    cells = dict(zip(section.tables[0].header, row, strict=True))
    lines = [record.lines(MethodLine) for record in records]
    means = [np.mean(next(line for line in own if line.method == "dan").scores.total_error) for own in lines]
    assert (cells["preset"], cells["seeds"]) == ("best", "3")
    assert float(cells["total error, 1e−5"].split(" ± ")[0]) == pytest.approx(1e5 * np.mean(means), abs=0.006)


def test_presets_have_rows_of_their_own_and_a_single_seed_has_no_interval():
    records = runs("class-incremental", "laptop-seed0", "laptop-seed1", "best-seed0")
    (section,) = class_incremental_seeds.over_runs(records)
    rows = section.tables[0].rows
    assert [row[0] for row in rows] == ["`laptop`"] * 6 + ["`best`"] * 3
    assert ["±" in row[4] for row in rows] == [True] * 6 + [False] * 3


def test_studies_of_several_runs_stand_in_one_table_that_says_which_intervals_are_apart():
    records = runs("regression-ablations", "engine", "inner", "phenotype")
    (section,) = regression_ablations_overview.over_runs(records)
    assert section.title == "At a glance"
    apart = {row[0]: row[-1] for row in section.tables[0].rows}
    assert len(apart) == 9
    assert (apart["deployment models"], apart["polishing"], apart["sharing"]) == ("yes", "yes", "no")


def life(root: Path, seed: int, accuracies: dict[str, tuple[float, ...]]) -> RunRecord:
    """The record of a life of two tasks, a stage each."""
    record = RunRecord.create(root, "selfnet-split-mnist", f"seed{seed}", PRESETS["smoke"])
    record.append(TasksLine(tasks=("a", "b"), buffer=1))
    for method, scores in accuracies.items():
        stages = tuple(
            StageLine(stage=n + 1, accuracies=scores[: n + 1], num_bytes=1000 * (n + 1), seconds=0.0) for n in range(2)
        )
        record.append(StoreLine(method=method, title=method, note="", num_tasks=(1, 2), num_weights=500, stages=stages))
    return record


def test_stores_over_seeds_are_paired_with_separate_networks_and_one_seed_says_nothing(tmp_path: Path):
    first = life(tmp_path, 0, {"separate": (0.9, 0.8), "coded_8": (0.88, 0.78), "sgd": (0.5, 0.5)})
    second = life(tmp_path, 1, {"separate": (0.7, 0.8), "coded_8": (0.68, 0.76), "sgd": (0.5, 0.5)})
    assert over_seeds.over_runs([first]) == ()
    glance, all_of_them = over_seeds.over_runs([first, second])
    rows = {row[0]: row for row in all_of_them.tables[0].rows}
    assert list(rows) == ["separate", "coded_8", "sgd"]
    assert rows["separate"][1:3] == ("80.0 ± 63.5", "")
    assert rows["coded_8"][1].startswith("77.5")
    assert rows["coded_8"][2].startswith("−2.5")
    assert rows["separate"][3:] == ("2,000", "2.0")
    assert [row[0] for row in glance.tables[0].rows] == ["separate", "coded_8"]
