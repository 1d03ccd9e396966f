"""The page of `unsupervised-class-incremental`, from its record alone."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import paired_difference
from hyperlearning.experiments.images.unsupervised_class_incremental import Config, DeploymentLine
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
from hyperlearning.systems.images.autoencoder_lines import ErrorName, ReconstructionLine
from hyperlearning.systems.images.autoencoder_pictures import PicturesLine
from hyperlearning.systems.images.lines import SystemLine
from hyperlearning.systems.images.page_parts import compute_table, glance
from hyperlearning.systems.images.pools import Split, per_split, split_titles
from hyperlearning.systems.packed_images import PackedImages, unpack_images

_ROWS = ("learned", "never learned")
_COURSE = ("dan", "frozen", "finetune", "components", "mean_image")
_SCORES: tuple[ErrorName, ...] = ("memory", "generalization", "unseen", "forward_transfer", "forgetting")
_PARTS: Mapping[ErrorName, str] = {
    "memory": "images learned",
    "generalization": "other images of the classes met",
    "unseen": "images of classes not met yet",
}


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    config = record.settings(Config)
    splits, life = split_titles(config.data), config.life
    # What was trained on another data set comes first.
    by_split = per_split(partial(_methods_of, record), ("meta_eval", "meta_test"))
    on_eval = by_split["meta_eval"]
    ours, pictures = on_eval["dan"], record.last(PicturesLine)
    return Page(
        title="Unsupervised class-incremental learning",
        lead=f"An autoencoder of Deep Artificial Neurons met {life.num_tasks} classes one after another, each once: "
        f"{life.num_instances} images, {config.deployment.deployment_steps} updates, nothing stored. What is innate was trained "
        "beforehand on other classes; only synapses learned, by plain backpropagation.",
        facts={
            "error on images learned, at the end": short_estimate(ours.estimate("memory")),
            "on other images of the classes": short_estimate(ours.estimate("generalization")),
            "on a class just before it is met": short_estimate(ours.estimate("unseen")),
            "smaller than at birth by": short_estimate(ours.estimate("forward_transfer")),
        },
        sections=(
            glance(_moments_picture(pictures), _glance_table(on_eval, splits["meta_eval"]), _ONE_LIFE),
            Section(title="What it reconstructs", pictures=(_life_picture(pictures),)),
            *(
                Section(
                    title=f"Methods on {splits[split]}",
                    pictures=(_methods_picture(methods, splits[split]),),
                    tables=(_methods_table(methods, splits[split]),),
                )
                for split, methods in by_split.items()
            ),
            Section(
                title="In the course of a life",
                pictures=(
                    *(_course_picture(on_eval, part, splits["meta_eval"]) for part in _PARTS),
                    *_matrices(ours, splits["meta_eval"]),
                ),
            ),
            _training_section(record.lines(SystemLine), record.last(DeploymentLine), splits),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _methods_of(record: RunRecord, split: Split) -> dict[str, ReconstructionLine]:
    return {line.method: line for line in record.lines(ReconstructionLine) if line.split == split}


_ONE_LIFE = (
    "One life, as in figure 2 of the paper. Classes are met from left to right. Of each, one of the images learned and one that "
    "never is."
)


def _glance_table(methods: Mapping[str, ReconstructionLine], title: str) -> Table:
    rows = sorted(methods.values(), key=lambda line: line.estimate("generalization").mean)
    return Table(
        title=f"Mean squared error of pixels, {title}",
        header=("method", *_PARTS.values()),
        rows=tuple((line.title, *(short_estimate(line.estimate(name)) for name in _PARTS)) for line in rows),
        caption="With 95 % intervals over lives, best first: at the end, on images learned and on others of their classes; and "
        "on a class just before it is met. Principal components and the mean image are the baselines that cost nothing.",
    )


def _moments_picture(line: PicturesLine) -> Picture:
    steps, originals = line.steps_per_task, _images(line.originals, line.side)
    seen = dict(zip(line.looks, _images(line.reconstructions, line.side), strict=True))
    first, middle, last = line.moments
    moments = {
        "after 1 update on the first class": seen[first],
        f"after {middle // steps} classes, {steps} updates each": seen[middle],
        f"after all {last // steps} classes": seen[last],
    }
    return Picture(
        title="Three moments",
        caption="Above: the image; below: what the autoencoder makes of it.",
        content=png_bytes(reconstruction_figure(originals, moments, row_names=_ROWS)),
        alt="Images and reconstructions after one update, half of the classes and all of them",
    )


def _life_picture(line: PicturesLine) -> Picture:
    steps, originals = line.steps_per_task, _images(line.originals, line.side)
    seen = zip(line.looks, _images(line.reconstructions, line.side), strict=True)
    frames = [(_caption(look, steps), (look - 1) // steps if look else -1, made) for look, made in seen]
    return Picture(
        title="A life",
        caption="The frame marks the class at hand.",
        content=reconstruction_animation(originals, frames, row_names=_ROWS),
        kind="gif",
        alt="Reconstructions changing as one class after another is learned",
    )


def _caption(num_updates: int, steps: int) -> str:
    if not num_updates:
        return "at birth"
    updates = "1 update" if num_updates == 1 else f"{num_updates} updates"
    return f"{updates}, class {(num_updates - 1) // steps + 1}"


def _images(packed: PackedImages, side: int) -> np.ndarray:
    pixels = unpack_images(packed) / 255
    return pixels.reshape(*pixels.shape[:-1], side, side)


def _methods_table(methods: Mapping[str, ReconstructionLine], title: str) -> Table:
    ours, scores = methods["dan"].scores.generalization, (name.replace("_", " ") for name in _SCORES)
    rows = []
    for line in sorted(methods.values(), key=lambda line: line.estimate("generalization").mean):
        theirs = line.scores.generalization
        paired = line.method != "dan" and len(theirs) == len(ours)
        difference = short_estimate(paired_difference(theirs, ours)) if paired else ""
        cells = (short_estimate(line.estimate(name)) for name in _SCORES)
        rows.append((line.title, line.note, str(len(theirs)), *cells, difference))
    return Table(
        title=title,
        header=("method", "what it is", "lives", *scores, "generalization - DAN's"),
        rows=tuple(rows),
        caption="Mean squared error of pixels from 0 to 1, with 95 % intervals over lives. Memory: at the end, on the images "
        "learned; generalization: on others of the same classes; unseen: on a class just before it is met; forward transfer: how "
        "much smaller that is than at birth; forgetting: how much larger the memory error is at the end than after the class. "
        "The last column is paired over lives.",
    )


def _methods_picture(methods: Mapping[str, ReconstructionLine], title: str) -> Picture:
    figure = methods_figure(
        {line.title: line.estimate("generalization") for line in methods.values()},
        xlabel="mean squared error at the end of life, other images of the classes",
        log=True,
        highlight=(methods["dan"].title,),
    )
    return Picture(
        title=f"Generalization on {title}",
        caption="Dots: means; bars: 95 % intervals over lives.",
        content=png_bytes(figure),
        alt=f"{title}: error of every method",
    )


def _course_picture(methods: Mapping[str, ReconstructionLine], part: ErrorName, title: str) -> Picture:
    curves = {}
    for line in (methods[name] for name in _COURSE if name in methods):
        course = line.course._asdict()[part]
        first = 0 if part == "unseen" else 1
        stages = list(range(first, first + len(course.mean)))
        curves[line.title] = Curve(stages, course.mean, course.ci95)
    return Picture(
        title=f"Error on {_PARTS[part]}",
        caption="Mean over those classes; shaded: 95 % intervals over lives. The mean is over other classes at every stage: "
        "compare methods, not stages.",
        content=png_bytes(curves_figure(curves, xlabel="classes learned", ylabel="mean squared error")),
        alt=f"{title}: error on {_PARTS[part]} by classes learned",
    )


def _matrices(line: ReconstructionLine, title: str) -> tuple[Picture, ...]:
    matrices = {
        "images learned": line.memory_matrix,
        "other images of the classes": line.generalization_matrix,
    }
    return tuple(
        Picture(
            title=f"Error on {shown}, class by class",
            caption="Below the line: classes that had been learned; above it: still ahead.",
            content=png_bytes(error_matrix_figure(matrix)),
            alt=f"{title}: error matrix on {shown}",
        )
        for shown, matrix in matrices.items()
    )


def _training_section(systems: Sequence[SystemLine], choice: DeploymentLine, splits: Mapping[Split, str]) -> Section:
    curves = {}
    for line in systems:
        for split, name in splits.items():
            points = [(look.images, *look.of(split).generalization) for look in line.looks]
            curves[f"{line.label}, {name}"] = Curve(*(list(column) for column in zip(*points, strict=True)))
    trials = "; ".join(f"{share}: {error:.5f}" for share, error in choice.trials.items()) or "none"
    figure = curves_figure(curves, xlabel="images met in training", ylabel="mean squared error", log_y=True)
    return Section(
        title="Training",
        paragraphs=(
            f"Deployed with {choice.share:g} of the rate of hyper-training, the best of the shares tried on meta-train lives "
            f"(error by share: {trials}).",
        ),
        pictures=(
            Picture(
                title="Error on other images of the classes over training",
                caption="At the end of lives as long as in hyper-training; without lives, as it is. Shaded: 95 % intervals.",
                content=png_bytes(figure),
                alt="Error by images of training",
            ),
        ),
        tables=(compute_table(systems),),
    )
