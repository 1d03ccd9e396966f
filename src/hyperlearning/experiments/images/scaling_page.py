"""The page of `scaling`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Page, Section
from hyperlearning.systems.images.comparison import OWN_PROTOTYPES
from hyperlearning.systems.images.comparison_parts import compared_training_section, comparison_sections, ladder_picture
from hyperlearning.systems.images.page_parts import kind_titles, methods_of, percent, score

_EXTRA = {"epochs": "epochs", "images": "images met"}


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    settings, kinds = record.config["settings"], kind_titles(record)
    life, training = settings["life"], settings["training"]
    methods = methods_of(record, "meta_eval")
    labels = sorted(
        (name for name in methods if not name.startswith(OWN_PROTOTYPES)),
        key=lambda name: methods[name]["num_parameters"],
    )
    facts = {
        f"{kinds['meta_eval']}, {methods[label]['title']}": f"{percent(score(methods[label], 'generalization'))} %"
        for label in labels
    }
    return Page(
        title="Scaling",
        lead=f"Networks of {len(labels)} sizes, each hyper-trained as a population of {training['population']} for "
        f"{training['num_epochs']:,} epochs on the same distribution of lives, then deployed on lives of {life['num_tasks']} "
        f"classes, {life['num_instances']} images each, one after another. The facts are generalization at the end of life.",
        facts=facts,
        sections=(
            Section(
                title="By size",
                pictures=tuple(
                    ladder_picture(
                        record,
                        labels,
                        name,
                        places=[float(methods[label]["num_parameters"]) for label in labels],
                        names=[f"{methods[label]['num_parameters']:,}" for label in labels],
                        xlabel="parameters of one network",
                        title=f"{name.capitalize()} by number of parameters",
                        log_x=True,
                    )
                    for name in ("generalization", "memory")
                ),
            ),
            *comparison_sections(record, labels, extra=_EXTRA),
            compared_training_section(record, labels),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )
