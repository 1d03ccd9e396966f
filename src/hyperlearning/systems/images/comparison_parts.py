"""What the pages that compare hyper-trained image systems have in common."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.reports import Curve, Picture, Section, Table, curves_figure, percent, png_bytes
from hyperlearning.systems.images.comparison import OWN_PROTOTYPES
from hyperlearning.systems.images.lines import MethodLine, ScoreName, SystemLine
from hyperlearning.systems.images.page_parts import SCORE_NAMES, course_section, loss_picture
from hyperlearning.systems.images.pools import SPLIT_NAMES, Split, per_split

_SCORES: tuple[ScoreName, ...] = ("memory", "generalization", "generalization_of_life", "forgetting")

BySplit = Mapping[Split, Mapping[str, MethodLine]]
"""The methods on every split, by name."""

Columns = Mapping[str, Callable[[MethodLine], float | int | None]]
"""Further columns of a table: each one's name, and the fact that it shows."""


def comparison_glance_table(by_split: BySplit, labels: Sequence[str], splits: Mapping[Split, str]) -> Table:
    """Systems beside the strongest baseline that is cheap, class means of their own features."""
    shown: tuple[Split, ...] = ("meta_test", "meta_eval")
    rows = []
    for label in labels:
        cells = (
            by_split[split][prefix + label].estimate("generalization")
            for split in shown
            for prefix in ("", OWN_PROTOTYPES)
        )
        rows.append((by_split["meta_test"][label].title, *map(percent, cells)))
    columns = (name for split in shown for name in (splits[split], f"class means, {SPLIT_NAMES[split]}"))
    return Table(
        title="Generalization at the end of life, percent",
        header=("system", *columns),
        rows=tuple(rows),
        caption="Means over lives with 95 % intervals. Class means: the strongest cheap baseline, prototypes on the system's own "
        "features, which take no update and cannot forget.",
    )


def comparison_table(methods: Mapping[str, MethodLine], labels: Sequence[str], *, title: str, extra: Columns) -> Table:
    """Systems on lives of one split, in the order of `labels`."""
    rows = []
    for label in labels:
        line, prototypes = methods[label], methods[OWN_PROTOTYPES + label]
        scores = [percent(line.estimate(name)) for name in _SCORES]
        facts = [_written(fact(line)) for fact in extra.values()]
        rows.append((line.title, *facts, *scores, percent(prototypes.estimate("generalization"))))
    num_lives = len(methods[labels[0]].scores.memory)
    return Table(
        title=f"{title}, {num_lives} lives",
        header=("system", *extra, *(SCORE_NAMES[name] for name in _SCORES), "class means of own features"),
        rows=tuple(rows),
        caption="Percent of images classified rightly at the end of life, with 95 % intervals over lives, which are the same for "
        "all systems. Argmax over all outputs that were trained; in the column of the life's classes, over those alone. Class "
        "means: generalization of prototypes on the system's own features, which cannot forget.",
    )


def comparison_sections(
    by_split: BySplit, labels: Sequence[str], splits: Mapping[Split, str], *, extra: Columns
) -> tuple[Section, ...]:
    """One section for each split, with its table."""
    return tuple(
        Section(title=f"On {title}", tables=(comparison_table(by_split[split], labels, title=title, extra=extra),))
        for split, title in splits.items()
    )


def ladder_picture(
    by_split: BySplit,
    labels: Sequence[str],
    score: ScoreName,
    *,
    places: Sequence[float],
    xlabel: str,
    title: str,
    names: Sequence[str],
    log_x: bool = False,
) -> Picture:
    """One score of systems that differ in one respect, by split: `labels` stand at `places`, under `names`."""
    curves = {}
    for split, methods in by_split.items():
        values = [methods[label].estimate(score) for label in labels]
        curves[SPLIT_NAMES[split]] = Curve(list(places), [100 * v.mean for v in values], [100 * v.ci95 for v in values])
    ticks = dict(zip(places, names, strict=True))
    figure = curves_figure(curves, xlabel=xlabel, ylabel=f"{score}, percent", log_x=log_x, ticks=ticks)
    return Picture(
        title=title,
        caption="At the end of life; shaded: 95 % intervals over lives.",
        content=png_bytes(figure),
        alt=f"{title}: {score} by system",
    )


def compared_training_section(systems: Sequence[SystemLine], splits: Mapping[Split, str]) -> Section:
    """The course of hyper-training of several systems, on lives of held-out classes, against compute."""
    shown = per_split(splits.__getitem__, ("meta_test",))
    losses = {
        line.label: Curve(
            [epoch / line.hyper_loss.epoch[-1] * line.looks[-1].images for epoch in line.hyper_loss.epoch],
            line.hyper_loss.mean,
        )
        for line in systems
    }
    caption = "Mean over lives and outer steps. What is hard differs where lives of hyper-training do."
    loss = loss_picture(losses, xlabel="images met in hyper-training", caption=caption)
    return course_section(systems, shown, loss, title=f"over hyper-training, {splits['meta_test']}")


def titled_systems(record: RunRecord, methods: Mapping[str, MethodLine], labels: Sequence[str]) -> list[SystemLine]:
    """The lines of these systems, each under the title that its method has."""
    lines = {line.label: line for line in record.lines(SystemLine)}
    return [replace(lines[label], label=methods[label].title) for label in labels]


def _written(fact: float | int | None) -> str:
    return f"{fact:,}" if isinstance(fact, int) else "" if fact is None else f"{fact:g}"
