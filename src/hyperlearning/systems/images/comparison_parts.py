"""What the pages that compare hyper-trained image systems have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.reports import Curve, Picture, Section, Table, curves_figure, png_bytes
from hyperlearning.systems.images.comparison import OWN_PROTOTYPES, trained_systems
from hyperlearning.systems.images.page_parts import (
    KIND_NAMES,
    kind_titles,
    methods_of,
    percent,
    score,
    training_picture,
)

Line = dict[str, Any]


def comparison_table(record: RunRecord, kind: str, labels: Sequence[str], *, extra: Mapping[str, str]) -> Table:
    """Systems on lives of one kind, in the order given.

    Args:
        record: The run's record.
        kind: Where the lives come from.
        labels: The systems.
        extra: Further columns: a fact of the line `method`, and the column's name.
    """
    methods = methods_of(record, kind)
    rows = []
    for label in labels:
        line, prototypes = methods[label], methods[OWN_PROTOTYPES + label]
        facts = [_written(line[name]) for name in extra]
        names = ("memory", "generalization", "generalization_of_life", "forgetting")
        scores = [percent(score(line, name)) for name in names]
        rows.append((line["title"], *facts, *scores, percent(score(prototypes, "generalization"))))
    num_lives = len(methods[labels[0]]["scores"]["memory"])
    return Table(
        title=f"{kind_titles(record)[kind]}, {num_lives} lives",
        header=(
            "system",
            *extra.values(),
            "memory",
            "generalization",
            "generalization, life's classes",
            "forgetting",
            "class means of own features",
        ),
        rows=tuple(rows),
        caption="Percent of images classified rightly at the end of life, with 95 % intervals over lives, which are the same for "
        "all systems. Argmax over all outputs that were trained; in the column of the life's classes, over those alone. Class "
        "means: generalization of prototypes on the system's own features, which cannot forget.",
    )


def comparison_sections(record: RunRecord, labels: Sequence[str], *, extra: Mapping[str, str]) -> tuple[Section, ...]:
    """One section for each kind of lives, with its table."""
    return tuple(
        Section(title=f"On {title}", tables=(comparison_table(record, kind, labels, extra=extra),))
        for kind, title in kind_titles(record).items()
    )


def ladder_picture(
    record: RunRecord,
    labels: Sequence[str],
    score_name: str,
    *,
    places: Sequence[float],
    xlabel: str,
    title: str,
    names: Sequence[str],
    log_x: bool = False,
) -> Picture:
    """One score of systems that differ in one respect: a curve for each kind of lives.

    Args:
        record: The run's record.
        labels: The systems, as they stand on the x axis.
        score_name: Which score.
        places: Where they stand.
        xlabel: What x is.
        title: Of the picture.
        names: What the places are called.
        log_x: Logarithmic x.
    """
    curves = {}
    for kind, name in KIND_NAMES.items():
        methods = methods_of(record, kind)
        values = [score(methods[label], score_name) for label in labels]
        curves[name] = Curve(list(places), [100 * v.mean for v in values], [100 * v.ci95 for v in values])
    ticks = dict(zip(places, names, strict=True))
    figure = curves_figure(curves, xlabel=xlabel, ylabel=f"{score_name}, percent", log_x=log_x, ticks=ticks)
    return Picture(
        title=title,
        caption="At the end of life; shaded: 95 % intervals over lives.",
        content=png_bytes(figure),
        kind="png",
        alt=f"{title}: {score_name} by system",
    )


def compared_training_section(record: RunRecord, labels: Sequence[str], *, kind: str = "meta_test") -> Section:
    """The course of hyper-training of several systems, on lives of one kind, against compute."""
    systems = titled_systems(record, labels)
    title = kind_titles(record)[kind]
    rows = tuple(
        (line["label"], str(line["hyper_loss"]["epoch"][-1]), f"{line['looks'][-1]['images']:,}",
         f"{line['training_seconds']:,.0f}")
        for line in systems
    )  # fmt: skip
    losses = {
        line["label"]: Curve(
            [x / line["hyper_loss"]["epoch"][-1] * line["looks"][-1]["images"] for x in line["hyper_loss"]["epoch"]],
            line["hyper_loss"]["mean"],
        )
        for line in systems
    }
    figure = curves_figure(losses, xlabel="images met in hyper-training", ylabel="hyper-loss", log_y=True)
    return Section(
        title="Hyper-training",
        pictures=(
            *(
                training_picture(
                    systems, name, {kind: title}, title=f"{name.capitalize()} over hyper-training, {title}"
                )
                for name in ("generalization", "memory")
            ),
            Picture(
                title="Hyper-loss",
                caption="Mean over lives and outer steps. What is hard differs where lives of hyper-training do.",
                content=png_bytes(figure),
                kind="png",
                alt="Hyper-loss by images met",
            ),
        ),
        tables=(Table(title="Compute", header=("system", "epochs", "images met", "seconds"), rows=rows),),
    )


def titled_systems(record: RunRecord, labels: Sequence[str]) -> list[Line]:
    """The lines `system` of these labels, each under the title that its line `method` has."""
    titles = {line["method"]: line["title"] for line in record.lines("method")}
    return [{**line, "label": titles[line["label"]]} for line in trained_systems(record, labels)]


def _written(fact: Any) -> str:
    return f"{fact:,}" if isinstance(fact, int) else f"{fact:g}" if isinstance(fact, float) else str(fact)
