"""The page of `scaling`, from its record alone."""

from functools import partial

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.images.scaling import Config
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Section, percent
from hyperlearning.systems.images.comparison import OWN_PROTOTYPES
from hyperlearning.systems.images.comparison_parts import (
    Columns,
    compared_training_section,
    comparison_glance_table,
    comparison_sections,
    ladder_picture,
    titled_systems,
)
from hyperlearning.systems.images.lines import MethodLine, ScoreName
from hyperlearning.systems.images.page_parts import glance, methods_of
from hyperlearning.systems.images.pools import per_split, split_titles

_EXTRA: Columns = {"epochs": lambda line: line.epochs, "images met": lambda line: line.images}
_SCORES: tuple[ScoreName, ...] = ("generalization", "memory")


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    config = record.settings(Config)
    splits, life, training = split_titles(config.data), config.life, config.training
    by_split = per_split(partial(methods_of, record.lines(MethodLine)))
    lines = [line for name, line in by_split["meta_eval"].items() if not name.startswith(OWN_PROTOTYPES)]
    lines.sort(key=lambda line: line.num_parameters or 0)
    labels = [line.method for line in lines]
    by_size, memory_by_size = (
        ladder_picture(
            by_split,
            labels,
            name,
            places=[float(line.num_parameters or 0) for line in lines],
            names=[f"{line.num_parameters:,}" for line in lines],
            xlabel="parameters of one network",
            title=f"{name.capitalize()} by number of parameters",
            log_x=True,
        )
        for name in _SCORES
    )
    return Page(
        title="Scaling",
        lead=f"Networks of {len(labels)} sizes, each hyper-trained as a population of {training.population} for "
        f"{training.num_epochs:,} epochs on the same distribution of lives, then deployed on lives of {life.num_tasks} "
        f"classes, {life.num_instances} images each, one after another. The facts are generalization at the end of life.",
        facts={
            f"{splits['meta_eval']}, {line.title}": f"{percent(line.estimate('generalization'))} %" for line in lines
        },
        sections=(
            glance(by_size, comparison_glance_table(by_split, labels, splits)),
            Section(title="Memory by size", pictures=(memory_by_size,)),
            *comparison_sections(by_split, labels, splits, extra=_EXTRA),
            compared_training_section(titled_systems(record, by_split["meta_test"], labels), splits),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )
