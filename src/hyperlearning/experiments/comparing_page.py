"""The page of a comparison."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from hyperlearning.evaluation.intervals import Estimate
from hyperlearning.experiments.comparing import Compared, Outcome, verdict
from hyperlearning.reports import Page, Picture, Section, Table, column, methods_figure, png_bytes
from hyperlearning.reports.paired_lives import paired_lives_figure

_MOST_PANELS = 6
_MOST_ROWS = 30
"""Of the table on a terminal."""


def comparison_page(compared: Compared) -> Page:
    """Says what was compared on which lives, and what came of it."""
    first = compared.outcomes[0]
    by_lives = [list(group) for _, group in groupby(compared.outcomes, key=lambda outcome: outcome.lives)]
    sections = [_section(outcomes, "At a glance" if place == 0 else "") for place, outcomes in enumerate(by_lives)]
    return Page(
        title="Compared life by life",
        lead=f"{first.lives}. {verdict(first)}",
        sections=(*sections, _systems(compared), _method(compared)),
        command=compared.command,
        footer={own.argument: _made(own.record.config, own.record.manifest) for own in compared.runs},
    )


def outcomes_table(compared: Compared) -> Table:
    """Outcomes for a terminal: every system's mean, and its paired difference from the reference.

    Where that is long, only the first measure, and where it is still long, of the first lives alone; the page has all.
    """
    measure, lives = compared.outcomes[0].measure, compared.outcomes[0].lives
    wanted = list(compared.outcomes)
    for kept in (lambda own: own.measure == measure, lambda own: own.lives == lives):
        if sum(len(outcome.scores) for outcome in wanted) > _MOST_ROWS:
            wanted = [outcome for outcome in wanted if kept(outcome)]
    rows = [row for outcome in wanted for row in _rows(outcome)]
    return Table(
        title=f"Reference: {compared.outcomes[0].reference}",
        header=("lives", "score", "system", "mean", "paired difference from the reference", "interval"),
        rows=tuple(rows),
    )


def _rows(outcome: Outcome) -> list[tuple[str, ...]]:
    words, shown = (outcome.lives, _unit(outcome)), outcome.measure.shown
    rows = []
    for name, mean in outcome.comparison.estimates.items():
        if name == outcome.reference:
            rows.append((*words, name, str(shown(mean)), "", ""))
            continue
        pair = outcome.comparison.between(name, outcome.reference)
        rows.append((*words, name, str(shown(mean)), str(shown(pair.difference)), _told(pair.clear)))
    return rows


def _told(clear: bool) -> str:
    return "clear of 0" if clear else "no clear difference"


def _unit(outcome: Outcome) -> str:
    return f"{outcome.measure.title}, {outcome.measure.shown_unit}"


def _section(outcomes: Sequence[Outcome], title: str) -> Section:
    """One kind of lives: the first measure in pictures, all of them in words and tables."""
    first = outcomes[0]
    differences = _from_reference(first)
    forest = methods_figure(
        differences,
        xlabel=f"{_unit(first)}: difference from {first.reference}",
        highlight=[name for name in differences if first.comparison.between(name, first.reference).clear],
        lower_is_better=first.measure.lower_is_better,
    )
    side = "Left" if first.measure.lower_is_better else "Right"
    return Section(
        title=title or first.lives,
        paragraphs=(f"{first.lives}.", *(verdict(outcome) for outcome in outcomes)),
        pictures=(
            Picture(
                title=f"Differences in {first.measure.title}",
                caption=f"Mean over lives of each system less {first.reference}, paired life by life. {side} of 0 is better "
                "than the reference; coloured where the interval leaves out 0. All intervals of the comparison hold together "
                "with 95 %.",
                content=png_bytes(forest),
                alt="Paired differences from the reference with intervals",
            ),
            _dots(first),
        ),
        tables=tuple(_table(outcome) for outcome in outcomes),
    )


def _from_reference(outcome: Outcome) -> Mapping[str, Estimate]:
    names = [name for name in outcome.scores if name != outcome.reference]
    pairs = {name: outcome.comparison.between(name, outcome.reference) for name in names}
    return {name: outcome.measure.shown(pair.difference) for name, pair in pairs.items()}


def _dots(outcome: Outcome) -> Picture:
    """The best of the others against the reference."""
    shown = [name for name in outcome.comparison.ranked if name != outcome.reference][:_MOST_PANELS]
    figure = paired_lives_figure(
        _shown_scores(outcome, outcome.reference),
        {name: _shown_scores(outcome, name) for name in shown},
        reference_name=outcome.reference,
        measure=outcome.measure.title,
        lower_is_better=outcome.measure.lower_is_better,
    )
    below = "below" if outcome.measure.lower_is_better else "above"
    left_out = len(outcome.scores) - 1 - len(shown)
    more = f" The {left_out} worst by mean are left out." if left_out else ""
    return Picture(
        title="Life by life",
        caption=f"A dot a life; {below} the line it went better than with {outcome.reference}.{more}",
        content=png_bytes(figure),
        alt="Scores of every life, each system against the reference",
    )


def _shown_scores(outcome: Outcome, name: str) -> list[float]:
    return [outcome.measure.scale * score for score in outcome.scores[name]]


def _table(outcome: Outcome) -> Table:
    comparison, shown = outcome.comparison, outcome.measure.shown
    names = list(comparison.ranked)
    best = names[0]
    means = column(outcome.measure.title, [shown(comparison.estimates[name]) for name in names])
    to_reference = [
        None if name == outcome.reference else comparison.between(name, outcome.reference) for name in names
    ]
    to_best = [None if name == best else comparison.between(name, best) for name in names]
    differences = [column(f"less {outcome.reference}", [pair and shown(pair.difference) for pair in to_reference])]
    pairs = [to_reference]
    if best != outcome.reference:
        differences.append(column(f"less {best}, the best", [pair and shown(pair.difference) for pair in to_best]))
        pairs.append(to_best)
    told = [["" if pair is None else _told(pair.clear) for pair in each] for each in pairs]
    columns = [cells for found, words in zip(differences, told, strict=True) for cells in (found.cells, words)]
    header = [word for found in differences for word in (found.header, "interval")]
    return Table(
        title=f"{outcome.measure.title.capitalize()}, {outcome.measure.shown_unit}",
        header=("system", means.header, *header),
        rows=tuple(zip(names, means.cells, *columns, strict=True)),
        highlight=(0,),
        caption=f"{outcome.num_lives} lives, the best by mean first.",
    )


def _systems(compared: Compared) -> Section:
    rows = tuple(
        (own.label, own.title, str(compared.runs[own.run].record.path), compared.runs[own.run].record.experiment)
        for own in compared.contestants
    )
    table = Table(title="What was compared", header=("system", "what it is", "run", "experiment"), rows=rows)
    facts = {outcome.lives: outcome.facts for outcome in compared.outcomes}
    names = list(dict.fromkeys(name for each in facts.values() for name in each))
    lives = Table(
        title="What lives follow from",
        header=("lives", *(name.replace("_", " ") for name in names)),
        rows=tuple((title, *(_fact(each.get(name, "")) for name in names)) for title, each in facts.items()),
    )
    return Section(title="Systems and lives", tables=(table, lives))


def _fact(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _method(compared: Compared) -> Section:
    count = len(compared.outcomes[0].comparison.pairs)
    source = (
        "Scores are those of the runs' records."
        if compared.further is None
        else "All systems lived these lives for this page; no run had met them."
    )
    return Section(
        title="How it was compared",
        paragraphs=(
            source,
            "Where runs met different numbers of lives from one draw, the first ones that all of them met are paired.",
            f"Differences are paired life by life (Student's t). Every two systems are a pair, {count} in the first comparison, "
            "and the intervals of all pairs of a comparison hold together with 95 % (Bonferroni): each is at 1 - .05 / pairs. "
            "The best by mean may therefore be set against all others. Intervals of means are of each system alone, at 95 %. "
            "Different measures, and different kinds of lives, are comparisons of their own; nothing is corrected over them.",
            "An interval over lives says how one trained network compares with another, not how one way of training does: that "
            "takes runs of several seeds.",
        ),
    )


def _made(config: Mapping[str, object], manifest: Mapping[str, object]) -> str:
    return f"{config['experiment']}, preset {config['preset']}: {manifest['command']}"
