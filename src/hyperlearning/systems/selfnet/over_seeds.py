"""What lives of stores from several seeds show together."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate
from hyperlearning.reports import Curve, Picture, Section, Table, curves_figure, percent, picture
from hyperlearning.systems.selfnet.comparison import SEPARATE
from hyperlearning.systems.selfnet.lines import InferenceLine, StoreLine, TasksLine
from hyperlearning.systems.selfnet.page_parts import MOST_ROWS, families, in_course, inference_section


def over_runs(records: Sequence[RunRecord]) -> Sequence[Section]:
    """Accuracy against bytes over seeds, paired with separate networks; nothing of one run alone."""
    ((preset, count),) = Counter(record.config["preset"] for record in records).most_common(1)
    if count < 2:
        return ()
    own = [record for record in records if record.config["preset"] == preset]
    by_seed = [{line.method: line for line in record.lines(StoreLine)} for record in own]
    methods = [method for method in by_seed[0] if all(method in lines for lines in by_seed)]
    ordered = sorted(methods, key=lambda method: -_mean(method, by_seed))
    chance = own[0].last(TasksLine).chance
    worth = (chance + _mean(ordered[0], by_seed)) / 2
    shown = [method for method in ordered if _mean(method, by_seed) > worth]
    tasks = len(own[0].last(TasksLine).tasks)
    inferred = [record.lines(InferenceLine) for record in own]
    return (
        _glance(shown, by_seed, tasks),
        Section(
            title="Over seeds",
            pictures=(_course(methods, by_seed),),
            tables=(_table(ordered, by_seed, title=f"All stores and learners, over {count} seeds"),),
        ),
        *([inference_section(inferred)] if all(inferred) else []),
    )


BySeed = Sequence[dict[str, StoreLine]]


def _scores(method: str, by_seed: BySeed) -> list[float]:
    """A seed's mean over tasks, after the last."""
    return [fmean(lines[method].last.accuracies) for lines in by_seed]


def _mean(method: str, by_seed: BySeed) -> float:
    return fmean(_scores(method, by_seed))


def _glance(methods: Sequence[str], by_seed: BySeed, num_tasks: int) -> Section:
    curves = {}
    for title, lines in families([by_seed[0][method] for method in methods]).items():
        points = sorted((_bytes(line.method, by_seed), _in_percent(line.method, by_seed)) for line in lines)
        curves[title] = Curve(
            [x for x, _ in points],
            [y.mean for _, y in points],
            [y.ci95 for _, y in points] if len(points) > 1 else None,
        )
    figure = curves_figure(curves, xlabel="bytes that are kept", ylabel="accuracy, percent", log_x=True)
    title = f"Accuracy against bytes after {num_tasks} tasks, over {len(by_seed)} seeds"
    caption = "A dot a store or learner, means over tasks and seeds; of one kind they are joined. Better: higher, farther left."
    best = _table(methods[:MOST_ROWS], by_seed, title=f"The best after {num_tasks} tasks")
    return Section(title="At a glance", pictures=(picture(title, caption, figure),), tables=(best,))


def _bytes(method: str, by_seed: BySeed) -> float:
    return fmean(lines[method].last.num_bytes for lines in by_seed)


def _in_percent(method: str, by_seed: BySeed) -> Estimate:
    return estimate([100 * score for score in _scores(method, by_seed)])


def _table(methods: Sequence[str], by_seed: BySeed, *, title: str) -> Table:
    separate = _scores(SEPARATE, by_seed)
    rows = []
    for method in methods:
        own = _scores(method, by_seed)
        apart = [score - other for score, other in zip(own, separate, strict=True)]
        line = by_seed[0][method]
        rows.append(
            (
                line.title,
                percent(estimate(own)),
                percent(estimate(apart)) if method != SEPARATE else "",
                f"{_bytes(method, by_seed):,.0f}",
                f"{fmean(lines[method].compression() for lines in by_seed):,.1f}",
            )
        )
    return Table(
        title=title,
        caption="Percent of test images right, a mean over tasks, and its 95 % interval over seeds; the difference is paired. "
        "Compression: bytes of separate networks in float32 over all bytes that recollecting and going on need.",
        header=("store or learner", "accuracy", "less separate networks", "bytes", "compression"),
        rows=tuple(rows),
    )


def _course(methods: Sequence[str], by_seed: BySeed) -> Picture:
    curves = {}
    for line in in_course([by_seed[0][method] for method in methods]):
        stages = range(len(line.stages))
        values = [
            estimate([100 * fmean(lines[line.method].stages[stage].accuracies) for lines in by_seed])
            for stage in stages
        ]
        curves[line.title] = Curve(list(line.num_tasks), [v.mean for v in values], [v.ci95 for v in values])
    figure = curves_figure(curves, xlabel="tasks", ylabel="accuracy, percent")
    return picture(
        "Accuracy on the tasks met so far, over seeds", "Means over tasks and seeds, 95 % intervals.", figure
    )
