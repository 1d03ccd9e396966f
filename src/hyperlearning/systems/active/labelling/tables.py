"""Tables of a labelling as CSV: questions, answers, predictions."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hyperlearning.acquisition.answers import Answer
from hyperlearning.core.atomic_files import write_atomically
from hyperlearning.systems.active.labelling.pool_files import PoolFiles
from hyperlearning.systems.active.loop import ActiveLoop
from hyperlearning.systems.active.questions import NOT_OURS, UNSURE, Prediction, Question, as_told

SIGNS = {UNSURE: "?", NOT_OURS: "-"}
"""How answers that are no class are written."""


class CSVTable(NamedTuple):
    """Cells, as they are to be written.

    Attributes:
        header: Names of the columns.
        rows: Cells of each.
        delimiter: Between cells.
    """

    header: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    delimiter: str = ","

    def content(self) -> bytes:
        """UTF-8 with the mark by which spreadsheets know it."""
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.delimiter, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows(self.rows)
        return text.getvalue().encode("utf-8-sig")

    def write(self, path: Path) -> None:
        """Writes the table in one step."""
        write_atomically(path, self.content())


def queue_table(pool: PoolFiles, questions: Sequence[Question], delimiter: str) -> CSVTable:
    """The questions, with a column for answers."""
    rows = [(pool.images[question.place], "", question.why, question.round) for question in questions]
    return CSVTable(("path", "answer", "why", "round"), rows, delimiter)


def labels_table(pool: PoolFiles, loop: ActiveLoop) -> CSVTable:
    """What was answered, a row an answer; files with the same bytes have the same."""
    copies = _copies(pool)

    def rows() -> Iterator[tuple[Any, ...]]:
        for answer in loop.answers:
            why = loop.asked[answer.place].why if answer.place in loop.asked else ""
            for name, original in copies[answer.place]:
                said = (name, text_of(answer), answer.kind, answer.annotator, answer.round, why, original)
                yield said

    return CSVTable(("path", "answer", "kind", "annotator", "round", "why", "duplicate_of"), list(rows()))


def predictions_table(pool: PoolFiles, loop: ActiveLoop, said: Prediction) -> CSVTable:
    """What every image is taken for, how surely, and what was answered."""
    known = {**loop.labels(), **dict.fromkeys(loop.rejected(), SIGNS[NOT_OURS])}
    rows = [
        (name, SIGNS.get(label, label), f"{sure:.4f}", known.get(place, ""), original)
        for place, (label, sure) in enumerate(zip(said.labels, said.confidence_N.tolist(), strict=True))
        for name, original in _copies(pool)[place]
    ]
    return CSVTable(("path", "label", "confidence", "answer", "duplicate_of"), rows)


def text_of(answer: Answer) -> str:
    """An answer as tables have it: a class, or the sign of what is none."""
    said = as_told(answer)
    return SIGNS.get(said, said)


def _copies(pool: PoolFiles) -> list[list[tuple[str, str]]]:
    """By place: its path, and those of its duplicates with the path that they repeat."""
    copies = [[(name, "")] for name in pool.images]
    for copy in pool.duplicates:
        copies[pool.places[copy.original]].append((copy.name, copy.original))
    return copies
