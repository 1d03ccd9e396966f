"""The page of strategies with one recipe, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page
from hyperlearning.systems.active.lines import AskedLine, LifeLine, ProblemLine
from hyperlearning.systems.active.page_parts import (
    all_strategies,
    best_first,
    by_strategy,
    facts_of,
    glance,
    questions_section,
    sheets,
)


def asking_page(record: RunRecord, *, title: str, lead: str) -> Page:
    """Makes the page.

    Args:
        record: The run's record.
        title: The page's.
        lead: What is asked about, in a sentence or two.
    """
    lives, problem = by_strategy(record.lines(LifeLine)), record.last(ProblemLine)
    ordered = best_first(lives)
    shown = list(dict.fromkeys([ordered[0], ordered[-1]]))
    titles = {name: lines[0].title for name, lines in lives.items()}
    return Page(
        title=title,
        lead=f"{lead} {problem.num_images:,} images can be asked about, {problem.num_tests:,} others are tests. Every strategy "
        "begins with the same labelled images, and trains the same network from the beginning after every round.",
        facts=facts_of(lives),
        sections=(
            glance(lives, problem, what="Every strategy with the same recipe."),
            all_strategies(lives),
            questions_section(lives, problem),
            sheets(record.lines(AskedLine), titles, shown),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )
