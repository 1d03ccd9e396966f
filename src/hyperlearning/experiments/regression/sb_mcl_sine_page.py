"""The page of `sb-mcl-sine`, from its record alone."""

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import estimate
from hyperlearning.experiments.publish import footer_of
from hyperlearning.experiments.regression.sb_mcl_sine import Config, MetaLearningLine, ZeroLine
from hyperlearning.reports import Curve, Page, Section, curves_figure, short_estimate
from hyperlearning.systems.regression.lines import MethodLine
from hyperlearning.systems.regression.page_parts import (
    Methods,
    best_first,
    course_picture,
    glance_section,
    picture,
    what_is_compared,
)

_BASELINES = ("rls", "random_ridge", "scratch")
_SCORES = ("total_error", "memory_error", "forgetting")
_CAPTION = (
    "Mean squared errors of further examples with 95 % intervals over lives; lower is better. Total: over all tasks after the "
    "last. Memory: over the tasks met so far, averaged over a life. The last column is paired over lives. Rates, scales and "
    "precisions of what is not meta-learned were chosen by total error on validation lives."
)


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    methods = {line.method: line for line in record.lines(MethodLine)}
    life, zero = record.settings(Config).life, record.last(ZeroLine).error
    return Page(
        title="SB-MCL's sine benchmark",
        lead=f"Lives of {life.num_tasks} unseen tasks met one after another, {life.num_shots} examples of each, once: from "
        f"{life.num_points} numbers of a noisy wave to as many of the same wave at another phase.",
        facts={
            f"{methods[name].title}, total error": short_estimate(estimate(methods[name].scores.total_error))
            for name in ("alpaca", *_BASELINES)
        }
        | {"predicting 0": f"{zero:.2f}"},
        sections=(
            _glance(methods),
            Section(title="What is compared", paragraphs=(what_is_compared(methods, zero),)),
            _course(methods, zero),
            _training(record),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _glance(methods: Methods) -> Section:
    return glance_section(
        methods,
        best_first(methods),
        reference="alpaca",
        highlight=("alpaca",),
        baselines=_BASELINES,
        task="task",
        caption=_CAPTION,
        scores=_SCORES,
    )


def _course(methods: Methods, zero: float) -> Section:
    shown = [methods[name] for name in ("alpaca", *_BASELINES)]
    return Section(
        title="In the course of a life",
        pictures=(course_picture(shown, "memory_curve", tasks="tasks", zero=zero),),
    )


def _training(record: RunRecord) -> Section:
    line = record.last(MetaLearningLine)
    figure = curves_figure({"ALPaCA": Curve(line.steps, line.nats)}, xlabel="steps", ylabel="nats a number")
    title = "How surprising further examples of lives are after the last task"
    text = f"Meta-learning: {line.training_seconds:,.0f} s, {record.manifest['threads']} threads."
    return Section(
        title="Meta-learning",
        paragraphs=(text,),
        pictures=(picture(title, "Means over the lives of 25 steps.", figure, alt="Loss of meta-learning by step"),),
    )
