"""`compare`: systems of finished runs of any experiments, on the held-out lives that all of them met, life by life.

It knows no family: runs say themselves which lives they met and how each of their systems fared (`entry`).
"""

import fnmatch
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro

from hyperlearning.core.atomic_files import write_together
from hyperlearning.core.errors import RunError
from hyperlearning.core.expect import AtLeast, Seed, check_ranges
from hyperlearning.engine.devices import computing_on, resolve
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate
from hyperlearning.evaluation.pairwise import Comparison, Pair, compare_all
from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives
from hyperlearning.experiments.experiment import values_of
from hyperlearning.experiments.registry import experiment_of

_NUM_LIVES, _SEED = 20, 7000


@dataclass(frozen=True, kw_only=True)
class CompareRuns:
    """Pairs systems of finished runs, of any experiments, life by life, on the held-out lives that all of them met."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Runs; the first is the reference. `RUN:SYSTEM` takes a method of a run's table, such as `RUN:rls`, or several by pattern,
    such as `'RUN:*/whitened'`; without it, what the run's claim is about."""
    num_lives: Annotated[int, AtLeast(2)] | None = None
    """Let all that was trained live so many further lives, instead of those of the records; 20 if --seed alone is given."""
    seed: Seed | None = None
    """What further lives are drawn from; 7000 if --num-lives alone is given. Take another than the runs'."""
    out: Path | None = None
    """Folder of the page and its numbers; within runs/compared, called after the runs, if absent."""

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def further(self) -> FurtherLives | None:
        """The lives to live; none if the records' own are meant."""
        if self.num_lives is None and self.seed is None:
            return None
        return FurtherLives(
            _NUM_LIVES if self.num_lives is None else self.num_lives, _SEED if self.seed is None else self.seed
        )


class Named(NamedTuple):
    """What one argument of the command names.

    Attributes:
        argument: As it was given.
        record: The run.
        pattern: Which of its systems; what its claim is about if empty.
    """

    argument: str
    record: RunRecord
    pattern: str


class Contestant(NamedTuple):
    """A system of a run.

    Attributes:
        label: What tables and pictures call it, distinct.
        title: What it is.
        run: Place of its run among the arguments.
        system: Its name within the run.
    """

    label: str
    title: str
    run: int
    system: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One measure on one kind of lives.

    Attributes:
        lives: What the lives are called.
        facts: What they follow from.
        measure: The measure.
        scores: One number a life, by contestant's label; the reference first.
        comparison: What they say.
    """

    lives: str
    facts: Mapping[str, Any]
    measure: Measure
    scores: Mapping[str, Sequence[float]]
    comparison: Comparison

    @property
    def reference(self) -> str:
        """The label of what the others are set against."""
        return next(iter(self.scores))

    @property
    def num_lives(self) -> int:
        """Lives that all of them met."""
        return len(self.scores[self.reference])

    @property
    def key(self) -> str:
        """What tells it from other outcomes."""
        return f"{self.lives}: {self.measure.title}"


@dataclass(frozen=True, kw_only=True)
class Compared:
    """All that was compared.

    Attributes:
        contestants: The systems.
        outcomes: The one that tells most first.
        runs: The runs, by argument.
        further: Lives that were lived for it, if any.
    """

    contestants: tuple[Contestant, ...]
    outcomes: tuple[Outcome, ...]
    runs: tuple[Named, ...]
    further: FurtherLives | None

    @property
    def command(self) -> str:
        """What compares them again."""
        more = [] if self.further is None else ["--num-lives", str(self.further[0]), "--seed", str(self.further[1])]
        return shlex.join(["hyperlearning", "compare", *(named.argument for named in self.runs), *more])

    def values(self) -> dict[str, Any]:
        """All numbers, as JSON values."""
        return {
            "systems": {own.label: own.title for own in self.contestants},
            "correction": "Bonferroni over all pairs of a comparison",
            "comparisons": {outcome.key: _values(outcome) for outcome in self.outcomes},
        }


def compare_runs(options: CompareRuns) -> Compared:
    """Compares what was asked for.

    Raises:
        RunError: If fewer than two runs are named, one is none or has not finished, has no such system, keeps no life by life
            numbers, or no lives were met by all; the message says which fact differs, and what helps.
    """
    named = [_named(argument) for argument in options.runs]
    if len(named) < 2:
        raise RunError(
            f"Expected two runs or more to compare, but got {len(named)}: {', '.join(options.runs) or 'none'}."
        )
    entries = [_entry_of(own.record, options.further) for own in named]
    chosen = [_chosen(own, entry) for own, entry in zip(named, entries, strict=True)]
    contestants = _contestants(named, chosen)
    outcomes = tuple(_outcomes(named, chosen, contestants, options.further))
    return Compared(contestants=contestants, outcomes=outcomes, runs=tuple(named), further=options.further)


def _named(argument: str) -> Named:
    """Takes an argument apart at its last colon, unless all of it is a run's path."""
    path, colon, pattern = argument.rpartition(":")
    if not colon or (Path(argument) / "config.json").is_file():
        path, pattern = argument, ""
    record = RunRecord(path)
    if not record.manifest.get("finished"):
        raise RunError(f"Expected a finished run, but {path} is not. Go on with `hyperlearning resume {path}`.")
    return Named(argument, record, pattern)


def _entry_of(record: RunRecord, further: FurtherLives | None) -> Entry:
    experiment, config = experiment_of(record)
    if experiment.enter is None:
        raise RunError(
            f"Expected runs that say how they fared life by life, but {record.path} is of {record.experiment}, whose runs do not."
        )
    if further is None:
        return experiment.enter(record, None)
    with computing_on(resolve(config.device), threads=config.threads):
        return experiment.enter(record, further)


def _chosen(named: Named, entry: Entry) -> Entry:
    """Leaves only the systems that an argument names, and only lives that one of them met."""
    known = {fared.system: fared.enters for met in entry.met for fared in met.systems}
    if named.pattern:
        names = {name for name in known if name == named.pattern or fnmatch.fnmatchcase(name, named.pattern)}
    else:
        names = {name for name, enters in known.items() if enters}
    if not names:
        asked = f"called '{named.pattern}'" if named.pattern else "to enter without being named"
        raise RunError(
            f"Expected a system {asked} in {named.record.path}, but it has {', '.join(known) or 'none'}. "
            "Name one as RUN:SYSTEM, or several by a pattern."
        )
    kept = [replace(met, systems=tuple(own for own in met.systems if own.system in names)) for met in entry.met]
    return replace(entry, met=tuple(met for met in kept if met.systems))


def _contestants(named: Sequence[Named], chosen: Sequence[Entry]) -> tuple[Contestant, ...]:
    """Labels all systems: by their run alone where it enters with what is not named and is one thing only."""
    runs, contestants, taken = _short_names([own.record for own in named]), [], set()
    for place, (own, entry) in enumerate(zip(named, chosen, strict=True)):
        titles = {fared.system: fared.title for met in entry.met for fared in met.systems}
        for system, title in titles.items():
            if (key := (own.record.path.resolve(), system)) in taken:
                raise RunError(f"Expected every system once, but {system} of {own.record.path} was named twice.")
            taken.add(key)
            alone = len(titles) == 1 and not own.pattern
            contestants.append(Contestant(runs[place] if alone else f"{runs[place]}:{system}", title, place, system))
    return tuple(contestants)


def _short_names(records: Sequence[RunRecord]) -> list[str]:
    """The shortest of name, experiment and name, and path that tells all runs apart."""
    paths = [record.path.resolve() for record in records]
    every = (
        [path.name for path in paths],
        [f"{record.experiment} {path.name}" for record, path in zip(records, paths, strict=True)],
    )
    for names in every:
        if len(set(names)) == len(set(paths)):
            return names
    return [str(record.path) for record in records]


def _outcomes(
    named: Sequence[Named],
    chosen: Sequence[Entry],
    contestants: Sequence[Contestant],
    further: FurtherLives | None,
) -> Iterator[Outcome]:
    labels = {(own.run, own.system): own.label for own in contestants}
    others = [{name.name for name in entry.measures} for entry in chosen[1:]]
    found = False
    for met in chosen[0].met:
        alike = [_same_lives(met, entry) for entry in chosen]
        if None in alike:
            continue
        systems = {
            labels[place, fared.system]: fared
            for place, theirs in enumerate(alike)
            if theirs is not None
            for fared in theirs.systems
        }
        for measure in chosen[0].measures:
            if len(systems) < 2 or not all(measure.name in names for names in others):
                continue
            if all(measure.name in fared.scores for fared in systems.values()):
                found = True
                yield _outcome(met, measure, systems)
    if not found:
        raise RunError(_why_not(named, chosen, further))


def _same_lives(met: MetLives, entry: Entry) -> MetLives | None:
    return next((own for own in entry.met if own.facts == met.facts), None)


def _outcome(met: MetLives, measure: Measure, systems: Mapping[str, Fared]) -> Outcome:
    count = min(len(fared.scores[measure.name]) for fared in systems.values())
    scores = {label: tuple(fared.scores[measure.name][:count]) for label, fared in systems.items()}
    comparison = compare_all(scores, lower_is_better=measure.lower_is_better)
    return Outcome(lives=met.title, facts=met.facts, measure=measure, scores=scores, comparison=comparison)


def _why_not(named: Sequence[Named], chosen: Sequence[Entry], further: FurtherLives | None) -> str:
    """Says which fact keeps runs apart: of the two kinds of lives that are the most alike, the first fact that differs."""
    first = chosen[0]
    for own, entry in zip(named[1:], chosen[1:], strict=True):
        pairs = [(ours, theirs) for ours in first.met for theirs in entry.met]
        if any(ours.facts == theirs.facts for ours, theirs in pairs):
            continue
        ours, theirs = min(pairs, key=lambda pair: len(_differing(*pair)))
        fact = _differing(ours, theirs)[0]
        values = [f"{met.facts.get(fact, 'absent')}" for met in (ours, theirs)]
        return (
            f"Expected runs that met the same held-out lives, but `{fact}` is {values[0]} in {named[0].argument} and "
            f"{values[1]} in {own.argument}. {_remedy(fact, further)}"
        )
    return (
        "Expected two systems or more that met the same held-out lives and were measured alike, but those named "
        f"({', '.join(own.argument for own in named)}) have no lives or no measure that all of them share. Name others."
    )


def _differing(first: MetLives, second: MetLives) -> list[str]:
    names = dict.fromkeys([*first.facts, *second.facts])
    return [name for name in names if first.facts.get(name) != second.facts.get(name)]


def _remedy(fact: str, further: FurtherLives | None) -> str:
    if fact == "kind":
        return "Compare runs of one family."
    if fact in ("seed", "num_functions", "num_lives") and further is None:
        return f"Let all of them live the same further lives with `--seed {_SEED}`, or compare runs that agree in it."
    return "Compare runs that agree in it."


def _values(outcome: Outcome) -> dict[str, Any]:
    comparison, measure = outcome.comparison, outcome.measure
    return {
        "lives": {**outcome.facts, "number": outcome.num_lives},
        "measure": measure.name,
        "unit": measure.unit,
        "lower_is_better": measure.lower_is_better,
        "verdict": verdict(outcome),
        "ranked": list(comparison.ranked),
        "pairs": [_pair_values(comparison, pair) for pair in comparison.pairs],
    }


def _pair_values(comparison: Comparison, pair: Pair) -> dict[str, Any]:
    return {
        "systems": [pair.first, pair.second],
        "first": values_of(comparison.estimates[pair.first]),
        "second": values_of(comparison.estimates[pair.second]),
        "difference": values_of(pair.difference),
        "clear": pair.clear,
    }


def verdict(outcome: Outcome) -> str:
    """Says in words who is best, of whom it is told apart, by how much, and where there are too few lives to tell."""
    comparison, measure = outcome.comparison, outcome.measure
    best, *others = comparison.ranked
    pairs = [comparison.between(best, other) for other in others]
    clear = [pair for pair in pairs if pair.clear]
    equal = [pair for pair in pairs if pair.difference.mean == 0 and pair.difference.ci95 == 0]
    unclear = [pair for pair in pairs if not pair.clear and pair not in equal]
    better = "lower" if outcome.measure.lower_is_better else "higher"
    said = [
        f"{outcome.measure.title.capitalize()} over {outcome.num_lives} lives: {best} is best by mean, "
        f"{_short(measure.shown(comparison.estimates[best]))} {measure.shown_unit} ({better} is better)."
    ]
    if clear:
        said.append(
            "Clearly better than " + _listed([f"{pair.second} (by {_by(pair, measure)})" for pair in clear]) + "."
        )
    if equal:
        said.append("The same, life by life, as " + _listed([pair.second for pair in equal]) + ".")
    if unclear:
        said.append(
            "Not told apart from " + _listed([f"{pair.second} ({_by(pair, measure)})" for pair in unclear]) + "."
        )
        said.append(_too_few(unclear))
    return " ".join(said)


def _by(pair: Pair, measure: Measure) -> str:
    """The size of a difference, whichever way it points, with its interval."""
    own = measure.shown(pair.difference)
    return _short(Estimate(abs(own.mean), own.ci95, own.count))


def _too_few(pairs: Sequence[Pair]) -> str:
    needed = [pair.lives_to_tell for pair in pairs if pair.lives_to_tell is not None]
    count = pairs[0].difference.count
    said = f"{count} lives are too few to tell: the interval is wider than the difference"
    # Two digits: it is a guess.
    return (
        f"{said}; should that stay as it is, some {float(f'{max(needed):.1e}'):,.0f} would tell."
        if needed
        else f"{said}."
    )


def _short(value: Estimate) -> str:
    """Writes a mean with its interval."""
    from hyperlearning.reports.numbers import short_estimate

    return short_estimate(value)


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def write_comparison(compared: Compared, out: Path | None) -> Path:
    """Writes the page, its numbers and its pictures: all of them, or none.

    Returns:
        The folder.
    """
    from hyperlearning.experiments.comparing_page import comparison_page
    from hyperlearning.reports.markdown import picture_files
    from hyperlearning.reports.page import render_page

    page, folder = comparison_page(compared), out or Path("runs") / "compared" / _folder_name(compared)
    numbers = json.dumps(compared.values(), indent=2, allow_nan=False) + "\n"
    files = {"report.html": render_page(page).encode(), "comparison.json": numbers.encode()}
    write_together(folder, {**files, **picture_files(page.sections)})
    return folder


def _folder_name(compared: Compared) -> str:
    first, second, *more = [f"{own.record.experiment}-{own.record.path.resolve().name}" for own in compared.runs]
    return f"{first}-and-{second}" + (f"-and-{len(more)}-more" if more else "")
