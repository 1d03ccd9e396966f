"""The page of `incremental-regression`, from its record alone."""

from typing import Any

import numpy as np

from hyperlearning.data.sine_mixtures import DOMAIN
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate, paired_difference
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import (
    Curve,
    Page,
    Picture,
    Section,
    Table,
    comparison_lives_figure,
    curves_figure,
    error_matrix_figure,
    life_animation,
    lives_figure,
    methods_figure,
    png_bytes,
    short_estimate,
)

_SCORES = ("total_error", "memory_error", "forgetting", "backward_transfer")
_COMPARED = ("dan", "dan_random", "mlp", "mlp_replay")
Methods = dict[str, dict[str, Any]]


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    methods = {line["method"]: line for line in record.lines("method")}
    examples, animation = record.last("examples"), record.last("animation")
    stream = record.config["settings"]["stream"]
    num_tasks, batch_size = stream["num_tasks"], stream["batch_size"]
    pace = "one example" if batch_size == 1 else f"{batch_size} examples"
    total, joint = (_score(methods[name], "total_error") for name in ("dan", "dan_joint"))
    return Page(
        title="Incremental regression",
        lead=f"A network of Deep Artificial Neurons met functions it had never seen, in {num_tasks} pieces one after "
        f"another, {pace} at a time, each piece once and nothing stored. Its neurons' shared phenotype was "
        "hyper-trained beforehand and fixed in life; only synapses learned, by plain backpropagation.",
        facts={
            f"total error after {num_tasks} tasks": short_estimate(total),
            "the same, trained jointly": short_estimate(joint),
            "piece by piece / jointly": f"{total.mean / joint.mean:.2f}",
            "error of the paper": "about .03",
        },
        sections=(
            _lives_section(examples, animation, num_tasks),
            _comparison_section(methods, examples, num_tasks),
            _course_section(methods, num_tasks),
            _training_section(record),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def comparison_table(methods: Methods) -> Table:
    """All methods, best total error first, with the paired difference from the hyper-trained network."""
    ours = methods["dan"]["scores"]["total_error"]
    rows = []
    ordered = sorted(methods.values(), key=lambda line: np.mean(line["scores"]["total_error"]))
    for line in ordered:
        scores = (short_estimate(_score(line, name)) for name in _SCORES)
        difference = (
            "" if line["method"] == "dan" else short_estimate(paired_difference(line["scores"]["total_error"], ours))
        )
        title = f"{line['title']} ({line['num_diverged']} diverged)" if line["num_diverged"] else line["title"]
        rows.append((title, f"{line['num_plastic']:,}", *scores, difference))
    return Table(
        title=f"All methods on the same {len(ours)} held-out functions",
        header=("method", "plastic", "total error", "memory error", "forgetting", "backward transfer", "total - DAN's"),
        rows=tuple(rows),
        caption="Mean squared errors with 95 % intervals over functions; lower is better, but for backward transfer. "
        "Total: over all tasks after the last. Memory: over the tasks met so far, averaged over a life. "
        "The last column is paired over functions. A life that diverged counts with an error of 1.",
        highlight=(next(i for i, line in enumerate(ordered) if line["method"] == "dan"),),
    )


def _lives_section(examples: dict[str, Any], animation: dict[str, Any], num_tasks: int) -> Section:
    figure = lives_figure(
        examples["grid"],
        examples["functions"],
        examples["predictions"]["dan"],
        num_tasks=num_tasks,
        edges=_edges(num_tasks),
    )
    moving = life_animation(
        animation["grid"],
        animation["function"],
        [_frame(animation, frame) for frame in animation["frames"]],
        num_tasks=num_tasks,
        title="One life",
        edges=_edges(num_tasks),
    )
    return Section(
        title="What it looks like",
        pictures=(
            Picture(
                title="Four functions, learned piece by piece",
                caption="Each colour is the prediction over the whole function after learning one more piece "
                "(figure 3 of the paper). Dark: after the first; cyan: after the last.",
                content=png_bytes(figure),
                kind="png",
                alt="Predictions of four functions after each task",
            ),
            Picture(
                title="One life, update by update",
                caption="The shaded window is the one being learned; earlier windows are never seen again.",
                content=moving,
                kind="gif",
                alt="Animation of one function being learned",
            ),
        ),
    )


def _frame(animation: dict[str, Any], frame: dict[str, Any]) -> list[Any]:
    update, per_update = frame["update"], animation["examples_per_update"]
    current_task = max(update - 1, 0) // animation["updates_per_task"]
    first = current_task * animation["updates_per_task"]
    seen = animation["examples"][first * per_update : update * per_update]
    return [update, frame["prediction"], seen]


def _comparison_section(methods: Methods, examples: dict[str, Any], num_tasks: int) -> Section:
    totals = {line["title"]: _score(line, "total_error") for line in methods.values()}
    by_method = {methods[name]["title"]: np.array(examples["predictions"][name])[:, 0] for name in _COMPARED}
    notes = "; ".join(f"{line['title']}: {line['note']}" for line in methods.values())
    return Section(
        title="Beside other methods",
        paragraphs=(
            "Every method has the same number of plastic parameters, as nearly as can be, meets the same functions and "
            f"makes the same number of updates. {notes}.",
        ),
        tables=(comparison_table(methods),),
        pictures=(
            Picture(
                title="Total error after the last task",
                caption="Dots: means; bars: 95 % intervals over functions.",
                content=png_bytes(
                    methods_figure(totals, xlabel="mean squared error", log=True, highlight=(methods["dan"]["title"],))
                ),
                kind="png",
                alt="Total error of every method",
            ),
            Picture(
                title="The same function, four methods",
                caption="What is left of earlier pieces when later ones have been learned.",
                content=png_bytes(
                    comparison_lives_figure(
                        examples["grid"],
                        examples["functions"][0],
                        by_method,
                        num_tasks=num_tasks,
                        edges=_edges(num_tasks),
                    )
                ),
                kind="png",
                alt="One function learned by four methods",
            ),
        ),
    )


def _course_section(methods: Methods, num_tasks: int) -> Section:
    shown = [line for line in methods.values() if "joint" not in line["method"]]
    stages = list(range(num_tasks + 1))
    total = {line["title"]: _curve(stages, line["total_curve"]) for line in shown}
    memory = {line["title"]: _curve(stages[1:], line["memory_curve"]) for line in shown}
    return Section(
        title="In the course of a life",
        pictures=(
            Picture(
                title="Error matrix of the hyper-trained network",
                caption="Row: tasks learned so far. Column: the task tested. Left of the line is memory, right of it future.",
                content=png_bytes(error_matrix_figure(methods["dan"]["error_matrix"])),
                kind="png",
                alt="Error on every task after every task",
            ),
            Picture(
                title="Total error",
                caption="Over all tasks, met or not (figure 4, top left, of the paper).",
                content=png_bytes(
                    curves_figure(total, xlabel="tasks learned", ylabel="mean squared error", log_y=True)
                ),
                kind="png",
                alt="Total error by task",
            ),
            Picture(
                title="Memory error",
                caption="Over the tasks met so far (figure 4, top right, of the paper).",
                content=png_bytes(
                    curves_figure(memory, xlabel="tasks learned", ylabel="mean squared error", log_y=True)
                ),
                kind="png",
                alt="Memory error by task",
            ),
        ),
    )


def _training_section(record: RunRecord) -> Section:
    epochs, looks = record.lines("epoch"), record.lines("validation")
    curves = {
        "hyper-loss": Curve([line["epoch"] for line in epochs], [line["hyper_loss"] for line in epochs]),
        "total error in deployment": Curve([line["epoch"] for line in looks], [line["total_error"] for line in looks]),
    }
    return Section(
        title="Hyper-training",
        paragraphs=(record.manifest["summary"],),
        pictures=(
            Picture(
                title="Hyper-loss and deployment",
                caption="Hyper-loss: mean over members and outer steps of an epoch; in first-order epochs that is the whole "
                "course of a life, in polishing epochs its end alone, hence the drop. Deployment: on 64 validation "
                "functions.",
                content=png_bytes(curves_figure(curves, xlabel="epoch", ylabel="mean squared error", log_y=True)),
                kind="png",
                alt="Hyper-loss and validation error by epoch",
            ),
        ),
    )


def _edges(num_tasks: int) -> list[float]:
    return np.linspace(*DOMAIN, num_tasks + 1).tolist()


def _score(line: dict[str, Any], name: str) -> Estimate:
    return estimate(line["scores"][name])


def _curve(stages: list[int], course: dict[str, list[float]]) -> Curve:
    return Curve(stages, course["mean"], course["ci95"])
