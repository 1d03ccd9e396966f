"""The page of `over-training`, from its record alone."""

from collections.abc import Mapping, Sequence
from functools import partial

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.images.over_training import Budget, Config
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Picture, Section, percent
from hyperlearning.systems.images.comparison_parts import (
    BySplit,
    Columns,
    compared_training_section,
    comparison_glance_table,
    comparison_table,
    ladder_picture,
    titled_systems,
)
from hyperlearning.systems.images.lines import MethodLine, ScoreName
from hyperlearning.systems.images.page_parts import glance, methods_of, training_picture
from hyperlearning.systems.images.pools import Split, per_split, split_titles

_EXTRA: Columns = {
    "images learned": lambda line: line.num_learned,
    "epochs": lambda line: line.epochs,
    "images met": lambda line: line.images,
}
_BUDGETS: Mapping[Budget, str] = {"images": "equal compute", "epochs": "equal epochs"}
_SCORES: tuple[ScoreName, ...] = ("generalization", "memory")


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    config = record.settings(Config)
    splits, budgets = split_titles(config.data), config.budgets
    by_split = per_split(partial(methods_of, record.lines(MethodLine)))
    methods = by_split["meta_test"]
    by_budget = {budget: _ladder(methods, budget, budgets) for budget in budgets}
    first = by_budget[budgets[0]]
    largest = first[-1]
    facts = {}
    for split, title in splits.items():
        line = by_split[split][largest]
        facts[f"memory, {title}"] = f"{percent(line.estimate('memory'))} %"
        facts[f"generalization, {title}"] = f"{percent(line.estimate('generalization'))} %"
    return Page(
        title="Over-training",
        lead=f"Networks of one size, hyper-trained on lives that hold ever more, then deployed on the same lives of "
        f"{config.life.num_tasks} classes, {config.life.num_instances} images each. The facts are of the largest setting, "
        f"{methods[largest].title}.",
        facts=facts,
        sections=(
            glance(
                _picture(by_split, first, "generalization", budgets[0]),
                comparison_glance_table(by_split, first, splits),
            ),
            *(
                section
                for budget in budgets
                for section in _budget_sections(by_split, budget, by_budget[budget], splits, shown=budget == budgets[0])
            ),
            Section(
                title="The largest setting over hyper-training",
                pictures=tuple(
                    training_picture(
                        titled_systems(record, methods, [largest]),
                        name,
                        splits,
                        title=f"{name.capitalize()} of the largest setting",
                    )
                    for name in reversed(_SCORES)
                ),
            ),
            compared_training_section(titled_systems(record, methods, first), splits),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _picture(by_split: BySplit, labels: Sequence[str], score: ScoreName, budget: Budget) -> Picture:
    return ladder_picture(
        by_split,
        labels,
        score,
        places=[float(place) for place in range(len(labels))],
        names=[by_split["meta_test"][label].title.replace(", ", "\n") for label in labels],
        xlabel="lives of hyper-training",
        title=f"{score.capitalize()}, {_BUDGETS[budget]}",
    )


def _budget_sections(
    by_split: BySplit, budget: Budget, labels: Sequence[str], splits: Mapping[Split, str], *, shown: bool
) -> tuple[Section, ...]:
    """All settings under one budget: the pictures, but those shown before, with the first table, then the other tables."""
    scores = _SCORES[1:] if shown else _SCORES
    pictures = tuple(_picture(by_split, labels, score, budget) for score in scores)
    return tuple(
        Section(
            title=f"{_BUDGETS[budget].capitalize()}, {title}",
            pictures=() if index else pictures,
            tables=(comparison_table(by_split[split], labels, title=title, extra=_EXTRA),),
        )
        for index, (split, title) in enumerate(splits.items())
    )


def _ladder(methods: Mapping[str, MethodLine], budget: Budget, budgets: Sequence[Budget]) -> list[str]:
    """The settings under one budget; the largest is the same under every budget."""
    of_budget = {each: [name for name, line in methods.items() if line.budget == each] for each in budgets}
    first = of_budget[budgets[0]]
    return first if budget == budgets[0] else [*of_budget[budget], first[-1]]
