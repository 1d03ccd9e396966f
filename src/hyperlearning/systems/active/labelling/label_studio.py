"""Questions to Label Studio and answers back, by its JSON: no server is needed here.

Format: Label Studio's guides on tasks and on predictions. A task has `data`, here with `image`; predictions and annotations have
a `result`, a list of choices with `from_name` and `to_name` as in the labelling interface.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import quoteattr

from hyperlearning.acquisition.answers import Answer
from hyperlearning.core.errors import AnswerError
from hyperlearning.systems.active.labelling.answer_rows import AnswerRow, meant
from hyperlearning.systems.active.labelling.directory import Labelling
from hyperlearning.systems.active.labelling.pool_files import PoolFiles
from hyperlearning.systems.active.questions import NOT_OURS, UNSURE, Prediction, as_told

_FROM, _TO = "choice", "image"
_ANSWER = "answer-"
"""What the id of a result begins with that says what was answered here: one that comes back is known again by it."""


def tasks(labelling: Labelling) -> list[dict[str, Any]]:
    """The questions that wait, with predictions where two classes are known, then what was answered, as annotations.

    Images are addressed as Label Studio serves local files, from the folder that the images' folder lies in.
    """
    loop, folder = labelling.loop, Path(labelling.state.folder)
    said = loop.predict() if len(set(loop.labels().values())) > 1 else None
    by_place: dict[int, list[tuple[int, Answer]]] = {}
    for number, answer in enumerate(loop.answers):
        by_place.setdefault(answer.place, []).append((number, answer))
    waiting = [question.place for question in loop.waiting]
    return [
        {
            "data": {
                "image": f"/data/local-files/?d={quote(f'{folder.name}/{labelling.pool.images[place]}')}",
                "path": labelling.pool.images[place],
                "why": loop.asked[place].why if place in loop.asked else "",
            },
            "annotations": [_annotation(number, answer) for number, answer in by_place.get(place, [])],
            "predictions": [_prediction(place, said)] if said is not None and place not in by_place else [],
        }
        for place in dict.fromkeys([*waiting, *by_place])
    ]


def interface(classes: Sequence[str]) -> str:
    """The labelling interface that the tasks are for, as XML."""
    choices = "\n".join(f"    <Choice value={quoteattr(name)}/>" for name in [*classes, NOT_OURS, UNSURE])
    return (
        f'<View>\n  <Image name="{_TO}" value="$image"/>\n  <Choices name="{_FROM}" toName="{_TO}" choice="single">\n{choices}\n'
        "  </Choices>\n</View>\n"
    )


def read_label_studio(path: Path, pool: PoolFiles, answers: Sequence[Answer]) -> list[AnswerRow]:
    """Reads annotations of choices. Skipped annotations and tasks without one answer nothing.

    Args:
        path: What Label Studio exported as JSON.
        pool: Which files there are.
        answers: Those so far: annotations that were exported from here are told from those of others.

    Raises:
        AnswerError: If it is no such file, a task's image is not in the folder, or an annotation has several choices.
    """
    try:
        read: Any = json.loads(path.read_text("utf-8-sig"))
    except ValueError as error:
        raise AnswerError(f"Expected JSON of Label Studio in {path}, but it cannot be read: {error}.") from error
    return [
        row for number, task in enumerate(_task_list(read, path), 1) for row in _rows(task, number, path, pool, answers)
    ]


def _task_list(read: Any, path: Path) -> list[Mapping[str, Any]]:
    found = read if isinstance(read, list) else [read]
    for number, task in enumerate(found, 1):
        if not (isinstance(task, dict) and isinstance(task.get("data"), dict)):
            raise AnswerError(
                f"Expected tasks with `data` in {path}, but number {number} has none. Label Studio's export is called JSON, not "
                "JSON-MIN."
            )
    return found


def _rows(
    task: Mapping[str, Any], number: int, path: Path, pool: PoolFiles, answers: Sequence[Answer]
) -> Iterator[AnswerRow]:
    where = f"task {task.get('id', number)} of {path}"
    annotations = [own for own in task.get("annotations", []) if not own.get("was_cancelled")]
    if not annotations:
        return
    name = _path_of(task["data"], pool, where)
    for annotation in annotations:
        results = [own for own in annotation.get("result", []) if own.get("type") == "choices"]
        chosen = [(own, text) for own in results for text in own["value"]["choices"]]
        if len(chosen) > 1:
            raise AnswerError(
                f"Expected one choice for '{name}' in {where}, but got {', '.join(text for _, text in chosen)}."
            )
        for result, text in chosen:
            own = _own_answer(result, pool.place(name, where), answers)
            annotator = own.annotator if own is not None else _annotator(annotation.get("completed_by"))
            yield AnswerRow(where, name, meant(str(text)), annotator)


def _path_of(data: Mapping[str, Any], pool: PoolFiles, where: str) -> str:
    """The image's path: as it was exported, or the longest one in the folder that the address ends in."""
    if "path" in data:
        return str(data["path"])
    address = urlsplit(str(data.get("image", "")))
    parts = PurePosixPath(parse_qs(address.query).get("d", [unquote(address.path)])[0]).parts
    ends = ["/".join(parts[start:]) for start in range(len(parts))]
    found = next((name for name in ends if name in pool.places), None)
    if found is None:
        raise AnswerError(
            f"Expected the address of an image of the folder in {where}, but got '{data.get('image', '')}'."
        )
    return found


def _own_answer(result: Mapping[str, Any], place: int, answers: Sequence[Answer]) -> Answer | None:
    """The answer that was exported as this result, if it is one."""
    number = str(result.get("id", "")).removeprefix(_ANSWER)
    known = str(result.get("id", "")).startswith(_ANSWER) and number.isdecimal() and int(number) < len(answers)
    return answers[int(number)] if known and answers[int(number)].place == place else None


def _annotator(completed_by: Any) -> str:
    if isinstance(completed_by, dict):
        return str(completed_by.get("email", completed_by.get("id", "")))
    return "" if completed_by is None else str(completed_by)


def _annotation(number: int, answer: Answer) -> dict[str, Any]:
    return {"result": [_result(f"{_ANSWER}{number}", as_told(answer))]}


def _prediction(place: int, said: Prediction) -> dict[str, Any]:
    return {
        "model_version": "hyperlearning",
        "score": round(float(said.confidence_N[place]), 4),
        "result": [_result(f"prediction-{place}", said.labels[place])],
    }


def _result(name: str, text: str) -> dict[str, Any]:
    return {"id": name, "type": "choices", "from_name": _FROM, "to_name": _TO, "value": {"choices": [text]}}
