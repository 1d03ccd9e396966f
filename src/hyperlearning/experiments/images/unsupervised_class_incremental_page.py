"""The page of `unsupervised-class-incremental`, from its record alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import paired_difference
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
    reconstruction_animation,
    reconstruction_figure,
    short_estimate,
)
from hyperlearning.systems.images.page_parts import Line, kind_titles, methods_of, score
from hyperlearning.systems.images.reconstruction import unpack_images

_ROWS = ("learned", "never learned")
_COURSE = ("dan", "frozen", "finetune", "components", "mean_image")
_SCORES = ("memory", "generalization", "unseen", "forward_transfer", "forgetting")
_PARTS = {
    "memory": "images learned",
    "generalization": "other images of the classes met",
    "unseen": "images of classes not met yet",
}


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    settings, kinds = record.config["settings"], kind_titles(record)
    by_kind = {kind: methods_of(record, kind) for kind in ("meta_eval", "meta_test")}
    ours = by_kind["meta_eval"]["dan"]
    life = settings["life"]
    return Page(
        title="Unsupervised class-incremental learning",
        lead=f"An autoencoder of Deep Artificial Neurons met {life['num_tasks']} classes one after another, each once: "
        f"{life['num_instances']} images, {settings['deployment']['deployment_steps']} updates, nothing stored. What is innate "
        "was trained beforehand on other classes; only synapses learned, by plain backpropagation.",
        facts={
            "error on images learned, at the end": short_estimate(score(ours, "memory")),
            "on other images of the classes": short_estimate(score(ours, "generalization")),
            "on a class just before it is met": short_estimate(score(ours, "unseen")),
            "smaller than at birth by": short_estimate(score(ours, "forward_transfer")),
        },
        sections=(
            _pictures_section(record),
            *(
                Section(
                    title=f"Methods on {kinds[kind]}",
                    pictures=(_methods_picture(methods, kinds[kind]),),
                    tables=(_methods_table(methods, kinds[kind]),),
                )
                for kind, methods in by_kind.items()
            ),
            Section(
                title="In the course of a life",
                pictures=(
                    *(_course_picture(by_kind["meta_eval"], part, kinds["meta_eval"]) for part in _PARTS),
                    *_matrices(ours, kinds["meta_eval"]),
                ),
            ),
            _training_section(record),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _pictures_section(record: RunRecord) -> Section:
    line = record.last("pictures")
    side, steps, looks = line["side"], line["steps_per_task"], line["looks"]
    originals = _images(line["originals"], side)
    seen = dict(zip(looks, _images(line["reconstructions"], side), strict=True))
    first, middle, last = line["moments"]
    moments = {
        "after 1 update on the first class": seen[first],
        f"after {middle // steps} classes, {steps} updates each": seen[middle],
        f"after all {last // steps} classes": seen[last],
    }
    frames = [(_caption(look, steps), (look - 1) // steps if look else -1, made) for look, made in seen.items()]
    return Section(
        title="What it reconstructs",
        paragraphs=(
            "One life, as in figure 2 of the paper. Classes are met from left to right. Of each, one of the images learned and "
            "one that never is.",
        ),
        pictures=(
            Picture(
                title="Three moments",
                caption="Above: the image; below: what the autoencoder makes of it.",
                content=png_bytes(reconstruction_figure(originals, moments, row_names=_ROWS)),
                kind="png",
                alt="Images and reconstructions after one update, half of the classes and all of them",
            ),
            Picture(
                title="A life",
                caption="The frame marks the class at hand.",
                content=reconstruction_animation(originals, frames, row_names=_ROWS),
                kind="gif",
                alt="Reconstructions changing as one class after another is learned",
            ),
        ),
    )


def _caption(num_updates: int, steps: int) -> str:
    if not num_updates:
        return "at birth"
    updates = "1 update" if num_updates == 1 else f"{num_updates} updates"
    return f"{updates}, class {(num_updates - 1) // steps + 1}"


def _images(packed: Mapping[str, Any], side: int) -> np.ndarray:
    pixels = unpack_images(dict(packed)).numpy() / 255
    return pixels.reshape(*pixels.shape[:-1], side, side)


def _methods_table(methods: Mapping[str, Line], title: str) -> Table:
    ours = methods["dan"]["scores"]["generalization"]
    rows = []
    for line in sorted(methods.values(), key=lambda line: score(line, "generalization").mean):
        theirs = line["scores"]["generalization"]
        paired = line["method"] != "dan" and len(theirs) == len(ours)
        difference = short_estimate(paired_difference(theirs, ours)) if paired else ""
        cells = (short_estimate(score(line, name)) for name in _SCORES)
        rows.append((line["title"], line["note"], str(len(theirs)), *cells, difference))
    return Table(
        title=title,
        header=(
            "method",
            "what it is",
            "lives",
            "memory",
            "generalization",
            "unseen",
            "forward transfer",
            "forgetting",
            "generalization - DAN's",
        ),
        rows=tuple(rows),
        caption="Mean squared error of pixels from 0 to 1, with 95 % intervals over lives. Memory: at the end, on the images "
        "learned; generalization: on others of the same classes; unseen: on a class just before it is met; forward transfer: how "
        "much smaller that is than at birth; forgetting: how much larger the memory error is at the end than after the class. "
        "The last column is paired over lives.",
    )


def _methods_picture(methods: Mapping[str, Line], title: str) -> Picture:
    figure = methods_figure(
        {line["title"]: score(line, "generalization") for line in methods.values()},
        xlabel="mean squared error at the end of life, other images of the classes",
        log=True,
        highlight=(methods["dan"]["title"],),
    )
    return Picture(
        title=f"Generalization on {title}",
        caption="Dots: means; bars: 95 % intervals over lives.",
        content=png_bytes(figure),
        kind="png",
        alt=f"{title}: error of every method",
    )


def _course_picture(methods: Mapping[str, Line], part: str, title: str) -> Picture:
    curves = {}
    for line in (methods[name] for name in _COURSE if name in methods):
        course = line["course"][part]
        first = 0 if part == "unseen" else 1
        stages = list(range(first, first + len(course["mean"])))
        curves[line["title"]] = Curve(stages, course["mean"], course["ci95"])
    return Picture(
        title=f"Error on {_PARTS[part]}",
        caption="Mean over those classes; shaded: 95 % intervals over lives. The mean is over other classes at every stage: "
        "compare methods, not stages.",
        content=png_bytes(curves_figure(curves, xlabel="classes learned", ylabel="mean squared error")),
        kind="png",
        alt=f"{title}: error on {_PARTS[part]} by classes learned",
    )


def _matrices(line: Line, title: str) -> tuple[Picture, ...]:
    pictures = []
    for name, shown in (("memory", "images learned"), ("generalization", "other images of the classes")):
        figure = error_matrix_figure(line[f"{name}_matrix"])
        pictures.append(
            Picture(
                title=f"Error on {shown}, class by class",
                caption="Below the line: classes that had been learned; above it: still ahead.",
                content=png_bytes(figure),
                kind="png",
                alt=f"{title}: error matrix on {shown}",
            )
        )
    return tuple(pictures)


def _training_section(record: RunRecord) -> Section:
    systems, kinds = record.lines("system"), kind_titles(record)
    curves = {}
    for line in systems:
        for kind, name in kinds.items():
            points = [(look["images"], *look[kind]["generalization"]) for look in line["looks"]]
            curves[f"{line['label']}, {name}"] = Curve(*(list(column) for column in zip(*points, strict=True)))
    rows = tuple(
        (line["label"], f"{line['looks'][-1]['images']:,}", f"{line['training_seconds']:,.0f}") for line in systems
    )
    choice = record.last("deployment")
    trials = "; ".join(f"{share}: {error:.5f}" for share, error in choice["trials"].items()) or "none"
    return Section(
        title="Training",
        paragraphs=(
            f"Deployed with {choice['share']:g} of the rate of hyper-training, the best of the shares tried on meta-train lives "
            f"(error by share: {trials}).",
        ),
        pictures=(
            Picture(
                title="Error on other images of the classes over training",
                caption="At the end of lives as long as in hyper-training; without lives, as it is. Shaded: 95 % intervals.",
                content=png_bytes(
                    curves_figure(curves, xlabel="images met in training", ylabel="mean squared error", log_y=True)
                ),
                kind="png",
                alt="Error by images of training",
            ),
        ),
        tables=(Table(title="Compute", header=("system", "images met", "seconds"), rows=rows),),
    )
