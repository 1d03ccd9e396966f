"""What the experiments on images write down of lives lived."""

from typing import Any

import torch

from hyperlearning.core.rounding import rounded
from hyperlearning.core.seeding import generator
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.networks.parameter_counts import ParameterCounts
from hyperlearning.streams.class_incremental import ClassLives
from hyperlearning.systems.images.lives import Lives, course_of, scores_of


def append_method(
    record: RunRecord,
    method: str,
    title: str,
    note: str,
    counts: ParameterCounts | None,
    kind: str,
    lives: Lives,
    **facts: Any,
) -> None:
    """Appends a line `method`: one method on lives of one kind.

    Args:
        record: The run's record. A line of the same method, kind and number of tasks is not written twice.
        method: Its short name.
        title: What a figure calls it.
        note: What it is, in a sentence.
        counts: Its parameters, if plastic and innate ones differ.
        kind: Where the lives come from, one of `KINDS`.
        lives: How they went; earlier stages may be NaN, and then no course is written.
        facts: Anything further.
    """
    num_tasks = lives.memory.shape[-1]
    key = (method, kind, num_tasks)
    if any((line["method"], line["split"], line["num_tasks"]) == key for line in record.lines("method")):
        return
    matrix = lives.generalization.mean(0)
    more: dict[str, Any] = dict(facts)
    if torch.isfinite(matrix).all():
        more |= {"course": course_of(lives), "accuracy_matrix": rounded(lives.memory.mean(0))}
        more["generalization_matrix"] = rounded(matrix)
    record.append(
        "method",
        method=method,
        title=title,
        note=note,
        parameters=counts._asdict() if counts else None,
        split=kind,
        num_tasks=num_tasks,
        scores=scores_of(lives),
        **more,
    )


def joint_lives(lives: ClassLives, *, seed: int) -> ClassLives:
    """Mixes the batches of every life: as many, as large, of the same images, in no order of classes."""
    source = generator(seed, "joint order")
    num_tasks, num_lives, batch_size = lives.targets.shape[:3]
    order = torch.rand(num_lives, num_tasks * batch_size, generator=source).argsort(-1)
    member = torch.arange(num_lives)[:, None]

    def mixed(batches: torch.Tensor) -> torch.Tensor:
        flat = batches.transpose(0, 1).flatten(1, 2)[member, order]
        return flat.unflatten(1, (num_tasks, batch_size)).transpose(0, 1)

    return lives._replace(inputs=mixed(lives.inputs), targets=mixed(lives.targets))
