"""The page of `regression-ablations`, from its record alone."""

from typing import Any

import numpy as np

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate, paired_difference
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import (
    Curve,
    Page,
    Picture,
    Section,
    Table,
    curves_figure,
    methods_figure,
    png_bytes,
    short_estimate,
)

Lines = list[dict[str, Any]]

_PAIRED = ("total_error", "memory_error")

_STUDIES = {
    "deployment_models": (
        "Deployment models",
        "net0: the hyper-trained phenotype, fixed. net1: the same, plastic in life. net2: a random shared phenotype, fixed. "
        "net3: the same, plastic. net4: random and unique phenotypes, fixed. net5: the same, plastic (figure 4, top, of the "
        "paper). Beside them a plain MLP with elastic weight consolidation.",
    ),
    "sharing": (
        "Sharing the phenotype",
        "One phenotype for the whole network (net0), one per layer (net1), one per neuron (net2): figure 4, bottom left.",
    ),
    "num_channels": ("Channels per synapse", "Size of the vector synapse: figure 4, bottom right."),
    "population": (
        "Population",
        "Lives whose innate gradients are averaged at every step, at equal epochs. The papers use one and three and do not "
        "report others.",
    ),
    "through": (
        "Gradients through inner updates",
        "0: the papers' first order. k: an outer update every k inner ones, with the exact gradient through all of them. All "
        "have the same lives and inner updates, so that k makes 1/k as many outer updates.",
    ),
    "polishing": (
        "Polishing",
        "Epochs added at the end with one outer update a life, exact through all of its updates, synapses at birth learned "
        "too.",
    ),
    "inner_lr": ("Rate of the synapses", "The papers' alpha; they use .001."),
    "initializer": (
        "Synapses at birth",
        "How they are drawn. Over a whole map Xavier's rule makes the first layer's weights small, because the map has few "
        "inputs and many channels.",
    ),
    "hyper_scope": (
        "What the hyper-loss covers",
        "The windows met so far (the papers' choice for regression), those and the ones to come in equal parts, or the whole "
        "stream.",
    ),
}


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    lines = record.lines("condition")
    sections = [
        _study_section(title, text, [line for line in lines if line["study"] == study])
        for study, (title, text) in _STUDIES.items()
        if any(line["study"] == study for line in lines)
    ]
    trials = record.lines("trial")
    return Page(
        title="Regression ablations",
        lead="The system of incremental regression, taken apart. Every condition was hyper-trained from several seeds and "
        "deployed on the same held-out functions; differences are paired over functions and averaged over seeds.",
        sections=(*sections, *((_trials_section(trials),) if trials else ())),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _study_section(title: str, text: str, lines: Lines) -> Section:
    labels = list(dict.fromkeys(line["label"] for line in lines))
    # Hyper-trained from the first condition on, which the others are compared with: net0 in the papers' studies.
    first = next((label for label in labels if label.startswith("net0")), labels[0])
    labels = [first, *(label for label in labels if label != first)]
    rows = []
    for label in labels:
        own = [line for line in lines if line["label"] == label]
        scores = [
            short_estimate(estimate(_by_seed(own, name))) for name in ("total_error", "memory_error", "forgetting")
        ]
        differences = ["", ""] if label == first else [_difference(own, _of(lines, first), name) for name in _PAIRED]
        diverged = sum(line["num_diverged"] for line in own)
        rows.append((label, str(len(own)), *scores, *differences, str(diverged)))
    table = Table(
        title=title,
        header=(
            "condition",
            "seeds",
            "total error",
            "memory error",
            "forgetting",
            f"total - {first}'s",
            f"memory - {first}'s",
            "diverged",
        ),
        rows=tuple(rows),
        caption="Scores: mean and 95 % interval over seeds. Differences: paired over functions, averaged over seeds, with their "
        "95 % intervals over functions: they hold for these runs and leave out how much hyper-training varies between seeds, "
        "which the scores' intervals show. A life that diverged counts with an error of 1.",
    )
    return Section(title=title, paragraphs=(text,), tables=(table,), pictures=tuple(_pictures(title, lines, labels)))


def _pictures(title: str, lines: Lines, labels: list[str]) -> list[Picture]:
    totals = {label: estimate(_by_seed(_of(lines, label), "total_error")) for label in labels}
    pictures = [
        _picture(
            f"{title}: total error",
            "After the last task, mean and 95 % interval over seeds.",
            _totals_figure(totals, title),
        )
    ]
    ordered = all(label.isdigit() for label in labels)
    for name, caption in (("total_curve", "over all tasks"), ("memory_curve", "over the tasks met so far")):
        curves = {label: _mean_curve([line[name] for line in _of(lines, label)], name) for label in labels}
        kind = name.removesuffix("_curve")
        figure = curves_figure(curves, xlabel="tasks learned", ylabel="mean squared error", log_y=True, ordered=ordered)
        pictures.append(_picture(f"{title}: {kind} error in a life", f"Error {caption}, mean over seeds.", figure))
    trained = [label for label in labels if _of(lines, label)[0].get("epochs", {}).get("epoch")]
    if trained:
        curves = {label: _training_curve(_of(lines, label)) for label in trained}
        figure = curves_figure(curves, xlabel="epoch", ylabel="memory error in deployment", log_y=True, ordered=ordered)
        pictures.append(
            _picture(
                f"{title}: hyper-training", "Memory error on validation functions in the course of training.", figure
            )
        )
    return pictures


def _totals_figure(totals: dict[str, Estimate], title: str) -> Any:
    """Dots for conditions with names; a curve over conditions that are numbers."""
    if not all(label.isdigit() and int(label) > 0 for label in totals):
        return methods_figure(totals, xlabel="mean squared error", log=True)
    points = list(totals.values())
    curve = Curve([int(label) for label in totals], [p.mean for p in points], [p.ci95 for p in points])
    ticks = {float(label): label for label in totals}
    return curves_figure(
        {"total error": curve}, xlabel=title.lower(), ylabel="mean squared error", log_y=True, log_x=True, ticks=ticks
    )


def _picture(title: str, caption: str, figure: Any) -> Picture:
    return Picture(title=title, caption=caption, content=png_bytes(figure), kind="png", alt=title)


def _trials_section(trials: Lines) -> Section:
    rows = []
    for method in dict.fromkeys(trial["method"] for trial in trials):
        own = sorted(
            (trial for trial in trials if trial["method"] == method),
            key=lambda trial: np.inf if trial["total_error"] is None else trial["total_error"],
        )
        for trial in own[:3]:
            settings = ", ".join(
                f"{name} {value}" for name, value in trial.items() if name not in ("kind", "method", "total_error")
            )
            error = "diverged" if trial["total_error"] is None else f"{trial['total_error']:.5f}"
            rows.append((method, settings, error))
    table = Table(
        title="The three best settings of each baseline",
        header=("baseline", "settings", "total error"),
        rows=tuple(rows),
        caption=f"{len(trials)} trials on 64 functions of their own; the best settings are the ones used elsewhere.",
    )
    return Section(title="Baselines' settings", tables=(table,))


def _of(lines: Lines, label: str) -> Lines:
    return [line for line in lines if line["label"] == label]


def _by_seed(lines: Lines, score: str) -> list[float]:
    return [float(np.mean(line["scores"][score])) for line in lines]


def _difference(first: Lines, second: Lines, score: str) -> str:
    """The paired difference over functions of a score averaged over seeds."""
    means = [np.mean([line["scores"][score] for line in lines], axis=0) for lines in (first, second)]
    return short_estimate(paired_difference(*means))


def _mean_curve(curves: list[list[float]], name: str) -> Curve:
    values = np.array(curves)
    first = 0 if name == "total_curve" else 1
    return Curve(list(range(first, first + values.shape[1])), values.mean(0))


def _training_curve(lines: Lines) -> Curve:
    return Curve(lines[0]["epochs"]["epoch"], np.mean([line["epochs"]["memory_error"] for line in lines], axis=0))
