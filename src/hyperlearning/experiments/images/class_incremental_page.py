"""The page of `class-incremental`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Section
from hyperlearning.systems.images.page_parts import (
    kind_titles,
    life_picture,
    methods_of,
    methods_picture,
    methods_table,
    percent,
    score,
    training_section,
)

_COURSE = ("dan", "prototypes", "own_prototypes")


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    settings, kinds = record.config["settings"], kind_titles(record)
    life = settings["life"]
    by_kind = {kind: methods_of(record, kind, num_tasks=life["num_tasks"]) for kind in kinds}
    few_tasks = settings["few_tasks"]
    few = {kind: methods_of(record, kind, num_tasks=few_tasks) for kind in kinds}
    facts = {}
    for kind in ("meta_test", "meta_eval"):
        for name in ("memory", "generalization"):
            facts[f"{name}, {kinds[kind]}"] = f"{percent(score(by_kind[kind]['dan'], name))} %"
    return Page(
        title="Class-incremental learning",
        lead=f"A network of Deep Artificial Neurons met {life['num_tasks']} classes it had never seen, one after another, each "
        f"once: {life['num_instances']} images, {life['steps_per_task']} updates, nothing stored. What is innate was "
        "hyper-trained beforehand on other classes; only synapses learned, by plain backpropagation.",
        facts=facts,
        sections=(
            *(
                Section(
                    title=f"Methods on {kinds[kind]}",
                    tables=(methods_table(methods, title=f"{kinds[kind]}, {life['num_tasks']} classes"),),
                    pictures=(methods_picture(methods, title=f"Generalization on {kinds[kind]}"),),
                )
                for kind, methods in by_kind.items()
            ),
            Section(
                title=f"The first {few_tasks} classes alone",
                tables=tuple(
                    methods_table(methods, title=f"{kinds[kind]}, {few_tasks} classes") for kind, methods in few.items()
                ),
            ),
            Section(
                title="In the course of a life",
                pictures=tuple(
                    life_picture(
                        {name: by_kind[kind][name] for name in _COURSE if name in by_kind[kind]}, title=kinds[kind]
                    )
                    for kind in ("meta_test", "meta_eval")
                ),
            ),
            training_section(record, record.lines("system")),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )
