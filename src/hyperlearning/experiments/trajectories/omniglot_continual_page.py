"""The page of `omniglot-oml` and of `omniglot-anml`, from a record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Section
from hyperlearning.systems.trajectories.long_tests import HEADS
from hyperlearning.systems.trajectories.page_parts import (
    accuracy,
    accuracy_picture,
    accuracy_table,
    rates_table,
    tests_of,
    training_section,
)
from hyperlearning.systems.trajectories.training import course_of_training


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    name = record.config["settings"]["network"]["architecture"].upper()
    order, tests = record.manifest["order"], tests_of(record)
    by_head = {HEADS[head]: by_count for (_, head), by_count in tests.items()}
    learned = next(by_count for (_, head), by_count in tests.items() if head == "last_layer")
    facts = {"outer gradient": order, "runs": str(learned[max(learned)]["num_runs"])}
    for count in (min(learned), max(learned)):
        value = accuracy(learned[count], "held_out")
        facts[f"held-out, {count} classes"] = f"{100 * value.mean:.1f} ± {100 * value.ci95:.1f} %"
    system = {"title": name, "order": order, **course_of_training(record)}
    return Page(
        title=f"{name}: learning classes in a row",
        lead=f"A network was meta-trained along trajectories of single images of background classes ({order}). Then a new last "
        f"layer learned up to {max(learned)} evaluation classes one after another, 15 images each, one image at a time, in one "
        "pass and without replay.",
        facts=facts,
        sections=(
            Section(
                title="Accuracy by number of classes",
                pictures=(
                    accuracy_picture(
                        by_head, "held_out", title="Held-out images", caption="Five images of every class learned."
                    ),
                    accuracy_picture(
                        by_head, "memory", title="Images learned", caption="The fifteen images of every class."
                    ),
                ),
                tables=(
                    accuracy_table(
                        tests, "held_out", title="Held-out images", caption="Argmax over all outputs of the layer."
                    ),
                    accuracy_table(
                        tests, "memory", title="Images learned", caption="Argmax over all outputs of the layer."
                    ),
                    rates_table(tests),
                ),
            ),
            training_section([system]),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )
