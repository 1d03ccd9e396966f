"""The page of `continual-versus-iid`, from its record alone."""

from collections.abc import Mapping

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import paired_difference
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Picture, Section, Share, Table, png_bytes, shares_figure
from hyperlearning.systems.images.page_parts import (
    Line,
    kind_titles,
    methods_of,
    methods_picture,
    percent,
    score,
    training_section,
)

_HELD_OUT_FIRST = ("meta_test", "meta_eval", "meta_train")
_PERFECT = ("memory", "generalization")


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    settings, kinds = record.config["settings"], kind_titles(record)
    counts = settings["class_counts"]
    first = methods_of(record, f"meta_test/{counts[0]}")
    facts = {
        f"generalization, {kinds['meta_test']}, {counts[0]} classes": f"{percent(score(first['dan'], 'generalization'))} %"
    }
    if "joint" in first:
        facts["the same, random start, iid"] = f"{percent(score(first['joint'], 'generalization'))} %"
    return Page(
        title="Continual versus iid",
        lead=f"Every method may make {settings['num_updates']} updates. The hyper-trained network spends them on one class after "
        "another, each from a few images, and never sees a class again; a network from a random start may sample all images "
        "without order, as if it replayed everything.",
        facts=facts,
        sections=(
            *(_section(record, kinds, num_classes) for num_classes in counts),
            *(_perfect_section(record, kinds, num_classes) for num_classes in counts),
            *([_tuning_section(record)] if record.lines("tuning") else []),
            training_section(record, record.lines("system")),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _section(record: RunRecord, kinds: Mapping[str, str], num_classes: int) -> Section:
    by_kind = {kind: methods_of(record, f"{kind}/{num_classes}") for kind in _HELD_OUT_FIRST}
    return Section(
        title=f"{num_classes} classes",
        tables=tuple(_table(methods, f"{kinds[kind]}, {num_classes} classes") for kind, methods in by_kind.items()),
        pictures=tuple(
            methods_picture(methods, title=f"Generalization on {kinds[kind]}, {num_classes} classes")
            for kind, methods in by_kind.items()
            if kind != "meta_train"
        ),
    )


def _table(methods: Mapping[str, Line], title: str) -> Table:
    """All methods, best generalization first, with the difference from the hyper-trained, continual one."""
    ours = methods["dan"]["scores"]["generalization"]
    rows = []
    for line in sorted(methods.values(), key=lambda line: -score(line, "generalization").mean):
        theirs = line["scores"]["generalization"]
        # Slow methods lived the first of the same lives.
        difference = "" if line["method"] == "dan" else percent(paired_difference(theirs, ours[: len(theirs)]))
        rows.append(
            (
                line["title"],
                str(line["updates"]),
                str(len(theirs)),
                percent(score(line, "memory")),
                percent(score(line, "generalization")),
                difference,
                line["note"],
            )
        )
    return Table(
        title=title,
        header=("method", "updates", "lives", "memory", "generalization", "generalization - continual", "how"),
        rows=tuple(rows),
        caption="Percent of images classified rightly at the end of life, argmax over all outputs, with 95 % intervals over "
        "lives. The difference is paired over lives; slow methods lived the first of the same ones.",
    )


def _perfect_section(record: RunRecord, kinds: Mapping[str, str], num_classes: int) -> Section:
    """How many lives end without a single mistake (dissertation, figure 6.11)."""
    by_kind = {kind: methods_of(record, f"{kind}/{num_classes}") for kind in kinds}
    names = list(dict.fromkeys(name for methods in by_kind.values() for name in methods))
    titles = {name: next(m[name]["title"] for m in by_kind.values() if name in m) for name in names}
    tables = tuple(
        Table(
            title=f"Lives with 100 % {part}, {num_classes} classes",
            header=("method", *kinds.values()),
            rows=tuple(
                (
                    titles[name],
                    *(str(perfect(by_kind[kind][name], part)) if name in by_kind[kind] else "" for kind in kinds),
                )
                for name in names
            ),
            caption="Percent of lives, with Wilson's 95 % interval. Generalization is measured on "
            f"{record.config['settings']['life']['num_held_out']} further images a class.",
        )
        for part in _PERFECT
    )
    return Section(
        title=f"Lives without a mistake, {num_classes} classes",
        tables=tables,
        pictures=tuple(_perfect_picture(by_kind, kinds, part, num_classes) for part in _PERFECT),
    )


def perfect(line: Line, part: str) -> Share:
    """Counts the lives in which a score is 1."""
    values = line["scores"][part]
    return Share(sum(value == 1 for value in values), len(values))


def _perfect_picture(
    by_kind: Mapping[str, Mapping[str, Line]], kinds: Mapping[str, str], part: str, num_classes: int
) -> Picture:
    groups = {
        kinds[kind]: {line["title"]: perfect(line, part) for line in methods.values()}
        for kind, methods in by_kind.items()
    }
    return Picture(
        title=f"Lives with 100 % {part}, {num_classes} classes",
        caption="Bars: share of lives; lines: 95 % intervals. Baselines without hyper-training are not deployed on meta-train.",
        content=png_bytes(shares_figure(groups, ylabel="lives, percent")),
        kind="png",
        alt=f"Share of lives with 100 % {part} by method, {num_classes} classes",
    )


def _tuning_section(record: RunRecord) -> Section:
    rows = tuple(
        (line["method"], f"Adam {rate}", str(line["lives"]), f"{100 * value:.1f}")
        for line in record.lines("tuning")
        for rate, value in line["trials"].items()
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
