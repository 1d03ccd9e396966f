"""The page of `over-training`, from its record alone."""

from typing import Any

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Section
from hyperlearning.systems.images.comparison_parts import (
    compared_training_section,
    comparison_table,
    ladder_picture,
    titled_systems,
)
from hyperlearning.systems.images.page_parts import kind_titles, methods_of, percent, score, training_picture

_EXTRA = {"num_learned": "images learned", "epochs": "epochs", "images": "images met"}
_BUDGETS = {"images": "equal compute", "epochs": "equal epochs"}


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    settings, kinds = record.config["settings"], kind_titles(record)
    life, budgets = settings["life"], settings["budgets"]
    methods = methods_of(record, "meta_test")
    by_budget = {budget: _ladder(methods, budget, budgets) for budget in budgets}
    first = by_budget[budgets[0]]
    largest = first[-1]
    facts = {}
    for kind, title in kinds.items():
        line = methods_of(record, kind)[largest]
        for name in ("memory", "generalization"):
            facts[f"{name}, {title}"] = f"{percent(score(line, name))} %"
    return Page(
        title="Over-training",
        lead=f"Networks of one size, hyper-trained on lives that hold ever more, then deployed on the same lives of "
        f"{life['num_tasks']} classes, {life['num_instances']} images each. The facts are of the largest setting, "
        f"{methods[largest]['title']}.",
        facts=facts,
        sections=(
            *(section for budget, labels in by_budget.items() for section in _budget_sections(record, budget, labels)),
            Section(
                title="The largest setting over hyper-training",
                pictures=tuple(
                    training_picture(
                        titled_systems(record, [largest]),
                        name,
                        kinds,
                        title=f"{name.capitalize()} of the largest setting",
                    )
                    for name in ("memory", "generalization")
                ),
            ),
            compared_training_section(record, first),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _budget_sections(record: RunRecord, budget: str, labels: list[str]) -> tuple[Section, ...]:
    """All settings under one budget: the pictures with the first table, then the other tables."""
    lines = methods_of(record, "meta_test")
    names = [lines[label]["title"].replace(", ", "\n") for label in labels]
    pictures = tuple(
        ladder_picture(
            record,
            labels,
            name,
            places=[float(place) for place in range(len(labels))],
            names=names,
            xlabel="lives of hyper-training",
            title=f"{name.capitalize()}, {_BUDGETS[budget]}",
        )
        for name in ("generalization", "memory")
    )
    return tuple(
        Section(
            title=f"{_BUDGETS[budget].capitalize()}, {title}",
            pictures=() if index else pictures,
            tables=(comparison_table(record, kind, labels, extra=_EXTRA),),
        )
        for index, (kind, title) in enumerate(kind_titles(record).items())
    )


def _ladder(methods: dict[str, dict[str, Any]], budget: str, budgets: list[str]) -> list[str]:
    """The settings under one budget; the largest is the same under every budget."""
    named = {name: line for name, line in methods.items() if "budget" in line}
    own = [name for name, line in named.items() if line["budget"] == budget]
    if budget == budgets[0]:
        return own
    return [*own, [name for name, line in named.items() if line["budget"] == budgets[0]][-1]]
