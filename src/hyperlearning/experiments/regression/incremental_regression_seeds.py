"""What runs of `incremental-regression` from several seeds show together."""

from collections.abc import Sequence

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate, paired_difference
from hyperlearning.reports import Section, Table, column
from hyperlearning.systems.regression.lines import MethodLine

_SCORES = ("total_error", "memory_error", "forgetting")


def over_runs(records: Sequence[RunRecord]) -> Sequence[Section]:
    """One table, with a row for each preset."""
    presets = dict.fromkeys(record.config["preset"] for record in records)
    groups = {preset: [record for record in records if record.config["preset"] == preset] for preset in presets}
    first = [_row(own) for own in groups.values()]
    columns = [
        ("preset", tuple(groups)),
        ("seeds", tuple(str(len(own)) for own in groups.values())),
        *(column(name, [row[name] for row in first]) for name in first[0]),
        ("training", tuple(_training(own) for own in groups.values())),
    ]
    table = Table(
        title="Hyper-trained DAN network, mean and 95 % interval over seeds",
        header=tuple(header for header, _ in columns),
        rows=tuple(zip(*(cells for _, cells in columns), strict=True)),
        caption="Scores of a seed are means over held-out functions. Total / joint: the total error after learning piece by "
        "piece divided by that of the same network on the shuffled stream. EWC - DAN: the lower end of the paired 95 % "
        "interval of the MLP with EWC minus the DAN network in total error, smallest over seeds.",
    )
    return (Section(title="Over seeds", tables=(table,)),)


def _row(records: Sequence[RunRecord]) -> dict[str, Estimate | float]:
    scores = [{line.method: line.scores for line in record.lines(MethodLine)} for record in records]
    totals = [own["dan"].total_error for own in scores]
    ratios = [sum(total) / sum(own["dan_joint"].total_error) for total, own in zip(totals, scores, strict=True)]
    ewc = [paired_difference(own["mlp_ewc"].total_error, total) for total, own in zip(totals, scores, strict=True)]
    return {
        **{name.replace("_", " "): estimate([_mean(getattr(own["dan"], name)) for own in scores]) for name in _SCORES},
        "total / joint": estimate(ratios),
        "EWC - DAN, at least": min(difference.low for difference in ewc),
    }


def _training(records: Sequence[RunRecord]) -> str:
    seconds = _mean([float(record.manifest["training_seconds"]) for record in records])
    threads = records[0].manifest["threads"]
    return f"{seconds:,.0f} s, {threads} thread{'' if threads == 1 else 's'}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
