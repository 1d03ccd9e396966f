"""What the pages of stores of networks share."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from hyperlearning.evaluation.intervals import Estimate, estimate
from hyperlearning.reports import Curve, Section, Table, curves_figure, percent, picture
from hyperlearning.systems.selfnet.comparison import OF_ADAM, SEPARATE
from hyperlearning.systems.selfnet.lines import CodersLine, InferenceLine, StageLine, StoreLine, TasksLine, TunedLine

MOST_ROWS = 10
_KINDS = {
    "coded": "coded networks",
    "bits": "differences, quantised",
    "ternary": "differences, quantised",
    "replay": "replay",
}
"""Beginnings of names, and what a picture calls stores of the kind."""
_OF_ADAM = "{}, by Adam"
"""What it calls those of networks that were trained by Adam."""
_NOT_AT_A_GLANCE = (
    OF_ADAM.format(SEPARATE),
    "principal",
    "low_rank",
    "product",
    "pruned",
    "progress_and_compress",
    "l2",
    "online_l2",
    "online_ewc",
    "synaptic_intelligence",
    "distillation",
    "joint",
)
"""Stores and learners that the first picture leaves out, each of which has one like it there; tables have all."""
_IN_COURSE = (
    SEPARATE,
    "ternary",
    "self_net",
    "self_net_text",
    "ewc",
    "progress_and_compress",
    "replay_0.25",
    "sgd",
)
"""Stores that the picture of a life's course shows, beside the largest codes; the table has all."""


def accuracy_of(stage: StageLine) -> Estimate:
    """Over tasks."""
    return estimate(stage.accuracies)


def best_first(lines: Sequence[StoreLine]) -> list[StoreLine]:
    """By accuracy after the last task."""
    return sorted(lines, key=lambda line: -fmean(line.last.accuracies))


def glance(lines: Sequence[StoreLine], tasks: TasksLine) -> Section:
    """Accuracy against bytes after the last task: a picture of all stores, and a table of the best."""
    most, worth = len(tasks.tasks), _worth(lines, tasks.chance)
    kept = [line for line in lines if fmean(line.last.accuracies) > worth] or lines
    shown = {title: _against_bytes(own) for title, own in families(kept).items()}
    figure = curves_figure(shown, xlabel="bytes that are kept", ylabel="accuracy, percent", log_x=True)
    title = f"Accuracy against bytes after {most} tasks"
    rows = best_first(kept)[:MOST_ROWS]
    return Section(
        title="At a glance",
        pictures=(
            picture(
                title,
                "A dot a store, means over tasks; stores of one kind are joined. Better is higher and farther left. Tables below "
                "have more of them.",
                figure,
            ),
        ),
        tables=(stores_table(rows, title=f"Stores after {most} tasks"),),
    )


def families(lines: Sequence[StoreLine]) -> dict[str, list[StoreLine]]:
    """Stores of one kind that differ in size, and every other by itself; those of the first picture, if any."""
    found: dict[str, list[StoreLine]] = {}
    for line in [line for line in lines if line.method not in _NOT_AT_A_GLANCE] or lines:
        kind = next((title for start, title in _KINDS.items() if line.method.startswith(start)), line.title)
        by_adam = kind != line.title and line.method.endswith(OF_ADAM.format(""))
        found.setdefault(_OF_ADAM.format(kind) if by_adam else kind, []).append(line)
    return dict(sorted(found.items(), key=lambda item: len(item[1])))


def _against_bytes(lines: Sequence[StoreLine]) -> Curve:
    points = sorted((line.last.num_bytes, 100 * fmean(line.last.accuracies)) for line in lines)
    return Curve([x for x, _ in points], [y for _, y in points])


def _worth(lines: Sequence[StoreLine], chance: float) -> float:
    """The accuracy below which a store is left out at first sight: halfway between chance and separate networks."""
    return (chance + max(fmean(line.last.accuracies) for line in lines)) / 2


def stores_table(lines: Sequence[StoreLine], *, title: str) -> Table:
    """Accuracy and bytes of stores, a row each."""
    return Table(
        title=title,
        caption="Percent of test images right, mean and 95 % interval over tasks, and the worst task. Compression: bytes of "
        "separate networks in float32 over all bytes that the store keeps. The last column: what a further task adds.",
        header=("store", "accuracy", "worst", "bytes", "compression", "bytes a task"),
        rows=tuple(
            (
                line.title,
                percent(accuracy_of(line.last)),
                f"{100 * min(line.last.accuracies):.1f}",
                f"{line.last.num_bytes:,}",
                f"{line.compression():,.1f}",
                f"{line.bytes_a_task:,.0f}",
            )
            for line in lines
        ),
    )


def all_stores(lines: Sequence[StoreLine], tasks: TasksLine) -> Section:
    """Every store, what it is, and the tasks."""
    notes = "; ".join(f"{line.title}: {line.note}" for line in lines)
    return Section(
        title="Every store",
        paragraphs=(f"{notes}. Tasks: {'; '.join(tasks.tasks)}.",),
        tables=(stores_table(best_first(lines), title="All of them"),),
    )


def in_course(lines: Sequence[StoreLine]) -> list[StoreLine]:
    """Those that a picture of a life's course shows."""
    coded = [line.method for line in lines if line.method.startswith("coded")]
    shown = (*_IN_COURSE, *coded[-1:])
    return [line for line in lines if len(line.stages) > 1 and line.method in shown]


def course(lines: Sequence[StoreLine]) -> Section:
    """Accuracy on all tasks met so far, stage by stage."""
    curves = {
        line.title: Curve(list(line.num_tasks), [100 * fmean(stage.accuracies) for stage in line.stages])
        for line in in_course(lines)
    }
    title = "Accuracy on the tasks met so far"
    figure = curves_figure(curves, xlabel="tasks", ylabel="accuracy, percent")
    counts = _counts(lines)
    table = Table(
        title=title,
        caption="Percent, means over tasks.",
        header=("store", *map(str, counts)),
        rows=tuple((line.title, *_cells(line, counts)) for line in best_first(lines)),
    )
    return Section(title="Stage by stage", pictures=(picture(title, "Means over tasks.", figure),), tables=(table,))


def _counts(lines: Sequence[StoreLine]) -> list[int]:
    found = max(lines, key=lambda line: len(line.num_tasks)).num_tasks
    return list(found) if len(found) <= MOST_ROWS else [*found[:-1:2], found[-1]]


def _cells(line: StoreLine, counts: Sequence[int]) -> list[str]:
    by_count: Mapping[int, StageLine] = dict(zip(line.num_tasks, line.stages, strict=True))
    return [f"{100 * fmean(by_count[count].accuracies):.1f}" if count in by_count else "" for count in counts]


def near_what(lines: Sequence[StoreLine]) -> Section:
    """How near recollections are to what was trained, and to what their store was trained on."""
    rows = tuple(
        (
            line.title,
            f"{fmean(line.last.cosines):.4f}",
            f"{line.last.to_targets:.4f}" if line.last.to_targets is not None else "",
            percent(accuracy_of(line.last)),
        )
        for line in best_first(lines)
        if line.last.cosines and not line.method.startswith("coded")
    )
    return Section(
        title="Cosines",
        paragraphs=(
            "An autoencoder that is trained on its own recollections sees how near it is to them, not to the networks that were "
            "trained: errors compound unseen.",
        ),
        tables=(
            Table(
                title="Recollections after the last task",
                caption="Mean cosine to the weights that were trained, and to what the store was trained on.",
                header=("store", "to the true weights", "to its targets", "accuracy"),
                rows=rows,
            ),
        ),
    )


def costs(lines: Sequence[StoreLine]) -> Section:
    """Iterations and seconds."""
    rows = tuple(
        (
            line.title,
            ", ".join(str(stage.iterations) for stage in line.stages) if line.last.iterations is not None else "",
            f"{sum(stage.seconds for stage in line.stages):,.0f}",
        )
        for line in lines
    )
    return Section(
        title="What it took",
        tables=(
            Table(
                title="Iterations of every stage, and seconds",
                caption="Seconds are of training and looking; separate networks: of task networks, which other stores need too; "
                "coded networks need none of them.",
                header=("store", "iterations", "seconds"),
                rows=rows,
            ),
        ),
    )


def strengths_section(lines: Sequence[TunedLine], titles: Mapping[str, str]) -> Section:
    """What strengths of continual learners were tried on other tasks, and which was taken."""
    rows = tuple(
        (
            titles.get(line.method, line.method),
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
        caption="On tasks of the same kind that are none of the life's, from images to learn from alone: the strength, and "
        "percent right after the last of them.",
        header=("learner", "taken", "tried"),
        rows=rows,
    )
    return Section(title="Strengths", tables=(table,))


def coders_section(lines: Sequence[CodersLine]) -> Section:
    """Bytes of quantised differences by what compresses them."""
    table = Table(
        title="Bytes by what compresses them",
        caption="Everything that is kept after the last task, with symbols packed to whole bits, or compressed by Huffman's code,"
        " Deflate, Zstandard or LZMA; recollections are the same.",
        header=("store", *lines[0].coders),
        rows=tuple((line.title, *(f"{size:,}" for size in line.num_bytes)) for line in lines),
    )
    return Section(title="With and without entropy coding", tables=(table,))


def inference_section(runs: Sequence[Sequence[InferenceLine]]) -> Section:
    """How well tasks are inferred, over tasks of one run, or over the means of several."""
    rows = []
    for line in runs[0]:
        own = [next(other for other in lines if other.rule == line.rule) for lines in runs]
        rows.append((line.title, *(percent(_over(own, score)) for score in ("found", "right")), f"{line.num_bytes:,}"))
    notes = "; ".join(f"{line.title}: {line.note}" for line in runs[0])
    table = Table(
        title="Tasks that are inferred",
        caption="Percent of images whose task is found, and that get the right label of all labels of all tasks, mean and 95 % "
        f"interval over {'tasks' if len(runs) == 1 else 'seeds'}. Labels are those of the largest coded networks. Bytes: what "
        "inferring keeps beside them.",
        header=("how", "task found", "label right", "bytes"),
        rows=tuple(rows),
    )
    return Section(title="Nobody says which task", paragraphs=(f"{notes}.",), tables=(table,))


def _over(lines: Sequence[InferenceLine], score: str) -> Estimate:
    values = [getattr(line, score) for line in lines]
    return estimate(values[0] if len(lines) == 1 else [fmean(own) for own in values])


def sections_of(
    lines: Sequence[StoreLine],
    tasks: TasksLine,
    tuned: Sequence[TunedLine],
    inferred: Sequence[InferenceLine],
    coded: Sequence[CodersLine],
) -> tuple[Section, ...]:
    """All sections of a life's page."""
    coders = (coders_section(coded),) if coded else ()
    inference = (inference_section([inferred]),) if inferred else ()
    strengths = (strengths_section(tuned, {line.method: line.title for line in lines}),) if tuned else ()
    return (
        glance(lines, tasks),
        all_stores(lines, tasks),
        course(lines),
        near_what(lines),
        *coders,
        *inference,
        *strengths,
        costs(lines),
    )


def best_facts(lines: Sequence[StoreLine]) -> dict[str, str]:
    """The three best stores in a few words."""
    return {
        line.title: f"{percent(accuracy_of(line.last))} %, {line.compression():,.1f} times fewer bytes"
        for line in best_first(lines)[:3]
    }
