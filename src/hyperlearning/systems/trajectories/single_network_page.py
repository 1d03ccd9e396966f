"""What the pages of `omniglot-oml` and `omniglot-anml` say of one network."""

from collections.abc import Mapping
from typing import NamedTuple

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.reports import Section, Table
from hyperlearning.systems.trajectories.long_tests import HEADS
from hyperlearning.systems.trajectories.page_parts import (
    HELD_OUT,
    HELD_OUT_IN_RUN,
    MEMORY,
    ByCount,
    accuracy_picture,
    accuracy_table,
    at_the_end,
    cell,
    counts_at_a_glance,
    heads_section,
    tests_of,
    training_section,
)
from hyperlearning.systems.trajectories.settings import ContinualConfig
from hyperlearning.systems.trajectories.training import course_of_training


class SingleNetworkPage(NamedTuple):
    """What a page says of one network.

    Attributes:
        verdict: How well it learned, beside class means, in two sentences.
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
    order, tests = record.settings(ContinualConfig).system.order, tests_of(record)
    by_head = {HEADS[head].title: by_count for (_, head), by_count in tests.items()}
    learned = by_head[HEADS["last_layer"].title]
    fewest, most = min(learned), max(learned)
    facts = {"outer gradient": order, "runs": str(learned[most].num_runs)}
    facts |= {f"held-out, {count} classes": f"{cell(learned, count)} %" for count in (fewest, most)}
    system = course_of_training(record, label=title, title=title, order=order)
    return SingleNetworkPage(
        _verdict(by_head, most),
        facts,
        (
            _at_a_glance(by_head, most),
            Section(
                title="Every number of classes",
                pictures=(accuracy_picture(by_head, MEMORY, title="Images learned"),),
                tables=tuple(
                    accuracy_table(by_head, score, title=score.title, of_rows="what learns on it")
                    for score in (HELD_OUT, MEMORY, HELD_OUT_IN_RUN)
                ),
            ),
            heads_section(tests),
            training_section([system]),
        ),
    )


def _verdict(by_head: Mapping[str, ByCount], most: int) -> str:
    learned = by_head[HEADS["last_layer"].title]
    means = {head.title: by_head[head.title] for head in HEADS.values() if head.rule is None and head.title in by_head}
    verdict = f"After {most} classes it recognises {100 * at_the_end(learned):.1f} % of held-out images"
    if not means:
        return f"{verdict}."
    best = max(means, key=lambda title: at_the_end(means[title]))
    return (
        f"{verdict}; the strongest cheap baseline on the same features ({best}), {100 * at_the_end(means[best]):.1f} %."
    )


def _at_a_glance(by_head: Mapping[str, ByCount], most: int) -> Section:
    counts = counts_at_a_glance(by_head.values())
    ordered = sorted(by_head.items(), key=lambda item: -at_the_end(item[1]))
    table = Table(
        title="Percent of held-out images recognised",
        header=("what learns on it", *(f"{count} classes" for count in counts), f"images learned, {most}"),
        rows=tuple(
            (title, *(cell(by_count, count) for count in counts), cell(by_count, most, MEMORY))
            for title, by_count in ordered
        ),
        caption="Mean and 95 % interval over runs. The last column is of the very images learned, after most classes.",
    )
    return Section(
        title="At a glance",
        pictures=(accuracy_picture(by_head, HELD_OUT, title="Held-out images, five of every class learned"),),
        tables=(table,),
    )
