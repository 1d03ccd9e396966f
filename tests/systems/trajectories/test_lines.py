"""Records made before still read, and say the same."""

import json
from pathlib import Path

import pytest

from hyperlearning.core.settings import to_json
from hyperlearning.engine.lines import EpochLine
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.systems.trajectories.lines import LongTestLine, LookLine, SystemLine

RECORDS = sorted((Path(__file__).parents[3] / "results").glob("omniglot-*/*/metrics.jsonl"))
LINES = (EpochLine, LookLine, SystemLine, LongTestLine)


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.parent.parent.name)
def test_every_line_of_a_record_reads_back_equal(path: Path):
    record = RunRecord(path.parent)
    read = [{"kind": line.kind, **to_json(line)} for kind in LINES for line in record.lines(kind)]
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(map(json.dumps, read)) == sorted(map(json.dumps, written))


def test_there_are_records_to_read():
    assert len(RECORDS) >= 3
