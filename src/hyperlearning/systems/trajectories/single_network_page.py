"""What the pages of `omniglot-oml` and `omniglot-anml` say of one network."""

from typing import NamedTuple

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.reports import Section
from hyperlearning.systems.trajectories.long_tests import HEADS
from hyperlearning.systems.trajectories.page_parts import (
    HELD_OUT,
    HELD_OUT_IN_RUN,
    MEMORY,
    HeadTests,
    accuracy_picture,
    accuracy_table,
    at_a_glance,
    heads_section,
    tests_of,
    training_section,
)
from hyperlearning.systems.trajectories.settings import ContinualConfig
from hyperlearning.systems.trajectories.training import course_of_training


class SingleNetworkPage(NamedTuple):
    """What a page says of one network.

    Attributes:
        verdict: How well it learned, beside class means, in a sentence.
        facts: Key figures.
        sections: The first is "At a glance".
    """

    verdict: str
    facts: dict[str, str]
    sections: tuple[Section, ...]


def single_network_page(record: RunRecord, title: str) -> SingleNetworkPage:
    """Says what a record holds of one network.

    Args:
        record: The run's record.
        title: What the network is called.
    """
    order = record.settings(ContinualConfig).system.order
    tests = sorted(tests_of(record), key=lambda test: -test.at_the_end())
    by_title = {test.head.title: test for test in tests}
    learned = by_title[HEADS["last_layer"].title]
    facts = {"outer gradient": order, "runs": str(learned.lines[learned.most].num_runs)}
    facts |= {f"held-out, {count} classes": f"{learned.cell(count)} %" for count in (min(learned.lines), learned.most)}
    glance = at_a_glance(
        {(name,): test for name, test in by_title.items()},
        lambda test: test.cell(test.most, MEMORY),
        header=("what learns on it",),
        last_header=f"images learned, {learned.most}",
        title="Held-out images, five of every class learned",
        caption="The last column is of the very images learned, after most classes.",
    )
    each = Section(
        title="Every number of classes",
        pictures=(accuracy_picture(by_title, MEMORY, title=MEMORY.title),),
        tables=tuple(
            accuracy_table(by_title, score, title=score.title, of_rows="what learns on it")
            for score in (HELD_OUT, MEMORY, HELD_OUT_IN_RUN)
        ),
    )
    course = training_section([course_of_training(record, label=title, title=title, order=order)])
    return SingleNetworkPage(_verdict(learned, tests), facts, (glance, each, heads_section(tests), course))


def _verdict(learned: HeadTests, tests: list[HeadTests]) -> str:
    verdict = f"After {learned.most} classes it recognises {learned.at_the_end():.1f} % of held-out images"
    cheap = [
        f"; the strongest cheap baseline on the same features ({test.head.title}), {test.at_the_end():.1f} %"
        for test in tests
        if test.head.rule is None
    ]
    return f"{verdict}{''.join(cheap[:1])}."
