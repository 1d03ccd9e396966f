"""The page of `semi-supervised-class-incremental`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import estimate, paired_difference
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Section, short_estimate
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


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    settings, kinds = record.config["settings"], kind_titles(record)
    life, few = settings["life"], settings["supervision"]["num_labelled"]
    by_kind = {kind: methods_of(record, kind) for kind in kinds}
    facts = {}
    for kind in ("meta_test", "meta_eval"):
        methods = by_kind[kind]
        difference = paired_difference(*(methods[name]["scores"]["generalization"] for name in ("dan", "few")))
        facts[f"generalization, {kinds[kind]}"] = f"{percent(score(methods['dan'], 'generalization'))} %"
        facts[f"more than without reconstruction, {kinds[kind]}"] = f"{percent(difference)} points"
    errors = short_estimate(estimate(by_kind["meta_eval"]["dan"]["pixel_error"]))
    return Page(
        title="Semi-supervised class-incremental learning",
        lead=f"A network of Deep Artificial Neurons met {life['num_tasks']} classes one after another, each once: {few} labelled "
        f"and {life['num_instances'] - few} unlabelled images, which it had to reconstruct. The same network lived the same "
        "lives with the labelled images alone and with all of them labelled.",
        facts=facts,
        sections=(
            *(
                Section(
                    title=f"Methods on {kinds[kind]}",
                    pictures=(methods_picture(methods, title=f"Generalization on {kinds[kind]}"),),
                    tables=(
                        methods_table(
                            methods,
                            title=f"{kinds[kind]}, {life['num_tasks']} classes",
                            caption="Memory is over all images met, labelled or not.",
                        ),
                    ),
                )
                for kind, methods in by_kind.items()
            ),
            Section(
                title="In the course of a life",
                paragraphs=(
                    f"Mean squared error of reconstructing held-out images of {kinds['meta_eval']}: {errors}.",
                ),
                pictures=tuple(
                    life_picture({name: by_kind[kind][name] for name in ("dan", "few", "all")}, title=kinds[kind])
                    for kind in ("meta_test", "meta_eval")
                ),
            ),
            training_section(record, record.lines("system")),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )
