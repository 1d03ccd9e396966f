"""The page of `semi-supervised-class-incremental`, from its record alone."""

from collections.abc import Iterator, Mapping
from functools import partial

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import estimate, paired_difference
from hyperlearning.experiments.images.semi_supervised_class_incremental import Config
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Section, percent, short_estimate
from hyperlearning.systems.images.lines import MethodLine, SystemLine
from hyperlearning.systems.images.page_parts import (
    glance,
    glance_table,
    life_picture,
    methods_of,
    methods_picture,
    methods_table,
    training_section,
)
from hyperlearning.systems.images.pools import SPLITS, per_split, split_titles

_SUPERVISIONS = ("dan", "few", "all")
_PROTOTYPES = ("prototypes_few", "prototypes_refined", "prototypes_all")
_GLANCE = (*_SUPERVISIONS, *_PROTOTYPES, "discriminant", "ridge", "projected_ridge", "bayes")
_CHEAP = (
    "The strongest baselines that are cheap in a life: class means of a meta-trained embedding, which take no update, and "
    "readouts solved from the labelled images on the network's own features."
)


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    config = record.settings(Config)
    splits, life, few = split_titles(config.data), config.life, config.supervision.num_labelled
    by_split = per_split(partial(methods_of, record.lines(MethodLine)))
    errors = short_estimate(estimate(by_split["meta_eval"]["dan"].pixel_error or []))
    pictures = {
        split: methods_picture(methods, title=f"Generalization on {splits[split]}")
        for split, methods in by_split.items()
    }
    shown = {splits[split]: by_split[split] for split in SPLITS[1:]}
    return Page(
        title="Semi-supervised class-incremental learning",
        lead=f"A network of Deep Artificial Neurons met {life.num_tasks} classes one after another, each once: {few} labelled "
        f"and {life.num_instances - few} unlabelled images, which it had to reconstruct. The same network lived the same "
        "lives with the labelled images alone and with all of them labelled.",
        facts={key: text for split in SPLITS[1:] for key, text in _facts(by_split[split], splits[split])},
        sections=(
            glance(pictures["meta_test"], glance_table(shown, _GLANCE, caption=_CHEAP)),
            *(
                Section(
                    title=f"Methods on {splits[split]}",
                    pictures=() if split == "meta_test" else (pictures[split],),
                    tables=(
                        methods_table(
                            methods,
                            title=f"{splits[split]}, {life.num_tasks} classes",
                            caption="Memory is over all images met, labelled or not.",
                        ),
                    ),
                )
                for split, methods in by_split.items()
            ),
            Section(
                title="In the course of a life",
                paragraphs=(
                    f"Mean squared error of reconstructing held-out images of {splits['meta_eval']}: {errors}.",
                ),
                pictures=tuple(
                    life_picture([by_split[split][name] for name in _SUPERVISIONS], title=splits[split])
                    for split in SPLITS[1:]
                ),
            ),
            training_section(record.lines(SystemLine), splits),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _facts(methods: Mapping[str, MethodLine], title: str) -> Iterator[tuple[str, str]]:
    ours, without = methods["dan"], methods["few"]
    difference = paired_difference(ours.scores.generalization, without.scores.generalization)
    yield f"generalization, {title}", f"{percent(ours.estimate('generalization'))} %"
    yield f"more than without reconstruction, {title}", f"{percent(difference)} points"
