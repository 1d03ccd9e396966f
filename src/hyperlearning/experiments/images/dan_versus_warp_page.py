"""The page of `dan-versus-warp`, from its record alone."""

from collections.abc import Sequence
from functools import partial

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.images.dan_versus_warp import Config
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Section, Table, percent
from hyperlearning.systems.images.comparison import OWN_PROTOTYPES
from hyperlearning.systems.images.comparison_parts import (
    Columns,
    compared_training_section,
    comparison_glance_table,
    comparison_sections,
    titled_systems,
)
from hyperlearning.systems.images.lines import MethodLine
from hyperlearning.systems.images.page_parts import glance, life_picture, methods_of, methods_picture
from hyperlearning.systems.images.pools import SPLITS, per_split, split_titles

_EXTRA: Columns = {"inner rate": lambda line: line.inner_lr}


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    config = record.settings(Config)
    splits, by_split = split_titles(config.data), per_split(partial(methods_of, record.lines(MethodLine)))
    lines = [line for name, line in by_split["meta_test"].items() if not name.startswith(OWN_PROTOTYPES)]
    labels = [line.method for line in lines]
    pictures = {
        split: methods_picture(methods, title=f"Generalization on {splits[split]}")
        for split, methods in by_split.items()
    }
    return Page(
        title="DANs against warp layers",
        lead="One innate trunk, then layers of plastic synapses; between them either small networks that all neurons of a layer "
        f"share (DANs) or dense innate layers (warp), as many parameters in all. Lives of {config.life.num_tasks} classes, one "
        "after another. The facts are generalization at the end of life.",
        facts={
            f"{line.title}, {splits[split]}": f"{percent(line.estimate('generalization'))} %"
            for split in SPLITS[1:]
            for line in (by_split[split]["dan"], by_split[split]["warp"])
        },
        sections=(
            glance(pictures.pop("meta_test"), comparison_glance_table(by_split, labels, splits)),
            Section(
                title="What is compared", tables=(_sizes_table(lines), *_rates_tables(lines, config.tuning_epochs))
            ),
            *comparison_sections(by_split, labels, splits, extra=_EXTRA),
            Section(title="Side by side", pictures=tuple(pictures.values())),
            Section(
                title="In the course of a life",
                pictures=tuple(
                    life_picture([by_split[split][name] for name in ("dan", "warp")], title=splits[split])
                    for split in SPLITS[1:]
                ),
            ),
            compared_training_section(titled_systems(record, by_split["meta_test"], labels), splits),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _sizes_table(lines: Sequence[MethodLine]) -> Table:
    rows = []
    for line in lines:
        assert line.parameters is not None
        numbers = (line.parameters.plastic, line.parameters.innate, line.parameters.total)
        rows.append((line.title, line.note, *(f"{number:,}" for number in numbers)))
    return Table(
        title="Parameters",
        header=("system", "what it is", "plastic", "innate", "total"),
        rows=tuple(rows),
        caption="The trunk is the same and counts as innate. Totals are matched within 2 %.",
    )


def _rates_tables(lines: Sequence[MethodLine], tuning_epochs: int) -> tuple[Table, ...]:
    if not lines[0].trials:
        return ()
    rows = tuple(
        (line.title, *(f"{100 * trial:.1f}" for trial in (line.trials or {}).values()), f"{line.inner_lr:g}")
        for line in lines
    )
    return (
        Table(
            title="Choice of the inner rate",
            header=("system", *(f"rate {rate}" for rate in lines[0].trials), "chosen"),
            rows=rows,
            caption=f"Generalization, percent, on validation lives of meta-train classes after {tuning_epochs} epochs; these "
            "lives and trainings serve for nothing else.",
        ),
    )
