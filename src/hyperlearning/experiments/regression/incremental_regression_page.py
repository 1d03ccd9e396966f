"""The page of `incremental-regression`, from its record alone."""

import numpy as np

from hyperlearning.data.sine_mixtures import DOMAIN
from hyperlearning.engine.lines import EpochLine
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.publish import footer_of
from hyperlearning.experiments.regression.incremental_regression import AnimationLine, Config, ExamplesLine, Frame
from hyperlearning.reports import (
    Curve,
    Page,
    Picture,
    Section,
    comparison_lives_figure,
    curves_figure,
    error_matrix_figure,
    life_animation,
    lives_figure,
    short_estimate,
)
from hyperlearning.systems.regression.lines import MethodLine, ValidationLine
from hyperlearning.systems.regression.page_parts import (
    Methods,
    best_first,
    life_curves,
    methods_picture,
    methods_table,
    picture,
    strongest_of,
)

_SCORES = ("total_error", "memory_error", "forgetting", "backward_transfer")
_COMPARED = ("dan", "dan_random", "mlp", "mlp_replay")
_BASELINES = ("mlp", "mlp_ewc", "mlp_replay", "rbf", "alpaca", "rls", "random_ridge", "lms")
_FOLDED = ("dan_random_joint", "mlp_joint", "rbf_joint", "lms")
"""Methods that the first table leaves to the section below."""


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    methods = {line.method: line for line in record.lines(MethodLine)}
    examples, animation = record.last(ExamplesLine), record.last(AnimationLine)
    stream = record.settings(Config).stream
    pace = "one example" if stream.batch_size == 1 else f"{stream.batch_size} examples"
    total, joint = (methods[name].scores.estimates()["total_error"] for name in ("dan", "dan_joint"))
    return Page(
        title="Incremental regression",
        lead=f"A network of Deep Artificial Neurons met functions it had never seen, in {stream.num_tasks} pieces one after "
        f"another, {pace} at a time, each piece once and nothing stored. Its neurons' shared phenotype was "
        "hyper-trained beforehand and fixed in life; only synapses learned, by plain backpropagation.",
        facts={
            f"total error after {stream.num_tasks} tasks": short_estimate(total),
            "the same, trained jointly": short_estimate(joint),
            "piece by piece / jointly": f"{total.mean / joint.mean:.2f}",
            "error of the paper": "about .03",
        },
        sections=(
            _glance(methods, examples, stream.num_tasks),
            _life_section(animation, stream.num_tasks),
            _comparison_section(methods, examples, stream.num_tasks),
            _course_section(methods),
            _training_section(record),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _glance(methods: Methods, examples: ExamplesLine, num_tasks: int) -> Section:
    figure = lives_figure(
        examples.grid, examples.functions, examples.predictions["dan"], num_tasks=num_tasks, edges=_edges(num_tasks)
    )
    table = methods_table(
        best_first({name: line for name, line in methods.items() if name not in _FOLDED}),
        methods["dan"],
        title=f"Methods on the same {len(methods['dan'].scores.total_error)} held-out functions",
        caption="Mean squared errors with 95 % intervals over functions; lower is better, but for backward transfer. "
        "Total: over all tasks after the last. Memory: over the tasks met so far, averaged over a life. "
        "The last column is paired over functions. A life that diverged counts with an error of 1.",
        scores=_SCORES,
    )
    shown = picture(
        "Four functions, learned piece by piece",
        "Each colour is the prediction over the whole function after learning one more piece (figure 3 of the paper). Dark: "
        "after the first; cyan: after the last.",
        figure,
        alt="Predictions of four functions after each task",
    )
    strongest = strongest_of(methods, _BASELINES)
    return Section(title="At a glance", paragraphs=(strongest,), pictures=(shown,), tables=(table,))


def _life_section(animation: AnimationLine, num_tasks: int) -> Section:
    moving = life_animation(
        animation.grid,
        animation.function,
        [(frame.update, frame.prediction, _met(animation, frame)) for frame in animation.frames],
        num_tasks=num_tasks,
        title="One life",
        edges=_edges(num_tasks),
    )
    shown = Picture(
        title="One life, update by update",
        caption="The shaded window is the one being learned; earlier windows are never seen again.",
        content=moving,
        kind="gif",
        alt="Animation of one function being learned",
    )
    return Section(title="One life", pictures=(shown,))


def _met(animation: AnimationLine, frame: Frame) -> list[list[float]]:
    """The examples of the current window met so far."""
    per_update, per_task = animation.examples_per_update, animation.updates_per_task
    first = max(frame.update - 1, 0) // per_task * per_task
    return animation.examples[first * per_update : frame.update * per_update]


def _comparison_section(methods: Methods, examples: ExamplesLine, num_tasks: int) -> Section:
    by_method = {methods[name].title: np.array(examples.predictions[name])[:, 0] for name in _COMPARED}
    notes = "; ".join(f"{line.title}: {line.note}" for line in methods.values())
    figure = comparison_lives_figure(
        examples.grid, examples.functions[0], by_method, num_tasks=num_tasks, edges=_edges(num_tasks)
    )
    return Section(
        title="Beside other methods",
        paragraphs=(
            "Every method meets the same functions and makes the same number of updates; networks and bumps that descend have "
            "the same number of plastic parameters, as nearly as can be, and readouts that are solved say what they keep. "
            f"{notes}.",
        ),
        pictures=(
            methods_picture(
                list(methods.values()), ("dan",), title="Total error after the last task", lives="functions"
            ),
            picture(
                "The same function, four methods",
                "What is left of earlier pieces when later ones have been learned.",
                figure,
                alt="One function learned by four methods",
            ),
        ),
    )


def _course_section(methods: Methods) -> Section:
    shown = [line for line in methods.values() if "joint" not in line.method]
    captions = {
        "total_curve": "Over all tasks, met or not (figure 4, top left, of the paper).",
        "memory_curve": "Over the tasks met so far (figure 4, top right, of the paper).",
    }
    curves = (
        picture(
            f"{name.removesuffix('_curve').capitalize()} error",
            caption,
            curves_figure(life_curves(shown, name), xlabel="tasks learned", ylabel="mean squared error", log_y=True),
            alt=f"{name.removesuffix('_curve').capitalize()} error by task",
        )
        for name, caption in captions.items()
    )
    matrix = picture(
        "Error matrix of the hyper-trained network",
        "Row: tasks learned so far. Column: the task tested. Left of the line is memory, right of it future.",
        error_matrix_figure(methods["dan"].error_matrix),
        alt="Error on every task after every task",
    )
    return Section(title="In the course of a life", pictures=(matrix, *curves))


def _training_section(record: RunRecord) -> Section:
    epochs, looks = record.lines(EpochLine), record.lines(ValidationLine)
    curves = {
        "hyper-loss": Curve([line.epoch for line in epochs], [line.hyper_loss for line in epochs]),
        "total error in deployment": Curve([line.epoch for line in looks], [line.total_error for line in looks]),
    }
    shown = picture(
        "Hyper-loss and deployment",
        "Hyper-loss: mean over members and outer steps of an epoch; in first-order epochs that is the whole course of a life, in "
        "polishing epochs its end alone, hence the drop. Deployment: on 64 validation functions.",
        curves_figure(curves, xlabel="epoch", ylabel="mean squared error", log_y=True),
        alt="Hyper-loss and validation error by epoch",
    )
    return Section(title="Hyper-training", paragraphs=(record.manifest["summary"],), pictures=(shown,))


def _edges(num_tasks: int) -> list[float]:
    return np.linspace(*DOMAIN, num_tasks + 1).tolist()
