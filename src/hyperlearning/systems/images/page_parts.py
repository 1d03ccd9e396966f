"""What the pages of experiments on images have in common: tables of methods, curves over hyper-training and over a life."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from hyperlearning.evaluation.intervals import Estimate, paired_difference
from hyperlearning.reports import Curve, Picture, Section, Table, curves_figure, methods_figure, percent, png_bytes
from hyperlearning.systems.images.lines import MethodLine, ScoreName, SystemLine
from hyperlearning.systems.images.pools import SPLIT_NAMES, SPLITS, Split, per_split

GLANCE = "At a glance"
"""Title of every page's first section."""

SCORE_NAMES: Mapping[ScoreName, str] = {
    "memory": "memory",
    "generalization": "generalization",
    "memory_of_life": "memory, life's classes",
    "generalization_of_life": "generalization, life's classes",
    "forgetting": "forgetting",
}


def methods_of(lines: Iterable[MethodLine], split: str, *, num_tasks: int | None = None) -> dict[str, MethodLine]:
    """The methods deployed on lives of a split and, if that is given, of so many tasks, by name."""
    return {
        line.method: line
        for line in lines
        if line.split == split and (num_tasks is None or line.num_tasks == num_tasks)
    }


def glance(picture: Picture, table: Table, *paragraphs: str) -> Section:
    """A page's first section: one picture and one table that carry the claim."""
    return Section(title=GLANCE, paragraphs=paragraphs, pictures=(picture,), tables=(table,))


def glance_table(
    by_split: Mapping[str, Mapping[str, MethodLine]], names: Iterable[str], *, caption: str = "", title: str = ""
) -> Table:
    """The methods of these names that there are, beside one another: a column for each split, and memory on the last."""
    *_, last = by_split.values()
    rows = []
    for name in (name for name in names if name in last):
        scores = (methods[name].estimate("generalization") for methods in by_split.values())
        rows.append((last[name].title, *map(percent, scores), percent(last[name].estimate("memory"))))
    columns = tuple(f"generalization, {split}" for split in by_split)
    return Table(
        title=title or "Percent of images classified rightly at the end of life",
        header=("method", *columns, f"memory, {list(by_split)[-1]}"),
        rows=tuple(rows),
        caption=f"Means over lives with 95 % intervals. Generalization: other images of the classes learned; memory: the very "
        f"images learned. {caption}".strip(),
    )


def methods_table(methods: Mapping[str, MethodLine], *, title: str, reference: str = "dan", caption: str = "") -> Table:
    """All methods on lives of one split, best generalization first, with the paired difference from a reference."""
    ours = methods[reference].scores.generalization
    rows = []
    for line in sorted(methods.values(), key=lambda line: -line.estimate("generalization").mean):
        theirs = line.scores.generalization
        paired = line.method != reference and len(theirs) == len(ours)
        difference = percent(paired_difference(theirs, ours)) if paired else ""
        rows.append((line.title, str(len(theirs)), *(_cell(line, name) for name in SCORE_NAMES), difference))
    return Table(
        title=title,
        header=("method", "lives", *SCORE_NAMES.values(), "generalization - DAN's"),
        rows=tuple(rows),
        caption="Percent of images classified rightly at the end of life, with 95 % intervals over lives. Argmax over all "
        "outputs that were trained; in the columns of the life's classes, over those classes alone. The last column is paired "
        f"over lives. {caption}".strip(),
    )


def methods_picture(methods: Mapping[str, MethodLine], *, title: str, highlight: Sequence[str] = ("dan",)) -> Picture:
    """Generalization of all methods as dots with intervals."""
    figure = methods_figure(
        {line.title: _in_percent(line.estimate("generalization")) for line in methods.values()},
        xlabel="generalization, percent",
        highlight=tuple(methods[name].title for name in highlight if name in methods),
        lower_is_better=False,
    )
    return Picture(
        title=title,
        caption="Dots: means; bars: 95 % intervals over lives.",
        content=png_bytes(figure),
        alt=f"{title}: generalization of every method",
    )


def training_picture(
    systems: Sequence[SystemLine], score: ScoreName, splits: Mapping[Split, str], *, title: str
) -> Picture:
    """One score over hyper-training: a curve for each split and system, against images seen."""
    curves = {}
    for line in systems:
        for split, name in splits.items():
            seen = [getattr(look.of(split), score) for look in line.looks]
            label = name if len(systems) == 1 else f"{line.label}, {SPLIT_NAMES[split]}"
            curves[label] = Curve(
                [look.images for look in line.looks],
                [100 * mean for mean, _ in seen],
                [100 * ci95 for _, ci95 in seen],
            )
    figure = curves_figure(curves, xlabel="images met in hyper-training", ylabel=f"{score}, percent")
    return Picture(
        title=title,
        caption="After the last class of a life; shaded: 95 % intervals over lives. Images through the network measure compute.",
        content=png_bytes(figure),
        alt=f"{title}: {score} by images of hyper-training",
    )


def life_picture(methods: Iterable[MethodLine], *, title: str) -> Picture:
    """Memory and generalization over the classes met so far, class by class, of the methods that were looked at so often."""
    curves = {}
    for line in methods:
        for name, course in line.course._asdict().items() if line.course else ():
            mean, ci95 = ([100 * value for value in part] for part in course)
            curves[f"{line.title}, {name}"] = Curve(list(range(1, len(mean) + 1)), mean, ci95)
    return Picture(
        title=title,
        caption="Over the classes met so far. Later classes make the choice harder, even for a network that forgets nothing.",
        content=png_bytes(curves_figure(curves, xlabel="classes learned", ylabel="percent")),
        alt=f"{title}: accuracy by classes learned",
    )


def training_section(systems: Sequence[SystemLine], splits: Mapping[Split, str]) -> Section:
    """The course of hyper-training: accuracy against compute, and the hyper-loss."""
    shown = splits if len(systems) == 1 else per_split(splits.__getitem__, SPLITS[1:])
    losses = {line.label: Curve(line.hyper_loss.epoch, line.hyper_loss.mean) for line in systems}
    loss = loss_picture(losses, xlabel="epoch", caption="Mean over lives and outer steps.")
    return course_section(systems, shown, loss, title="over hyper-training")


def course_section(systems: Sequence[SystemLine], splits: Mapping[Split, str], loss: Picture, *, title: str) -> Section:
    """Both scores over hyper-training, under titles that end in this one; the hyper-loss; and what all of it took."""
    scores: tuple[ScoreName, ...] = ("generalization", "memory")
    pictures = (training_picture(systems, name, splits, title=f"{name.capitalize()} {title}") for name in scores)
    return Section(title="Hyper-training", pictures=(*pictures, loss), tables=(compute_table(systems),))


def loss_picture(losses: Mapping[str, Curve], *, xlabel: str, caption: str) -> Picture:
    """The hyper-loss of systems in training."""
    return Picture(
        title="Hyper-loss",
        caption=caption,
        content=png_bytes(curves_figure(losses, xlabel=xlabel, ylabel="hyper-loss", log_y=True)),
        alt=f"Hyper-loss by {xlabel}",
    )


def compute_table(systems: Sequence[SystemLine]) -> Table:
    """What the training of systems took."""
    rows = tuple(
        (line.label, str(line.hyper_loss.epoch[-1]), f"{line.looks[-1].images:,}", f"{line.training_seconds:,.0f}")
        for line in systems
    )
    return Table(title="Compute", header=("system", "epochs", "images met", "seconds"), rows=rows)


def _cell(line: MethodLine, name: ScoreName) -> str:
    # Where classes are mixed there is no moment just after one was learned.
    absent = name not in line.scores.by_name() or (name == "forgetting" and line.method.endswith("joint"))
    return "" if absent else percent(line.estimate(name))


def _in_percent(value: Estimate) -> Estimate:
    return replace(value, mean=100 * value.mean, ci95=100 * value.ci95)
