"""The page of `omniglot-600`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Section
from hyperlearning.systems.trajectories.long_tests import HEADS
from hyperlearning.systems.trajectories.page_parts import (
    Tests,
    accuracy,
    accuracy_picture,
    accuracy_table,
    rates_table,
    tests_of,
    training_section,
)

_PROTOTYPES = ("euclidean", "cosine", "whitened")


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    tests = tests_of(record)
    learned = {key: by_count for key, by_count in tests.items() if key[1] not in _PROTOTYPES}
    nearest = {key: by_count for key, by_count in tests.items() if key[1] in _PROTOTYPES}
    most = max(count for by_count in tests.values() for count in by_count)
    return Page(
        title=f"Up to {most} classes in a row",
        lead="Embeddings were meta-trained on Omniglot's background classes and then fixed. A new last layer learned evaluation "
        "classes one after another, 15 images each, one image at a time, in one pass, without replay; and class means of "
        "the same features stand beside it.",
        facts=_facts(tests, most),
        sections=(
            _section("A last layer that learns one image at a time", learned),
            _section("Prototypes on the same embeddings", nearest),
            Section(title="Learning rates", tables=(rates_table(tests),)),
            training_section(record.lines("system")),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _facts(tests: Tests, most: int) -> dict[str, str]:
    """The best learner and the best prototypes at most classes."""
    facts = {}
    for title, heads in (("learned in a row", ("last_layer", "unit_layer")), ("prototypes", _PROTOTYPES)):
        known = [by_count[most] for (_, head), by_count in tests.items() if head in heads and most in by_count]
        if known:
            best = max(known, key=lambda line: accuracy(line, "held_out").mean)
            value = accuracy(best, "held_out")
            facts[f"{title}, {most} classes, held-out: {best['title']}"] = (
                f"{100 * value.mean:.1f} ± {100 * value.ci95:.1f} %"
            )
    return facts


def _section(title: str, tests: Tests) -> Section:
    if not tests:
        return Section(title=title, paragraphs=("None was asked for.",))
    pictures, tables = [], []
    # The head that reaches most at most classes comes first.
    best = {head: 0.0 for _, head in tests}
    for (_, head), by_count in tests.items():
        best[head] = max(best[head], accuracy(by_count[max(by_count)], "held_out").mean)
    heads = sorted(best, key=lambda head: -best[head])
    for name, words in (("held_out", "Held-out images"), ("memory", "Images learned")):
        for head in heads:
            curves = {
                next(iter(by_count.values()))["title"]: by_count for (_, own), by_count in tests.items() if own == head
            }
            pictures.append(
                accuracy_picture(
                    curves, name, title=f"{words}: {HEADS[head]}", caption="Shaded: 95 % intervals over runs."
                )
            )
        tables.append(accuracy_table(tests, name, title=words, caption="Argmax over all outputs of the layer."))
    layers = {key: by_count for key, by_count in tests.items() if key[1] not in _PROTOTYPES}
    if layers:
        caption = "Argmax over the outputs of the run's classes alone."
        tables.append(
            accuracy_table(layers, "held_out_in_run", title="Held-out images, the run's classes", caption=caption)
        )
    return Section(title=title, pictures=tuple(pictures), tables=tuple(tables))
