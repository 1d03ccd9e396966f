"""What the pages of OML and ANML have in common: accuracy against the number of classes, tables, and the course of training."""

from collections.abc import Mapping, Sequence
from typing import Any

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate
from hyperlearning.reports import Curve, Picture, Section, Table, curves_figure, png_bytes
from hyperlearning.systems.trajectories.long_tests import HEADS

Line = dict[str, Any]
Tests = dict[tuple[str, str], dict[int, Line]]
"""Lines `test` by embedding and head, then by number of classes."""


def tests_of(record: RunRecord) -> Tests:
    """Arranges the lines `test` of a record."""
    tests: Tests = {}
    for line in record.lines("test"):
        tests.setdefault((line["embedding"], line["head"]), {})[line["num_classes"]] = line
    return tests


def accuracy(line: Line, name: str) -> Estimate:
    """Estimates an accuracy over runs."""
    return estimate(line["scores"][name])


def accuracy_table(tests: Tests, name: str, *, title: str, caption: str) -> Table:
    """One accuracy, a row for each embedding and head, a column for each number of classes; the best at the end come first."""
    counts = sorted({count for by_count in tests.values() for count in by_count})
    ordered = sorted(tests.items(), key=lambda item: -accuracy(item[1][max(item[1])], name).mean)
    rows = []
    for (_, head), by_count in ordered:
        some = by_count[max(by_count)]
        cells = (_cell(by_count[count], name) if count in by_count else "" for count in counts)
        rows.append((some["title"], HEADS[head], some["order"], *cells))
    some = next(iter(next(iter(tests.values())).values()))
    return Table(
        title=title,
        header=("embedding", "what learns on it", "outer gradient", *(f"{count} classes" for count in counts)),
        rows=tuple(rows),
        caption=f"Percent of images recognised, mean and 95 % interval over {some['num_runs']} runs. {caption}",
    )


def rates_table(tests: Tests) -> Table:
    """The learning rates and the shrinkage of whitening that were chosen, and by what."""
    rows, shrinkages = [], {}
    for (_, head), by_count in tests.items():
        shrinkages |= {line["title"]: line["shrinkage"] for line in by_count.values() if "shrinkage" in line}
        chosen = {count: line for count, line in by_count.items() if line["lr"] is not None}
        if chosen:
            rates = ", ".join(f"{count}: {line['lr']:g}" for count, line in sorted(chosen.items()))
            rows.append((next(iter(chosen.values()))["title"], HEADS[head], rates))
    rule = next((line["lr_rule"] for tests in tests.values() for line in tests.values() if line["lr"] is not None), "")
    return Table(
        title="Learning rates by number of classes: SGD for the cosine layer, else Adam",
        header=("embedding", "what learns on it", "classes: rate"),
        rows=tuple(rows),
        caption=f"Chosen anew for each number of classes, never on the images reported; at first: {rule}. Whitening's shrinkage, "
        f"chosen likewise: {', '.join(f'{title} {value:g}' for title, value in shrinkages.items()) or 'none'}.",
    )


def accuracy_picture(curves: Mapping[str, Mapping[int, Line]], name: str, *, title: str, caption: str) -> Picture:
    """One accuracy against the number of classes."""
    drawn = {}
    for label, by_count in curves.items():
        points = [(count, accuracy(line, name)) for count, line in sorted(by_count.items())]
        drawn[label] = Curve(
            [count for count, _ in points],
            [100 * point.mean for _, point in points],
            [100 * point.ci95 for _, point in points],
        )
    figure = curves_figure(drawn, xlabel="classes learned one after another", ylabel="percent recognised")
    return Picture(title=title, caption=caption, content=png_bytes(figure), kind="png", alt=title)


def training_section(systems: Sequence[Line]) -> Section:
    """The course of meta-training: meta-loss, and accuracy of a short meta-test, against outer steps."""
    losses = {s["title"]: Curve(s["meta_loss"]["step"], s["meta_loss"]["mean"]) for s in systems}
    pictures = [
        Picture(
            title="Meta-loss",
            caption="Mean since the point before. Losses of different systems are of different tasks: compare shapes.",
            content=png_bytes(curves_figure(losses, xlabel="outer step", ylabel="meta-loss", log_y=True)),
            kind="png",
            alt="Meta-loss by outer step",
        )
    ]
    looked = [system for system in systems if system["looks"]]
    if looked:
        classes = looked[0]["looks"][0]["classes"]
        pictures += [
            _look_picture(looked, "held_out", f"Held-out accuracy on {classes} classes over meta-training"),
            _look_picture(looked, "prototypes", f"Prototypes on {classes} classes over meta-training"),
        ]
    rows = tuple(
        (s["title"], s["order"], f"{s['meta_loss']['step'][-1]:,}", f"{s['training_seconds']:,.0f}") for s in systems
    )
    return Section(
        title="Meta-training",
        paragraphs=(
            "Now and then the first evaluation classes are learned in a row by Adam at a fixed rate of .001. Nothing is chosen "
            "by it: every network is tested as it is after its last step.",
        ),
        pictures=tuple(pictures),
        tables=(Table(title="Compute", header=("system", "outer gradient", "outer steps", "seconds"), rows=rows),),
    )


def _look_picture(systems: Sequence[Line], name: str, title: str) -> Picture:
    curves = {
        system["title"]: Curve(
            [look["step"] for look in system["looks"]],
            [100 * look[name][0] for look in system["looks"]],
            [100 * look[name][1] for look in system["looks"]],
        )
        for system in systems
    }
    figure = curves_figure(curves, xlabel="outer step", ylabel="percent recognised")
    caption = "Mean and 95 % interval over five orders of the classes."
    return Picture(title=title, caption=caption, content=png_bytes(figure), kind="png", alt=title)


def _cell(line: Line, name: str) -> str:
    value = accuracy(line, name)
    return f"{100 * value.mean:.1f} ± {100 * value.ci95:.1f}"
