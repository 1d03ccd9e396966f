"""What the pages of continual hypernetworks share."""

from collections.abc import Sequence
from statistics import fmean

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate
from hyperlearning.reports import Curve, Section, Table, curves_figure, percent, picture
from hyperlearning.systems.hypernetworks.continual_comparison import BITS, CLOSED_FORM, JOINT, SAME_BYTES, SEPARATE
from hyperlearning.systems.hypernetworks.continual_lines import (
    SCENARIOS,
    InferenceLine,
    MethodLine,
    Scenario,
    TasksLine,
    TunedLine,
)

_AT_A_GLANCE = (
    "outputs",
    SEPARATE,
    SAME_BYTES,
    "masks",
    "nested",
    "online_ewc",
    "distillation",
    "replay",
    CLOSED_FORM,
    JOINT,
)
"""Methods of the first table, at most; tables below have all."""
_IN_PICTURE = ("outputs", SEPARATE, SAME_BYTES, f"bits_{BITS}", "masks", "online_ewc", "replay", CLOSED_FORM)
"""Of the first picture, one of each kind: no two of a colour."""
_IN_COURSE = ("outputs", "unkept", SEPARATE, "masks", "online_ewc", "replay", CLOSED_FORM, "sgd")
_TIMED = ("outputs", "lookahead", "subset", "masks", "intervals", SEPARATE)

ByScenario = dict[str, dict[str, MethodLine]]
"""By method, and by scenario."""


def by_method(lines: Sequence[MethodLine]) -> ByScenario:
    """Lines by method and scenario, in the order of the record."""
    found: ByScenario = {}
    for line in lines:
        found.setdefault(line.method, {})[line.scenario] = line
    return found


def sections_of(record: RunRecord) -> tuple[Section, ...]:
    """All sections of a life's page."""
    methods = by_method(record.lines(MethodLine))
    tasks, inferred, tuned = record.last(TasksLine), record.lines(InferenceLine), record.lines(TunedLine)
    return (
        glance([methods], tasks),
        every_method([methods]),
        course(methods),
        costs(methods),
        *([inference_section([inferred])] if inferred else []),
        *([strengths_section(tuned)] if tuned else []),
    )


def glance(runs: Sequence[ByScenario], tasks: TasksLine) -> Section:
    """Accuracy against bytes with the task known, and a table of the three scenarios."""
    curves = {}
    for method in _IN_PICTURE:
        if method in runs[0]:
            own = [run[method]["task"] for run in runs]
            thousands = fmean(line.last.num_bytes for line in own) / 1000
            curves[own[0].title] = Curve([thousands], [100 * fmean(line.accuracy for line in own)])
    figure = curves_figure(curves, xlabel="thousand bytes that are kept", ylabel="accuracy, percent", log_x=True)
    title = f"Accuracy against bytes after {len(tasks.tasks)} tasks, the task known"
    caption = "One of each kind, a dot each. Better is higher and farther left. Tables have all of them."
    table = methods_table(runs, [name for name in _AT_A_GLANCE if name in runs[0]], title="Three scenarios")
    return Section(title="At a glance", pictures=(picture(title, caption, figure),), tables=(table,))


def methods_table(runs: Sequence[ByScenario], methods: Sequence[str], *, title: str) -> Table:
    """Accuracy in the three scenarios, forgetting, forward transfer and bytes, a row a method."""
    rows = []
    for method in methods:
        lines = runs[0][method]
        first = next(iter(lines.values()))
        rows.append(
            (
                first.title,
                *(_cell([run[method].get(scenario) for run in runs]) for scenario in SCENARIOS),
                _over([_in_task(run, method, "forgetting") for run in runs]),
                _over([_in_task(run, method, "forward") for run in runs]),
                f"{fmean(next(iter(run[method].values())).last.num_bytes for run in runs):,.0f}",
            )
        )
    over = "tasks" if len(runs) == 1 else f"{len(runs)} seeds"
    return Table(
        title=title,
        caption=f"Percent of test images right after the last task, mean and 95 % interval over {over}: which task an image is "
        "of is known; it is not, and the label is one of a task's; it is not, and the label is one of all. Of networks of tasks "
        "the surest is taken. Forgetting and forward transfer, in points, with the task known: from the best that a task "
        "was; and of a task when it was learned, less a network of its own.",
        header=("method", *SCENARIOS.values(), "forgetting", "transfer", "bytes"),
        rows=tuple(rows),
    )


def _cell(lines: Sequence[MethodLine | None]) -> str:
    known = [line for line in lines if line is not None]
    if not known:
        return ""
    return percent(estimate(known[0].last.accuracies if len(known) == 1 else [line.accuracy for line in known]))


def _in_task(run: ByScenario, method: str, what: str) -> float | None:
    line = run[method].get("task")
    if line is None:
        return None
    return line.forgetting if what == "forgetting" else line.forward_transfer(run[SEPARATE]["task"])


def _over(values: Sequence[float | None]) -> str:
    known = [100 * value for value in values if value is not None]
    return f"{round(fmean(known), 1) + 0.0:.1f}".replace("-", "−") if known else ""


def every_method(runs: Sequence[ByScenario]) -> Section:
    """Every method, and what it is."""
    firsts = [next(iter(lines.values())) for lines in runs[0].values()]
    notes = "; ".join(f"{line.title}: {line.note}" for line in firsts)
    table = methods_table(runs, list(runs[0]), title="All of them")
    return Section(title="Every method", paragraphs=(f"{notes}.",), tables=(table,))


def course(methods: ByScenario) -> Section:
    """Accuracy on all tasks met so far, task by task, with the task known and inferred."""
    pictures = []
    for scenario in ("task", "class"):
        curves = {
            lines[scenario].title: _met(lines[scenario])
            for method, lines in methods.items()
            if method in _IN_COURSE and scenario in lines and len(lines[scenario].stages) > 1
        }
        if curves:
            figure = curves_figure(curves, xlabel="tasks", ylabel="accuracy, percent")
            title = f"Accuracy on the tasks met so far, {_WORDS[scenario]}"
            pictures.append(picture(title, "Means over tasks.", figure))
    return Section(title="Task by task", pictures=tuple(pictures))


_WORDS: dict[Scenario, str] = {"task": "the task known", "domain": "labels shared", "class": "the label one of all"}


def _met(line: MethodLine) -> Curve:
    return Curve([len(stage.accuracies) for stage in line.stages], [100 * fmean(s.accuracies) for s in line.stages])


def costs(methods: ByScenario) -> Section:
    """What an update takes as tasks grow, what is held meanwhile, and seconds in all."""
    timed = {name: methods[name]["task"] for name in _TIMED if name in methods}
    curves = {
        line.title: Curve([stage.stage for stage in line.stages], [1000 * stage.step_seconds for stage in line.stages])
        for line in timed.values()
    }
    figure = curves_figure(curves, xlabel="tasks", ylabel="milliseconds an update")
    rows = tuple(
        (
            line.title,
            f"{1000 * line.stages[0].step_seconds:.1f}",
            f"{1000 * line.last.step_seconds:.1f}",
            f"{line.last.num_held:,}",
            f"{sum(stage.seconds for stage in line.stages):,.0f}",
        )
        for line in timed.values()
    )
    table = Table(
        title="What an update takes",
        caption="Milliseconds in the first and in the last task; numbers that are held besides in the last; seconds of all "
        "tasks, training and looking.",
        header=("method", "first", "last", "held", "seconds"),
        rows=rows,
    )
    caption = "The penalty goes through what is emitted for every old task; of one drawn task it does not grow."
    return Section(
        title="What the penalty costs", pictures=(picture("An update as tasks grow", caption, figure),), tables=(table,)
    )


def inference_section(runs: Sequence[Sequence[InferenceLine]]) -> Section:
    """How well tasks are inferred."""
    rows = []
    for line in runs[0]:
        own = [one for lines in runs for one in lines if (one.method, one.rule) == (line.method, line.rule)]
        scores = (percent(_mean([getattr(one, part) for one in own])) for part in ("found", "domain", "right"))
        rows.append((line.title, line.rule, *scores, f"{line.num_bytes:,}"))
    table = Table(
        title="Tasks that are inferred",
        caption="Percent of test images, mean and 95 % interval over "
        f"{'tasks' if len(runs) == 1 else 'seeds'}: whose task is found; that get the right label of a task's; of all labels. "
        "Bytes: what inferring keeps beside the networks.",
        header=("networks", "the task is that of", "found", "domain", "class", "bytes"),
        rows=tuple(rows),
    )
    return Section(title="Nobody says which task", tables=(table,))


def _mean(values: Sequence[Sequence[float]]) -> Estimate:
    return estimate(values[0] if len(values) == 1 else [fmean(own) for own in values])


def strengths_section(lines: Sequence[TunedLine]) -> Section:
    """What strengths of rivals were tried on other tasks, and which was taken."""
    rows = tuple(
        (
            line.title,
            f"{line.strength:g}",
            ", ".join(
                f"{strength:g}: {100 * accuracy:.1f}"
                for strength, accuracy in sorted(zip(line.strengths, line.accuracies, strict=True))
            ),
        )
        for line in lines
    )
    table = Table(
        title="Strengths that were tried",
        caption="On other tasks of the same kind, from images to learn from alone: the strength, and percent right.",
        header=("method", "taken", "tried"),
        rows=rows,
    )
    return Section(title="Strengths", tables=(table,))


def best_facts(record: RunRecord) -> dict[str, str]:
    """The hypernetwork and what stands beside it in a few words."""
    methods = by_method(record.lines(MethodLine))
    shown = [name for name in ("outputs", SAME_BYTES, CLOSED_FORM) if name in methods]
    return {
        methods[name]["task"].title: f"{100 * methods[name]['task'].accuracy:.2f} % with the task known, "
        f"{100 * methods[name]['class'].accuracy:.1f} % of all labels, {methods[name]['task'].last.num_bytes:,} bytes"
        for name in shown
    }
