"""What the pages of experiments on images have in common: tables of methods, curves over hyper-training and over a life."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate, paired_difference
from hyperlearning.reports import Curve, Picture, Section, Table, curves_figure, methods_figure, png_bytes

KIND_NAMES = {"meta_train": "meta-train", "meta_test": "meta-test", "meta_eval": "meta-eval"}

Line = dict[str, Any]


def kind_titles(record: RunRecord) -> dict[str, str]:
    """Says of each kind of lives where its classes come from."""
    dataset = record.config["settings"]["data"]["dataset"]
    if dataset == "digits":
        return {
            "meta_train": "meta-train (rotated digits 0-5)",
            "meta_test": "meta-test (rotated digits 6-9)",
            "meta_eval": "meta-eval (all ten digits, other images)",
        }
    trained = "Omniglot background" if dataset == "omniglot" else "mixture"
    return {
        "meta_train": f"meta-train ({trained})",
        "meta_test": "meta-test (Omniglot evaluation)",
        "meta_eval": "meta-eval (MNIST)",
    }


def percent(value: Estimate) -> str:
    """Writes a share as percent with its 95 % interval."""
    return f"{100 * value.mean:.1f} ± {100 * value.ci95:.1f}"


def score(line: Line, name: str) -> Estimate:
    """Estimates a score of a method over lives."""
    return estimate(line["scores"][name])


def methods_of(record: RunRecord, kind: str, *, num_tasks: int | None = None) -> dict[str, Line]:
    """The methods deployed on lives of a kind and, if that is given, of so many tasks, by name."""
    return {
        line["method"]: line
        for line in record.lines("method")
        if line["split"] == kind and (num_tasks is None or line["num_tasks"] == num_tasks)
    }


def methods_table(methods: Mapping[str, Line], *, title: str, reference: str = "dan", caption: str = "") -> Table:
    """All methods on lives of one kind, best generalization first, with the paired difference from a reference."""
    ours = methods[reference]["scores"]["generalization"]
    rows = []
    for line in sorted(methods.values(), key=lambda line: -score(line, "generalization").mean):
        theirs = line["scores"]["generalization"]
        paired = line["method"] != reference and len(theirs) == len(ours)
        difference = percent(paired_difference(theirs, ours)) if paired else ""
        names = ("memory", "generalization", "memory_of_life", "generalization_of_life", "forgetting")
        rows.append((line["title"], str(len(theirs)), *(_cell(line, name) for name in names), difference))
    return Table(
        title=title,
        header=(
            "method",
            "lives",
            "memory",
            "generalization",
            "memory, life's classes",
            "generalization, life's classes",
            "forgetting",
            "generalization - DAN's",
        ),
        rows=tuple(rows),
        caption="Percent of images classified rightly at the end of life, with 95 % intervals over lives. Argmax over all "
        "outputs that were trained; in the columns of the life's classes, over those classes alone. The last column is paired "
        f"over lives. {caption}".strip(),
    )


def methods_picture(methods: Mapping[str, Line], *, title: str, highlight: Sequence[str] = ("dan",)) -> Picture:
    """Generalization of all methods as dots with intervals."""
    estimates = {line["title"]: _in_percent(score(line, "generalization")) for line in methods.values()}
    figure = methods_figure(
        estimates,
        xlabel="generalization, percent",
        highlight=tuple(methods[name]["title"] for name in highlight if name in methods),
        lower_is_better=False,
    )
    return Picture(
        title=title,
        caption="Dots: means; bars: 95 % intervals over lives.",
        content=png_bytes(figure),
        kind="png",
        alt=f"{title}: generalization of every method",
    )


def training_picture(systems: Sequence[Line], score_name: str, kinds: Mapping[str, str], *, title: str) -> Picture:
    """One score over hyper-training: a curve for each kind of lives and system, against images seen."""
    curves = {}
    for line in systems:
        for kind, name in kinds.items():
            points = [(look["images"], *look[kind][score_name]) for look in line["looks"]]
            label = name if len(systems) == 1 else f"{line['label']}, {KIND_NAMES[kind]}"
            curves[label] = Curve(
                [x for x, _, _ in points],
                [100 * mean for _, mean, _ in points],
                [100 * ci95 for _, _, ci95 in points],
            )
    figure = curves_figure(curves, xlabel="images met in hyper-training", ylabel=f"{score_name}, percent")
    return Picture(
        title=title,
        caption="After the last class of a life; shaded: 95 % intervals over lives. Images through the network measure compute.",
        content=png_bytes(figure),
        kind="png",
        alt=f"{title}: {score_name} by images of hyper-training",
    )


def life_picture(methods: Mapping[str, Line], *, title: str) -> Picture:
    """Memory and generalization over the classes met so far, class by class, of the methods that were looked at so often."""
    curves = {}
    for line in methods.values():
        for name, course in line.get("course", {}).items():
            stages = list(range(1, len(course["mean"]) + 1))
            mean, ci95 = ([100 * value for value in course[part]] for part in ("mean", "ci95"))
            curves[f"{line['title']}, {name}"] = Curve(stages, mean, ci95)
    return Picture(
        title=title,
        caption="Over the classes met so far. Later classes make the choice harder, even for a network that forgets nothing.",
        content=png_bytes(curves_figure(curves, xlabel="classes learned", ylabel="percent")),
        kind="png",
        alt=f"{title}: accuracy by classes learned",
    )


def training_section(record: RunRecord, systems: Sequence[Line]) -> Section:
    """The course of hyper-training: accuracy against compute, and the hyper-loss."""
    kinds = kind_titles(record)
    if len(systems) > 1:
        kinds = {kind: title for kind, title in kinds.items() if kind != "meta_train"}
    losses = {line["label"]: Curve(line["hyper_loss"]["epoch"], line["hyper_loss"]["mean"]) for line in systems}
    rows = tuple(
        (line["label"], f"{line['looks'][-1]['images']:,}", f"{line['training_seconds']:,.0f}") for line in systems
    )
    return Section(
        title="Hyper-training",
        pictures=(
            training_picture(systems, "generalization", kinds, title="Generalization over hyper-training"),
            training_picture(systems, "memory", kinds, title="Memory over hyper-training"),
            Picture(
                title="Hyper-loss",
                caption="Mean over lives and outer steps.",
                content=png_bytes(curves_figure(losses, xlabel="epoch", ylabel="hyper-loss", log_y=True)),
                kind="png",
                alt="Hyper-loss by epoch",
            ),
        ),
        tables=(Table(title="Compute", header=("system", "images met", "seconds"), rows=rows),),
    )


def _cell(line: Line, name: str) -> str:
    # Where classes are mixed there is no moment just after one was learned.
    absent = name not in line["scores"] or (name == "forgetting" and line["method"].endswith("joint"))
    return "" if absent else percent(score(line, name))


def _in_percent(value: Estimate) -> Estimate:
    return replace(value, mean=100 * value.mean, ci95=100 * value.ci95)
