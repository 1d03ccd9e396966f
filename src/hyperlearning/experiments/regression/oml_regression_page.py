"""The page of `oml-regression`, from its record alone."""

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
    error_matrix_figure,
    methods_figure,
    png_bytes,
    short_estimate,
)

_SCORES = ("total_error", "memory_error", "forgetting", "backward_transfer")
_SYSTEMS = {"oml": "OML", "dan": "DAN network"}
Methods = dict[str, dict[str, Any]]


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    methods = {line["method"]: line for line in record.lines("method")}
    life, zero = record.config["settings"]["life"], record.last("zero")["error"]
    num_tasks, updates = life["num_tasks"], life["updates_per_task"]
    return Page(
        title="OML's sine waves",
        lead=f"Lives of {num_tasks} unseen sine waves met one after another, {updates} updates of {life['batch_size']} points "
        "each, nothing stored. Hyper-training of OML and of the DAN network is exact to second order, through whole lives.",
        facts={
            "OML, total error": short_estimate(_score(methods["oml"], "total_error")),
            "DAN network, total error": short_estimate(_score(methods["dan"], "total_error")),
            "scratch, finetuned": short_estimate(_score(methods["scratch"], "total_error")),
            "predicting 0": f"{zero:.2f}",
        },
        sections=(_comparison_section(methods, zero), _course_section(methods, zero), _training_section(record)),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def comparison_table(methods: Methods) -> Table:
    """All methods, best total error first, with the paired difference from OML."""
    ours = methods["oml"]["scores"]["total_error"]
    ordered = sorted(methods.values(), key=lambda line: np.mean(line["scores"]["total_error"]))
    rows = []
    for line in ordered:
        scores = (short_estimate(_score(line, name)) for name in _SCORES)
        difference = (
            "" if line["method"] == "oml" else short_estimate(paired_difference(line["scores"]["total_error"], ours))
        )
        title = f"{line['title']} ({line['num_diverged']} diverged)" if line["num_diverged"] else line["title"]
        rows.append((title, f"{line['num_plastic']:,}", f"{line['num_innate']:,}", *scores, difference))
    return Table(
        title=f"All methods on the same {len(ours)} held-out lives",
        header=(
            "method",
            "plastic",
            "innate",
            "total error",
            "memory error",
            "forgetting",
            "backward transfer",
            "total - OML's",
        ),
        rows=tuple(rows),
        caption="Mean squared errors with 95 % intervals over lives; lower is better, but for backward transfer. Total: over all "
        "waves after the last. Memory: over the waves met so far, averaged over a life. The last column is paired over "
        "lives. The order of hyper-training's gradient is two. Rates and strengths of what is not hyper-trained were chosen by "
        "total error on validation lives. A life that diverged counts with an error of 13.",
        highlight=tuple(i for i, line in enumerate(ordered) if line["method"] in _SYSTEMS),
    )


def _comparison_section(methods: Methods, zero: float) -> Section:
    totals = {line["title"]: _score(line, "total_error") for line in methods.values()}
    notes = "; ".join(f"{line['title']}: {line['note']}" for line in methods.values())
    return Section(
        title="Beside other methods",
        paragraphs=(
            f"Every method meets the same lives. {notes}. Predicting 0 throughout has a mean error of {zero:.2f}.",
        ),
        tables=(comparison_table(methods),),
        pictures=(
            Picture(
                title="Total error after the last wave",
                caption="Dots: means; bars: 95 % intervals over lives.",
                content=png_bytes(
                    methods_figure(
                        totals,
                        xlabel="mean squared error",
                        log=True,
                        highlight=tuple(methods[name]["title"] for name in _SYSTEMS),
                    )
                ),
                kind="png",
                alt="Total error of every method",
            ),
        ),
    )


def _course_section(methods: Methods, zero: float) -> Section:
    shown = [line for line in methods.values() if "joint" not in line["method"] and "random" not in line["method"]]
    stages = list(range(len(shown[0]["total_curve"]["mean"])))
    curves = {
        "Error on the waves met so far": {line["title"]: _curve(stages[1:], line["memory_curve"]) for line in shown},
        "Error on all waves": {line["title"]: _curve(stages, line["total_curve"]) for line in shown},
    }
    matrices = tuple(
        Picture(
            title=f"Error matrix: {methods[name]['title']}",
            caption="Row: waves learned so far. Column: the wave tested. Left of the line is memory, right of it future. "
            "Means over lives, with half-widths of 95 % intervals.",
            content=png_bytes(
                error_matrix_figure(methods[name]["error_matrix"], ci95=methods[name]["error_matrix_ci95"])
            ),
            kind="png",
            alt=f"Error on every wave after every wave, {methods[name]['title']}",
        )
        for name in ("oml", "dan", "scratch")
    )
    pictures = tuple(
        Picture(
            title=title,
            caption="Means with 95 % intervals over lives.",
            content=png_bytes(
                curves_figure(
                    found,
                    xlabel="waves learned",
                    ylabel="mean squared error",
                    log_y=True,
                    references={"predicting 0": zero},
                )
            ),
            kind="png",
            alt=title,
        )
        for title, found in curves.items()
    )
    return Section(title="In the course of a life", pictures=(*pictures, *matrices))


def _training_section(record: RunRecord) -> Section:
    systems = {line["system"]: line for line in record.lines("system")}
    curves = {}
    for name, title in _SYSTEMS.items():
        line = systems[name]
        curves[f"{title}, hyper-loss"] = Curve(line["epochs"], line["hyper_loss"])
        looks = line["looks"]
        curves[f"{title}, deployed"] = Curve([x["epoch"] for x in looks], [x["total_error"] for x in looks])
    seconds = ", ".join(f"{name} {line['training_seconds']:,.0f} s" for name, line in systems.items())
    return Section(
        title="Hyper-training",
        paragraphs=(f"Training: {seconds}, {record.manifest['threads']} threads.",),
        pictures=(
            Picture(
                title="Hyper-loss and deployment",
                caption="Hyper-loss: on the training lives of a generation, at their end. Deployed: "
                "total error on validation lives.",
                content=png_bytes(
                    curves_figure(curves, xlabel="outer updates", ylabel="mean squared error", log_y=True)
                ),
                kind="png",
                alt="Hyper-loss and validation error by outer update",
            ),
        ),
    )


def _score(line: dict[str, Any], name: str) -> Estimate:
    return estimate(line["scores"][name])


def _curve(stages: list[int], course: dict[str, list[float]]) -> Curve:
    return Curve(stages, course["mean"], course["ci95"])
