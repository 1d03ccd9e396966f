"""The page of `regression-ablations`, from its record alone."""

import numpy as np
from matplotlib.figure import Figure

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate, paired_difference
from hyperlearning.experiments.publish import footer_of
from hyperlearning.experiments.regression.regression_ablations import SolvedTrialLine, TrialLine, VariantLine
from hyperlearning.reports import Curve, Page, Picture, Section, Table, column, curves_figure, methods_figure
from hyperlearning.systems.regression.page_parts import picture

Lines = list[VariantLine]

_PAIRED = ("total_error", "memory_error")

_STUDIES = {
    "deployment_models": (
        "Deployment models",
        "net0: the hyper-trained phenotype, fixed. net1: the same, plastic in life. net2: a random shared phenotype, fixed. "
        "net3: the same, plastic. net4: random and unique phenotypes, fixed. net5: the same, plastic (figure 4, top, of the "
        "paper). Beside them a plain MLP with elastic weight consolidation, and recursive least squares on fixed bumps.",
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
    lines, trials = record.lines(VariantLine), record.lines(TrialLine)
    by_study = {study: [line for line in lines if line.study == study] for study in _STUDIES}
    sections = [_study_section(*_STUDIES[study], own) for study, own in by_study.items() if own]
    if trials:
        sections.append(_trials_section(trials))
    if solved := record.lines(SolvedTrialLine):
        sections.append(_solved_section(solved))
    first, *others = sections
    at_a_glance = Section(title="At a glance", pictures=first.pictures[:1], tables=first.tables)
    rest = Section(title=first.title, paragraphs=first.paragraphs, pictures=first.pictures[1:])
    return Page(
        title="Regression ablations",
        lead="The system of incremental regression, taken apart. Every condition was hyper-trained from several seeds and "
        "deployed on the same held-out functions; differences are paired over functions and averaged over seeds.",
        sections=(at_a_glance, rest, *others),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _study_section(title: str, text: str, lines: Lines) -> Section:
    labels = list(dict.fromkeys(line.label for line in lines))
    # Hyper-trained from the first condition on, which the others are compared with: net0 in the papers' studies.
    first = next((label for label in labels if label.startswith("net0")), labels[0])
    labels = [first, *(label for label in labels if label != first)]
    own = {label: _of(lines, label) for label in labels}
    columns = [
        *(
            column(name.replace("_", " "), [estimate(_by_seed(own[label], name)) for label in labels])
            for name in ("total_error", "memory_error", "forgetting")
        ),
        *(
            column(
                f"{name.removesuffix('_error')} - {first}'s",
                [None if label == first else _difference(own[label], own[first], name) for label in labels],
            )
            for name in _PAIRED
        ),
    ]
    seeds = [str(len(own[label])) for label in labels]
    diverged = [str(sum(line.num_diverged for line in own[label])) for label in labels]
    table = Table(
        title=title,
        header=("condition", "seeds", *(header for header, _ in columns), "diverged"),
        rows=tuple(zip(labels, seeds, *(cells for _, cells in columns), diverged, strict=True)),
        caption="Scores: mean and 95 % interval over seeds. Differences: paired over functions, averaged over seeds, with their "
        "95 % intervals over functions: they hold for these runs and leave out how much hyper-training varies between seeds, "
        "which the scores' intervals show. A life that diverged counts with an error of 1.",
    )
    return Section(title=title, paragraphs=(text,), tables=(table,), pictures=tuple(_pictures(title, lines, labels)))


def _pictures(title: str, lines: Lines, labels: list[str]) -> list[Picture]:
    totals = {label: estimate(_by_seed(_of(lines, label), "total_error")) for label in labels}
    shown = {
        "total error": ("After the last task, mean and 95 % interval over seeds.", _totals_figure(totals, title)),
    }
    ordered = all(label.isdigit() for label in labels)
    for name, words in (("total", "over all tasks"), ("memory", "over the tasks met so far")):
        curves = {label: _mean_curve(_of(lines, label), name) for label in labels}
        figure = curves_figure(curves, xlabel="tasks learned", ylabel="mean squared error", log_y=True, ordered=ordered)
        shown[f"{name} error in a life"] = (f"Error {words}, mean over seeds.", figure)
    trained = {label: _of(lines, label) for label in labels if _has_course(_of(lines, label)[0])}
    if trained:
        curves = {label: _training_curve(own) for label, own in trained.items()}
        figure = curves_figure(curves, xlabel="epoch", ylabel="memory error in deployment", log_y=True, ordered=ordered)
        shown["hyper-training"] = ("Memory error on validation functions in the course of training.", figure)
    return [
        picture(f"{title}: {name}", caption, figure, alt=f"{title}: {name}")
        for name, (caption, figure) in shown.items()
    ]


def _totals_figure(totals: dict[str, Estimate], title: str) -> Figure:
    """Dots for conditions with names; a curve over conditions that are numbers."""
    if not all(label.isdigit() and int(label) > 0 for label in totals):
        return methods_figure(totals, xlabel="mean squared error", log=True)
    points = list(totals.values())
    curve = Curve([int(label) for label in totals], [p.mean for p in points], [p.ci95 for p in points])
    ticks = {float(label): label for label in totals}
    return curves_figure(
        {"total error": curve}, xlabel=title.lower(), ylabel="mean squared error", log_y=True, log_x=True, ticks=ticks
    )


def _trials_section(trials: list[TrialLine]) -> Section:
    """The two best settings of each baseline."""
    best: list[TrialLine] = []
    for method in dict.fromkeys(trial.method for trial in trials):
        own = [trial for trial in trials if trial.method == method]
        best += sorted(own, key=lambda trial: np.inf if trial.total_error is None else trial.total_error)[:2]
    header, errors = column("total error", [trial.total_error for trial in best])
    table = Table(
        title="The two best settings of each baseline",
        header=("baseline", "settings", header),
        rows=tuple(
            (trial.method, _settings_of(trial), error or "diverged") for trial, error in zip(best, errors, strict=True)
        ),
        caption=f"{len(trials)} trials on 64 functions of their own; the best settings are the ones used elsewhere.",
    )
    totals = {
        f"{t.method}, {_settings_of(t)}": Estimate(t.total_error, 0.0, 1) for t in best if t.total_error is not None
    }
    shown = picture(
        "The best settings of each baseline",
        "Mean total error over the functions that settings were chosen on.",
        methods_figure(totals, xlabel="mean squared error", log=True),
        alt="Total error of the best settings of each baseline",
    )
    return Section(title="Baselines' settings", tables=(table,), pictures=(shown,))


_SOLVED = {
    "rls": ("recursive least squares", "width", "precision"),
    "random_ridge": ("ridge on random features", "scale", "precision"),
    "lms": ("normalised least mean squares", "width", "rate"),
}
"""Of each readout its words, what its features' size is, and its other setting."""


def _solved_section(trials: list[SolvedTrialLine]) -> Section:
    """The two best settings of each readout, and the worst."""
    rows: list[tuple[SolvedTrialLine, str]] = []
    for method in _SOLVED:
        own = sorted(
            (trial for trial in trials if trial.method == method),
            key=lambda trial: np.inf if trial.total_error is None else trial.total_error,
        )
        rows += zip((*own[:2], own[-1]), ("best", "second", "worst"), strict=True)
    header, errors = column("total error", [trial.total_error for trial, _ in rows])
    table = Table(
        title="Settings of readouts on fixed features",
        header=("readout", "features", "settings", "place", header),
        rows=tuple(
            (_SOLVED[t.method][0], str(t.num_features), _solved_settings_of(t), place, error or "diverged")
            for (t, place), error in zip(rows, errors, strict=True)
        ),
        caption=f"{len(trials)} trials on 64 functions of their own. Without noise the error falls with the prior's precision "
        "as far as rounding lets it; the comparison keeps 1e-5 for all readouts.",
    )
    return Section(title="Readouts' settings", tables=(table,))


def _solved_settings_of(trial: SolvedTrialLine) -> str:
    _, size, amount = _SOLVED[trial.method]
    return f"{size} {trial.size:g}, {amount} {trial.amount:g}"


def _settings_of(trial: TrialLine) -> str:
    facts = {"strength": trial.strength, "width": trial.width}
    more = [f"{name} {value:g}" for name, value in facts.items() if value is not None]
    return ", ".join([f"{trial.optimizer} {trial.lr:g}", *more])


def _of(lines: Lines, label: str) -> Lines:
    return [line for line in lines if line.label == label]


def _by_seed(lines: Lines, score: str) -> list[float]:
    return [line.scores.estimates()[score].mean for line in lines]


def _difference(first: Lines, second: Lines, score: str) -> Estimate:
    """The paired difference over functions of a score averaged over seeds."""
    means = [np.mean([getattr(line.scores, score) for line in lines], axis=0) for lines in (first, second)]
    return paired_difference(*means)


def _mean_curve(lines: Lines, name: str) -> Curve:
    values = np.array([getattr(line, f"{name}_curve") for line in lines])
    first = 0 if name == "total" else 1
    return Curve(list(range(first, first + values.shape[1])), values.mean(0))


def _has_course(line: VariantLine) -> bool:
    return line.epochs is not None and len(line.epochs.epoch) > 0


def _training_curve(lines: Lines) -> Curve:
    courses = [line.epochs for line in lines if line.epochs is not None]
    return Curve(courses[0].epoch, np.mean([course.memory_error for course in courses], axis=0))
