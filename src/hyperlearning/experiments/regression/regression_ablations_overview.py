"""What the runs of `regression-ablations`, each of a few studies, show together."""

from collections.abc import Mapping, Sequence

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate
from hyperlearning.experiments.regression.regression_ablations import VariantLine
from hyperlearning.reports import Picture, Section, Table, column, methods_figure, png_bytes

_SHOWN = "deployment_models"
"""The study of the paper's first claim."""


def over_runs(records: Sequence[RunRecord]) -> Sequence[Section]:
    """The glance: of each study the conditions with the lowest and the highest error."""
    studies = _studies([line for record in records for line in record.lines(VariantLine)])
    shown = studies.get(_SHOWN) or next(iter(studies.values()))
    picture = Picture(
        title="Total error of deployment models",
        caption="After the last task, mean and 95 % interval over seeds.",
        content=png_bytes(methods_figure(shown, xlabel="mean squared error", log=True)),
        kind="png",
        alt="Total error of each deployment model",
    )
    return (Section(title="At a glance", pictures=(picture,), tables=(_table(studies),)),)


def _studies(lines: Sequence[VariantLine]) -> dict[str, dict[str, Estimate]]:
    """Total error over seeds, by study and condition."""
    by_seed: dict[str, dict[str, list[float]]] = {}
    for line in lines:
        total = line.scores.total_error
        by_seed.setdefault(line.study, {}).setdefault(line.label, []).append(sum(total) / len(total))
    return {
        study: {label: estimate(means) for label, means in conditions.items()} for study, conditions in by_seed.items()
    }


def _table(studies: Mapping[str, Mapping[str, Estimate]]) -> Table:
    ordered = [sorted(conditions, key=lambda label: conditions[label].mean) for conditions in studies.values()]
    low = [conditions[labels[0]] for conditions, labels in zip(studies.values(), ordered, strict=True)]
    high = [conditions[labels[-1]] for conditions, labels in zip(studies.values(), ordered, strict=True)]
    # One unit for both columns.
    header, cells = column("total error", [*low, *high])
    rows = zip(studies, ordered, cells[: len(low)], cells[len(low) :], low, high, strict=True)
    return Table(
        title="Of each study the condition with the lowest and the one with the highest mean error",
        header=("study", "lowest", header, "highest", header, "intervals apart"),
        rows=tuple(
            (
                study.replace("_", " "),
                labels[0],
                lowest,
                labels[-1],
                highest,
                "yes" if best.high < worst.low else "no",
            )
            for study, labels, lowest, highest, best, worst in rows
        ),
        caption="Mean squared error over all tasks after the last; mean and 95 % interval over seeds.",
    )
