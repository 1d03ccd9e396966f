"""The page of `dan-versus-warp`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Section, Table
from hyperlearning.systems.images.comparison import OWN_PROTOTYPES
from hyperlearning.systems.images.comparison_parts import compared_training_section, comparison_sections
from hyperlearning.systems.images.page_parts import (
    kind_titles,
    life_picture,
    methods_of,
    methods_picture,
    percent,
    score,
)

_EXTRA = {"inner_lr": "inner rate"}


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    settings, kinds = record.config["settings"], kind_titles(record)
    life = settings["life"]
    by_kind = {kind: methods_of(record, kind) for kind in kinds}
    labels = [name for name in by_kind["meta_test"] if not name.startswith(OWN_PROTOTYPES)]
    facts = {}
    for kind in ("meta_test", "meta_eval"):
        for label in ("dan", "warp"):
            line = by_kind[kind][label]
            facts[f"{line['title']}, {kinds[kind]}"] = f"{percent(score(line, 'generalization'))} %"
    return Page(
        title="DANs against warp layers",
        lead=f"One innate trunk, then layers of plastic synapses; between them either small networks that all neurons of a layer "
        f"share (DANs) or dense innate layers (warp), as many parameters in all. Lives of {life['num_tasks']} classes, one after "
        "another. The facts are generalization at the end of life.",
        facts=facts,
        sections=(
            Section(title="What is compared", tables=(_sizes_table(record, labels), *_rates_tables(record, labels))),
            *comparison_sections(record, labels, extra=_EXTRA),
            Section(
                title="Side by side",
                pictures=tuple(
                    methods_picture(methods, title=f"Generalization on {kinds[kind]}")
                    for kind, methods in by_kind.items()
                ),
            ),
            Section(
                title="In the course of a life",
                pictures=tuple(
                    life_picture({name: by_kind[kind][name] for name in ("dan", "warp")}, title=kinds[kind])
                    for kind in ("meta_test", "meta_eval")
                ),
            ),
            compared_training_section(record, labels),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _sizes_table(record: RunRecord, labels: list[str]) -> Table:
    lines = methods_of(record, "meta_test")
    rows = []
    for label in labels:
        counts = lines[label]["parameters"]
        numbers = (counts["plastic"], counts["innate"], counts["plastic"] + counts["innate"])
        rows.append((lines[label]["title"], lines[label]["note"], *(f"{number:,}" for number in numbers)))
    return Table(
        title="Parameters",
        header=("system", "what it is", "plastic", "innate", "total"),
        rows=tuple(rows),
        caption="The trunk is the same and counts as innate. Totals are matched within 2 %.",
    )


def _rates_tables(record: RunRecord, labels: list[str]) -> tuple[Table, ...]:
    lines = methods_of(record, "meta_test")
    rates = list(lines[labels[0]]["trials"])
    if not rates:
        return ()
    rows = tuple(
        (
            lines[label]["title"],
            *(f"{100 * lines[label]['trials'][rate]:.1f}" for rate in rates),
            f"{lines[label]['inner_lr']:g}",
        )
        for label in labels
    )
    return (
        Table(
            title="Choice of the inner rate",
            header=("system", *(f"rate {rate}" for rate in rates), "chosen"),
            rows=rows,
            caption="Generalization, percent, on validation lives of meta-train classes after "
            f"{record.config['settings']['tuning_epochs']} epochs; these lives and trainings serve for nothing else.",
        ),
    )
