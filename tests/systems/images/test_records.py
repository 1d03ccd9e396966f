"""Records that are kept: every line and setting reads back as it was written, and every page begins at a glance."""

import json
from pathlib import Path

import pytest

from hyperlearning.core.settings import from_json, to_json
from hyperlearning.engine.run_record import Line, RunRecord
from hyperlearning.experiments import registry
from hyperlearning.experiments.images.continual_versus_iid import TuningLine
from hyperlearning.experiments.images.unsupervised_class_incremental import DeploymentLine
from hyperlearning.systems.images.autoencoder_lines import ReconstructionLine
from hyperlearning.systems.images.autoencoder_pictures import PicturesLine
from hyperlearning.systems.images.lines import MethodLine, SystemLine
from hyperlearning.systems.images.recognition import RecognitionLine

EXPERIMENTS = (
    "class-incremental",
    "over-training",
    "dan-versus-warp",
    "scaling",
    "continual-versus-iid",
    "unsupervised-class-incremental",
    "semi-supervised-class-incremental",
)
RUNS = sorted(
    path.parent for name in EXPERIMENTS for path in Path(__file__).parents[3].glob(f"results/{name}/*/config.json")
)
KINDS: dict[str, type[Line]] = {
    line.kind: line for line in (SystemLine, MethodLine, TuningLine, DeploymentLine, PicturesLine, RecognitionLine)
}


def name_of(run: Path) -> str:
    return f"{run.parent.name}/{run.name}"


@pytest.mark.parametrize("run", RUNS, ids=name_of)
def test_every_line_reads_back_equal(run: Path):
    record = RunRecord(run)
    kinds = KINDS | ({"method": ReconstructionLine} if record.experiment.startswith("unsupervised") else {})
    for text in (run / "metrics.jsonl").read_text().splitlines():
        written = json.loads(text)
        kind = kinds[written.pop("kind")]
        assert to_json(from_json(kind, written)) == written


@pytest.mark.parametrize(
    "run", [run for run in RUNS if "seed" not in run.name or run.name == "best-seed0"], ids=name_of
)
def test_a_page_begins_with_one_picture_and_one_short_table(run: Path):
    record = RunRecord(run)
    experiment, _ = registry.experiment_of(record)
    first = experiment.report(record).sections[0]
    assert first.title == "At a glance"
    assert len(first.pictures) == len(first.tables) == 1
    assert 1 <= len(first.tables[0].rows) <= 10
