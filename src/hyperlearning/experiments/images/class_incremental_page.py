"""The page of `class-incremental`, from its record alone."""

from functools import partial

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.images.class_incremental import Config
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Section, percent
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
from hyperlearning.systems.images.pools import SPLITS, TRANSFER_TITLES, per_split, split_titles
from hyperlearning.systems.images.recognition import RecognitionLine, recognition_picture

_COURSE = ("dan", "prototypes", "own_prototypes")
_SOLVED = ("discriminant", "ridge", "projected_ridge")
_GLANCE = ("dan", "own_prototypes", *_SOLVED, "prototypes", "untrained", "joint", "replay", "finetune")
_CHEAP = (
    "Readouts that are solved on the network's own features, class means, discriminant and ridge, take no update by descent and "
    "never forget."
)


def _transfer_sections(lines: list[MethodLine]) -> list[Section]:
    """How far it carries: data sets that nothing was trained on."""
    by_set = {title: methods_of(lines, name) for name, title in TRANSFER_TITLES.items()}
    tables = tuple(
        methods_table(methods, title=f"{title}, 10 classes in order") for title, methods in by_set.items() if methods
    )
    pictures = tuple(
        methods_picture(methods, title=f"Generalization on {title}") for title, methods in by_set.items() if methods
    )
    return [Section(title="Farther from what it was trained on", tables=tables, pictures=pictures)] if tables else []


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    config = record.settings(Config)
    splits, life = split_titles(config.data), config.life
    lines = record.lines(MethodLine)
    by_split = per_split(partial(methods_of, lines, num_tasks=life.num_tasks))
    few = per_split(partial(methods_of, lines, num_tasks=config.few_tasks))
    seen = {line.split: recognition_picture(line, title=splits[line.split]) for line in record.lines(RecognitionLine)}
    pictures = {
        split: life_picture([by_split[split][name] for name in _COURSE if name in by_split[split]], title=splits[split])
        for split in SPLITS[1:]
    }
    return Page(
        title="Class-incremental learning",
        lead=f"A network of Deep Artificial Neurons met {life.num_tasks} classes it had never seen, one after another, each "
        f"once: {life.num_instances} images, {life.steps_per_task} updates, nothing stored. What is innate was "
        "hyper-trained beforehand on other classes; only synapses learned, by plain backpropagation.",
        facts={
            f"{name}, {splits[split]}": f"{percent(by_split[split]['dan'].estimate(name))} %"
            for split in SPLITS[1:]
            for name in ("memory", "generalization")
        },
        sections=(
            glance(
                seen.pop("meta_eval", None) or pictures.pop("meta_eval"),
                glance_table({splits[split]: by_split[split] for split in SPLITS[1:]}, _GLANCE, caption=_CHEAP),
            ),
            *(
                Section(
                    title=f"Methods on {splits[split]}",
                    tables=(methods_table(methods, title=f"{splits[split]}, {life.num_tasks} classes"),),
                    pictures=(methods_picture(methods, title=f"Generalization on {splits[split]}"),),
                )
                for split, methods in by_split.items()
            ),
            *_transfer_sections(lines),
            Section(
                title=f"The first {config.few_tasks} classes alone",
                tables=tuple(
                    methods_table(methods, title=f"{splits[split]}, {config.few_tasks} classes")
                    for split, methods in few.items()
                ),
            ),
            Section(title="In the course of a life", pictures=(*pictures.values(), *seen.values())),
            training_section(record.lines(SystemLine), splits),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )
