"""Records made before still read, and say the same."""

import json
from pathlib import Path

import pytest

from hyperlearning.core.settings import from_json, to_json
from hyperlearning.engine.lines import EpochLine
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments import registry
from hyperlearning.experiments.regression.incremental_regression import AnimationLine, ExamplesLine
from hyperlearning.experiments.regression.learned_activation import ActivationLine
from hyperlearning.experiments.regression.oml_regression import SystemLine, ZeroLine
from hyperlearning.experiments.regression.regression_ablations import SolvedTrialLine, TrialLine, VariantLine
from hyperlearning.systems.regression.lines import MethodLine, ValidationLine

NAMES = ("incremental-regression", "learned-activation", "oml-regression", "regression-ablations")
RECORDS = sorted(
    path.parent for name in NAMES for path in (Path(__file__).parents[3] / "results" / name).glob("*/metrics.jsonl")
)
KINDS = {
    kind.kind: kind
    for kind in (
        EpochLine, ValidationLine, MethodLine, ExamplesLine, AnimationLine, ActivationLine, SystemLine, ZeroLine,
        VariantLine, TrialLine, SolvedTrialLine,
    )
}  # fmt: skip


def name_of(path: Path) -> str:
    return f"{path.parent.name}-{path.name}"


def test_there_are_records_of_every_claim():
    assert {path.parent.name for path in RECORDS} == set(NAMES)


@pytest.mark.parametrize("path", RECORDS, ids=name_of)
def test_every_line_of_a_record_reads_back_equal(path: Path):
    for written in (path / "metrics.jsonl").read_text().splitlines():
        values = json.loads(written)
        kind = KINDS[values.pop("kind")]
        assert to_json(from_json(kind, values)) == values


@pytest.mark.parametrize("path", RECORDS, ids=name_of)
def test_the_settings_of_a_record_are_of_this_version(path: Path):
    record = RunRecord(path)
    _, settings = registry.experiment_of(record)
    read = to_json(settings)
    assert {name: read[name] for name in record.config["settings"]} == record.config["settings"]


@pytest.mark.parametrize("name", ["learned-activation", "regression-ablations"])
def test_a_page_is_made_of_a_record(name: str):
    path = next(path for path in RECORDS if path.parent.name == name)
    page = registry.experiment(name).report(RunRecord(path))
    assert page.sections[0].title == "At a glance"
    assert 1 <= len(page.sections[0].tables[0].rows) <= 10
