"""What runs of `class-incremental` from several seeds show together."""

from collections.abc import Iterator, Sequence

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import estimate, paired_difference
from hyperlearning.reports import Section, Table, percent
from hyperlearning.systems.images.lines import MethodLine
from hyperlearning.systems.images.pools import SPLIT_NAMES, SPLITS

_SCORES = ("memory", "generalization")
_SYSTEMS = ("dan", "prototypes")

Row = tuple[str, ...]


def over_runs(records: Sequence[RunRecord]) -> Sequence[Section]:
    """One table, with rows for each preset."""
    presets = dict.fromkeys(record.config["preset"] for record in records)
    table = Table(
        title="Mean and 95 % interval over seeds",
        header=("preset", "lives", "method", "seeds", *_SCORES, "generalization - prototypes'"),
        rows=tuple(
            row
            for preset in presets
            for row in _rows(preset, [record for record in records if record.config["preset"] == preset])
        ),
        caption="Percent of images classified rightly at the end of life, argmax over all outputs. A seed's score is its mean "
        "over lives; the difference is paired over lives and then averaged. A single seed has no interval.",
    )
    return (Section(title="Over seeds", tables=(table,)),)


def _rows(preset: str, records: Sequence[RunRecord]) -> Iterator[Row]:
    lines = [record.lines(MethodLine) for record in records]
    for split in SPLITS:
        by_seed = [_lines_of(own, split) for own in lines]
        for name in _SYSTEMS:
            if all(name in methods for methods in by_seed):
                ours = [methods[name] for methods in by_seed]
                scores = (
                    percent(estimate([_mean(line.scores.by_name()[score]) for line in ours])) for score in _SCORES
                )
                lives = SPLIT_NAMES[split]
                yield (f"`{preset}`", lives, ours[0].title, str(len(ours)), *scores, _difference(name, by_seed))


def _lines_of(lines: Sequence[MethodLine], split: str) -> dict[str, MethodLine]:
    """The methods on lives of a split, as long as they come."""
    num_tasks = max(line.num_tasks for line in lines)
    return {line.method: line for line in lines if line.split == split and line.num_tasks == num_tasks}


def _difference(name: str, by_seed: Sequence[dict[str, MethodLine]]) -> str:
    if name != "dan" or not all("prototypes" in methods for methods in by_seed):
        return ""
    pairs = [(methods["dan"].scores, methods["prototypes"].scores) for methods in by_seed]
    return percent(
        estimate([paired_difference(ours.generalization, theirs.generalization).mean for ours, theirs in pairs])
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
