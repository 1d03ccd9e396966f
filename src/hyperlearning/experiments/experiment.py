"""What an experiment declares: all that the command, the documentation and the tests know of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple

from rich.console import Console

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate
from hyperlearning.experiments.entry import Entry, FurtherLives
from hyperlearning.reports.page import Page, Section, Table


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a verb found.

    Attributes:
        table: Shown on a terminal.
        values: JSON values that say the same.
        note: A line below the table, such as where files were written.
    """

    table: Table
    values: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


def values_of(value: Estimate) -> dict[str, float]:
    """An estimate as JSON values."""
    return {"mean": value.mean, "ci95": value.ci95}


class Verb(NamedTuple):
    """Something that can be done with a finished run.

    Attributes:
        help: What it does, in a sentence.
        options: A dataclass whose fields are the command's options, with help text under each.
        act: Does it, given the run and the options.
    """

    help: str
    options: type
    act: Callable[[RunRecord, Any], Answer]


class Experiment(NamedTuple):
    """One experiment: a claim, and what it takes to test it.

    Attributes:
        claim: The claim in one sentence; the command's list, the README's table and the site's menu are made from it.
        presets: Settings by name; the first is the default.
        check: Raises what can be refused before work starts.
        run: Runs it, or goes on with it, and fills the record.
        report: Makes the page from the record alone.
        verbs: What can be done with a finished run, by name.
        enter: Says how a finished run fared on its held-out lives, or on further ones, for `hyperlearning compare`.
        load: Opens a finished run, for `hyperlearning.load`.
        over_runs: What several runs say together, such as a table over seeds, for the documentation. A section of it called
            "At a glance" heads the experiment's page, in place of the first run's.
    """

    claim: str
    presets: Mapping[str, Any]
    check: Callable[[Any], None]
    run: Callable[[Any, RunRecord, Console], None]
    report: Callable[[RunRecord], Page]
    verbs: Mapping[str, Verb] = MappingProxyType({})
    enter: Callable[[RunRecord, FurtherLives | None], Entry] | None = None
    load: Callable[[RunRecord], Any] | None = None
    over_runs: Callable[[Sequence[RunRecord]], Sequence[Section]] | None = None


def page_of(module: str) -> Callable[[RunRecord], Page]:
    """Finds the page that stands beside a claim, imported when it is wanted: figures take long to import.

    Args:
        module: The claim's `__name__`; its page is `report` in the module of that name with `_page` added.
    """

    def report(record: RunRecord) -> Page:
        return import_module(f"{module}_page").report(record)

    return report


def over_runs_in(module: str) -> Callable[[Sequence[RunRecord]], Sequence[Section]]:
    """Likewise finds `over_runs` in a module, such as `f"{__name__}_seeds"`, when it is wanted."""

    def over_runs(records: Sequence[RunRecord]) -> Sequence[Section]:
        return import_module(module).over_runs(records)

    return over_runs
