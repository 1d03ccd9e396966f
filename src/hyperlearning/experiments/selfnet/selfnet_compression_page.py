"""The page of `selfnet-compression`, from its record alone."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Curve, Page, Section, Table, curves_figure, percent
from hyperlearning.systems.selfnet.comparison import SEPARATE
from hyperlearning.systems.selfnet.lines import StageLine, StoreLine, TasksLine
from hyperlearning.systems.selfnet.page_parts import picture

_MOST_ROWS = 10
_KINDS = {"coded": "coded networks", "bits": "differences, quantised", "ternary": "differences, quantised"}
"""Beginnings of names, and what a picture calls stores of the kind."""
_IN_COURSE = (SEPARATE, "principal", "ternary", "self_net", "self_net_text", "self_net_code")
"""Stores that the picture of a life's course shows, beside the last coded networks; the table has all."""


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    lines, tasks = record.lines(StoreLine), record.last(TasksLine)
    by_name = {line.method: line for line in lines}
    most = by_name[SEPARATE].num_tasks[-1]
    return Page(
        title="Many networks in few bytes",
        lead=f"{most} tasks of one digit against others were met one after another, each learned by a network of "
        f"{by_name[SEPARATE].num_weights:,} weights. Every store keeps what it can of them in few bytes, and is asked for all "
        "of them after every stage.",
        facts={
            line.title: f"{percent(_accuracy(line.last))} %, {line.compression():,.1f} times fewer bytes"
            for line in _best_first(lines)[:3]
        },
        sections=(
            _glance(lines, most),
            _table_section(lines, tasks),
            _course_section(lines),
            _cosine_section(lines),
            _training_section(lines),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _accuracy(stage: StageLine) -> Estimate:
    return estimate(stage.accuracies)


def _best_first(lines: Sequence[StoreLine]) -> list[StoreLine]:
    """By accuracy after the last task."""
    return sorted(lines, key=lambda line: -fmean(line.last.accuracies))


def _glance(lines: Sequence[StoreLine], most: int) -> Section:
    kept = [line for line in lines if fmean(line.last.accuracies) > _worth(lines)] or lines
    shown = {title: _against_bytes(own) for title, own in _families(kept).items()}
    figure = curves_figure(shown, xlabel="bytes that are kept", ylabel="accuracy, percent", log_x=True)
    title = f"Accuracy against bytes after {most} tasks"
    rows = _best_first(kept)[:_MOST_ROWS]
    return Section(
        title="At a glance",
        pictures=(
            picture(
                title,
                "A dot a store, means over tasks; stores of one kind are joined. Better is higher and farther left.",
                figure,
            ),
        ),
        tables=(_stores_table(rows, title=f"Stores after {most} tasks"),),
    )


def _families(lines: Sequence[StoreLine]) -> dict[str, list[StoreLine]]:
    """Stores of one kind that differ in size, and every other by itself."""
    found: dict[str, list[StoreLine]] = {}
    for line in lines:
        kinds = (title for start, title in _KINDS.items() if line.method.startswith(start))
        found.setdefault(next(kinds, line.title), []).append(line)
    return dict(sorted(found.items(), key=lambda item: len(item[1])))


def _against_bytes(lines: Sequence[StoreLine]) -> Curve:
    points = sorted((line.last.num_bytes, 100 * fmean(line.last.accuracies)) for line in lines)
    return Curve([x for x, _ in points], [y for _, y in points])


def _worth(lines: Sequence[StoreLine]) -> float:
    """The accuracy below which a store is left out at first sight: halfway between chance and separate networks."""
    return (0.5 + max(fmean(line.last.accuracies) for line in lines)) / 2


def _stores_table(lines: Sequence[StoreLine], *, title: str) -> Table:
    return Table(
        title=title,
        caption="Percent of test images right, mean and 95 % interval over tasks, and the worst task. Compression: bytes of "
        "separate networks in float32 over all bytes that the store keeps. The last column: what a further task adds.",
        header=("store", "accuracy", "worst", "bytes", "compression", "bytes a task"),
        rows=tuple(
            (
                line.title,
                percent(_accuracy(line.last)),
                f"{100 * min(line.last.accuracies):.1f}",
                f"{line.last.num_bytes:,}",
                f"{line.compression():,.1f}",
                f"{line.bytes_a_task:,.0f}",
            )
            for line in lines
        ),
    )


def _table_section(lines: Sequence[StoreLine], tasks: TasksLine) -> Section:
    notes = "; ".join(f"{line.title}: {line.note}" for line in lines)
    return Section(
        title="Every store",
        paragraphs=(f"{notes}. Tasks: {'; '.join(tasks.tasks)}.",),
        tables=(_stores_table(_best_first(lines), title="All of them"),),
    )


def _course_section(lines: Sequence[StoreLine]) -> Section:
    curves = {
        line.title: Curve(list(line.num_tasks), [100 * fmean(stage.accuracies) for stage in line.stages])
        for line in lines
        if len(line.stages) > 1 and (line.method in _IN_COURSE or line is lines[-1])
    }
    title = "Accuracy on the tasks met so far"
    figure = curves_figure(curves, xlabel="tasks", ylabel="accuracy, percent")
    counts = _counts(lines)
    table = Table(
        title=title,
        caption="Percent, means over tasks.",
        header=("store", *map(str, counts)),
        rows=tuple((line.title, *_cells(line, counts)) for line in _best_first(lines)),
    )
    return Section(title="Stage by stage", pictures=(picture(title, "Means over tasks.", figure),), tables=(table,))


def _counts(lines: Sequence[StoreLine]) -> list[int]:
    found = max(lines, key=lambda line: len(line.num_tasks)).num_tasks
    return list(found) if len(found) <= _MOST_ROWS else [*found[:-1:2], found[-1]]


def _cells(line: StoreLine, counts: Sequence[int]) -> list[str]:
    by_count: Mapping[int, StageLine] = dict(zip(line.num_tasks, line.stages, strict=True))
    return [f"{100 * fmean(by_count[count].accuracies):.1f}" if count in by_count else "" for count in counts]


def _cosine_section(lines: Sequence[StoreLine]) -> Section:
    rows = tuple(
        (
            line.title,
            f"{fmean(line.last.cosines):.4f}",
            f"{line.last.to_targets:.4f}" if line.last.to_targets is not None else "",
            percent(_accuracy(line.last)),
        )
        for line in _best_first(lines)
        if line.last.cosines and not line.method.startswith("coded")
    )
    return Section(
        title="Cosines",
        paragraphs=(
            "An autoencoder that is trained on its own recollections sees how near it is to them, not to the networks that were "
            "trained: errors compound unseen.",
        ),
        tables=(
            Table(
                title="Recollections after the last task",
                caption="Mean cosine to the weights that were trained, and to what the store was trained on.",
                header=("store", "to the true weights", "to its targets", "accuracy"),
                rows=rows,
            ),
        ),
    )


def _training_section(lines: Sequence[StoreLine]) -> Section:
    rows = tuple(
        (
            line.title,
            ", ".join(str(stage.iterations) for stage in line.stages) if line.last.iterations is not None else "",
            f"{sum(stage.seconds for stage in line.stages):,.0f}",
        )
        for line in lines
    )
    return Section(
        title="What it took",
        tables=(
            Table(
                title="Iterations of every stage, and seconds",
                caption="Seconds are of training and looking; separate networks: of task networks, which other stores need too; "
                "coded networks need none of them.",
                header=("store", "iterations", "seconds"),
                rows=rows,
            ),
        ),
    )
