"""The page of `oml-regression`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.publish import footer_of
from hyperlearning.experiments.regression.oml_regression import TITLES, Config, SystemLine, ZeroLine
from hyperlearning.reports import Curve, Page, Section, curves_figure, error_matrix_figure, short_estimate
from hyperlearning.systems.regression.lines import MethodLine
from hyperlearning.systems.regression.page_parts import (
    Methods,
    best_first,
    course_picture,
    glance_section,
    methods_table,
    picture,
    what_is_compared,
)

_BASELINES = ("scratch", "replay", "ewc", "pretrained", "rls", "random_ridge")
_NOT_AT_A_GLANCE = ("scratch_joint", "pretrained_joint", "dan_joint")
_TRAINED = {**TITLES, "sequence": "Sequence model"}
_SCORES = ("total_error", "memory_error", "forgetting", "backward_transfer")
_CAPTION = (
    "Mean squared errors with 95 % intervals over lives; lower is better, but for backward transfer. Total: over all waves after "
    "the last. Memory: over the waves met so far, averaged over a life. The last column is paired over lives. The order of "
    "hyper-training's gradient is two. Rates, strengths and features of what is not hyper-trained were chosen by total error on "
    "validation lives. A life that diverged counts with an error of 13."
)


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    methods = {line.method: line for line in record.lines(MethodLine)}
    life, zero = record.settings(Config).life, record.last(ZeroLine).error
    totals = {name: line.scores.estimates()["total_error"] for name, line in methods.items()}
    return Page(
        title="OML's sine waves",
        lead=f"Lives of {life.num_tasks} unseen sine waves met one after another, {life.updates_per_task} updates of "
        f"{life.batch_size} points each, nothing stored. Hyper-training of OML and of the DAN network is exact to second order, "
        "through whole lives.",
        facts={
            "OML, total error": short_estimate(totals["oml"]),
            "DAN network, total error": short_estimate(totals["dan"]),
            "scratch, finetuned": short_estimate(totals["scratch"]),
            "predicting 0": f"{zero:.2f}",
        },
        sections=(
            _glance(methods),
            _comparison_section(methods, zero),
            _course_section(methods, zero),
            _training_section(record),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _glance(methods: Methods) -> Section:
    """What is not random, nor learned from a shuffled stream without hyper-training, all on the same lives."""
    lines = [line for line in best_first(methods) if not line.method.endswith("_random")]
    lines = [line for line in lines if line.method not in _NOT_AT_A_GLANCE]
    return glance_section(
        methods,
        lines,
        reference="oml",
        highlight=tuple(TITLES),
        baselines=_BASELINES,
        task="wave",
        caption=_CAPTION,
        scores=_SCORES[:3],
    )


def _comparison_section(methods: Methods, zero: float) -> Section:
    table = methods_table(best_first(methods), methods["oml"], title="All methods", caption=_CAPTION, scores=_SCORES)
    return Section(title="Beside other methods", paragraphs=(what_is_compared(methods, zero),), tables=(table,))


def _course_section(methods: Methods, zero: float) -> Section:
    shown = [line for line in methods.values() if "joint" not in line.method and "random" not in line.method]
    curves = (course_picture(shown, name, tasks="waves", zero=zero) for name in ("memory_curve", "total_curve"))
    matrices = (
        picture(
            f"Error matrix: {line.title}",
            "Row: waves learned so far. Column: the wave tested. Left of the line is memory, right of it future. Means over "
            "lives, with half-widths of 95 % intervals.",
            error_matrix_figure(line.error_matrix, ci95=line.error_matrix_ci95),
            alt=f"Error on every wave after every wave, {line.title}",
        )
        for line in (methods[name] for name in ("oml", "dan", "scratch"))
    )
    return Section(title="In the course of a life", pictures=(*curves, *matrices))


def _training_section(record: RunRecord) -> Section:
    systems = {line.system: line for line in record.lines(SystemLine)}
    curves = {}
    for name, title in _TRAINED.items():
        if name not in systems:  # A record of before it was compared.
            continue
        line = systems[name]
        curves[f"{title}, hyper-loss"] = Curve(line.epochs, line.hyper_loss)
        curves[f"{title}, deployed"] = Curve([x.epoch for x in line.looks], [x.total_error for x in line.looks])
    seconds = ", ".join(f"{name} {line.training_seconds:,.0f} s" for name, line in systems.items())
    shown = picture(
        "Hyper-loss and deployment",
        "Hyper-loss: on the training lives of a generation, at their end. Deployed: total error on validation lives.",
        curves_figure(curves, xlabel="outer updates", ylabel="mean squared error", log_y=True),
        alt="Hyper-loss and validation error by outer update",
    )
    text = f"Training: {seconds}, {record.manifest['threads']} threads."
    return Section(title="Hyper-training", paragraphs=(text,), pictures=(shown,))
