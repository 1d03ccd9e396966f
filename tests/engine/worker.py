"""Does one of the small jobs in a record, resting after each step: `python -m tests.engine.worker FOLDER JOB SECONDS`."""

import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from tests.engine.jobs import JOBS, RoundLine

from hyperlearning.core.errors import Interrupted, RunError
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.runner import run_job


class Slow:
    """A job that rests after every step."""

    def __init__(self, job: Any, seconds: float) -> None:
        self._job, self._seconds = job, seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._job, name)

    def steps(self, state: Any) -> Any:
        for step in self._job.steps(state):
            time.sleep(self._seconds)
            yield step


def main() -> int:
    folder, name = Path(sys.argv[1]), sys.argv[2]
    path = folder / "jobs" / "one"
    record = (
        RunRecord(path) if path.exists() else RunRecord.create(folder, "jobs", "one", RoundLine(round=0, total=0.0))
    )
    job = Slow(JOBS[name](), float(sys.argv[3]))
    try:
        with record.locked():
            run_job(record, job, Console(), look=lambda epoch, _: RoundLine(round=epoch, total=0.5), num_looks=3)
    except Interrupted as stop:
        print(stop)
        return 130
    except RunError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
