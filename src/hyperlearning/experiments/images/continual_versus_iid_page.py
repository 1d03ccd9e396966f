"""The page of `continual-versus-iid`, from its record alone."""

from collections.abc import Mapping, Sequence

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import paired_difference
from hyperlearning.experiments.images.continual_versus_iid import Config, TuningLine, split_name
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Picture, Section, Share, Table, percent, png_bytes, shares_figure
from hyperlearning.systems.images.lines import MethodLine, ScoreName, SystemLine
from hyperlearning.systems.images.page_parts import (
    glance,
    glance_table,
    methods_of,
    methods_picture,
    training_section,
)
from hyperlearning.systems.images.pools import SPLITS, Split, per_split, split_titles

_HELD_OUT_FIRST: tuple[Split, ...] = ("meta_test", "meta_eval", "meta_train")
_SCORES: tuple[ScoreName, ...] = ("memory", "generalization")
_GLANCE = ("dan", "prototypes", "dan_iid", "dan_short", "joint", "ewc", "finetune")
_CHEAP = (
    "The strongest baseline that is cheap in a life: class means of a meta-trained embedding, which take no update."
)


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    config = record.settings(Config)
    splits, counts = split_titles(config.data), config.class_counts
    lines = record.lines(MethodLine)
    first = per_split(lambda split: methods_of(lines, split_name(split, counts[0])), SPLITS[1:])
    ours, title = first["meta_test"], f"{splits['meta_test']}, {counts[0]} classes"
    facts = {f"generalization, {title}": f"{percent(ours['dan'].estimate('generalization'))} %"}
    if "joint" in ours:
        facts["the same, random start, iid"] = f"{percent(ours['joint'].estimate('generalization'))} %"
    columns = {f"{splits[split]}, {counts[0]} classes": methods for split, methods in first.items()}
    tuning = record.lines(TuningLine)
    return Page(
        title="Continual versus iid",
        lead=f"Every method may make {config.num_updates} updates. The hyper-trained network spends them on one class after "
        "another, each from a few images, and never sees a class again; a network from a random start may sample all images "
        "without order, as if it replayed everything.",
        facts=facts,
        sections=(
            glance(
                methods_picture(ours, title=f"Generalization on {title}"),
                glance_table(columns, _GLANCE, caption=_CHEAP),
            ),
            *(_section(lines, splits, num_classes, first=num_classes == counts[0]) for num_classes in counts),
            *(_perfect_section(lines, splits, num_classes, config.life.num_held_out) for num_classes in counts),
            *([_tuning_section(tuning)] if tuning else []),
            training_section(record.lines(SystemLine), splits),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _section(lines: Sequence[MethodLine], splits: Mapping[Split, str], num_classes: int, *, first: bool) -> Section:
    by_split = per_split(lambda split: methods_of(lines, split_name(split, num_classes)), _HELD_OUT_FIRST)
    return Section(
        title=f"{num_classes} classes",
        tables=tuple(_table(methods, f"{splits[split]}, {num_classes} classes") for split, methods in by_split.items()),
        pictures=tuple(
            methods_picture(by_split[split], title=f"Generalization on {splits[split]}, {num_classes} classes")
            for split in SPLITS[2 if first else 1 :]
        ),
    )


def _table(methods: Mapping[str, MethodLine], title: str) -> Table:
    """All methods, best generalization first, with the difference from the hyper-trained, continual one."""
    ours = methods["dan"].scores.generalization
    rows = []
    for line in sorted(methods.values(), key=lambda line: -line.estimate("generalization").mean):
        theirs = line.scores.generalization
        # Slow methods lived the first of the same lives.
        difference = "" if line.method == "dan" else percent(paired_difference(theirs, ours[: len(theirs)]))
        scores = (percent(line.estimate(name)) for name in _SCORES)
        rows.append((line.title, str(line.updates), str(len(theirs)), *scores, difference, line.note))
    return Table(
        title=title,
        header=("method", "updates", "lives", *_SCORES, "generalization - continual", "how"),
        rows=tuple(rows),
        caption="Percent of images classified rightly at the end of life, argmax over all outputs, with 95 % intervals over "
        "lives. The difference is paired over lives; slow methods lived the first of the same ones.",
    )


def _perfect_section(
    lines: Sequence[MethodLine], splits: Mapping[Split, str], num_classes: int, num_held_out: int
) -> Section:
    """How many lives end without a single mistake (dissertation, figure 6.11)."""
    by_split = per_split(lambda split: methods_of(lines, split_name(split, num_classes)))
    names = list(dict.fromkeys(name for methods in by_split.values() for name in methods))
    titles = {name: next(m[name].title for m in by_split.values() if name in m) for name in names}
    tables = tuple(
        Table(
            title=f"Lives with 100 % {part}, {num_classes} classes",
            header=("method", *splits.values()),
            rows=tuple(
                (
                    titles[name],
                    *(str(perfect(by_split[split][name], part)) if name in by_split[split] else "" for split in splits),
                )
                for name in names
            ),
            caption="Percent of lives, with Wilson's 95 % interval. Generalization is measured on "
            f"{num_held_out} further images a class.",
        )
        for part in _SCORES
    )
    return Section(
        title=f"Lives without a mistake, {num_classes} classes",
        tables=tables,
        pictures=tuple(_perfect_picture(by_split, splits, part, num_classes) for part in _SCORES),
    )


def perfect(line: MethodLine, part: ScoreName) -> Share:
    """Counts the lives in which a score is 1."""
    values = line.scores.by_name()[part]
    return Share(sum(value == 1 for value in values), len(values))


def _perfect_picture(
    by_split: Mapping[Split, Mapping[str, MethodLine]], splits: Mapping[Split, str], part: ScoreName, num_classes: int
) -> Picture:
    groups = {
        splits[split]: {line.title: perfect(line, part) for line in methods.values()}
        for split, methods in by_split.items()
    }
    return Picture(
        title=f"Lives with 100 % {part}, {num_classes} classes",
        caption="Bars: share of lives; lines: 95 % intervals. Baselines without hyper-training are not deployed on meta-train.",
        content=png_bytes(shares_figure(groups, ylabel="lives, percent")),
        alt=f"Share of lives with 100 % {part} by method, {num_classes} classes",
    )


def _tuning_section(tuning: Sequence[TuningLine]) -> Section:
    rows = tuple(
        (line.method, f"Adam {rate}", str(line.lives), f"{100 * value:.1f}")
        for line in tuning
        for rate, value in line.trials.items()
    )
    return Section(
        title="How the baselines' rates were chosen",
        tables=(
            Table(
                title="Generalization on lives of meta-train classes",
                header=("method", "rate", "lives", "generalization, percent"),
                rows=rows,
                caption="The rate that generalizes best serves all numbers of classes.",
            ),
        ),
    )
