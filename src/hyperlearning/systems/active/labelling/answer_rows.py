"""Answers out of files that people edit: what can be read is read, and what cannot be is named by line and path.

Nothing is told to the loop unless all of a file can be.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hyperlearning.core.errors import AnswerError
from hyperlearning.data.tables.text import read_text
from hyperlearning.systems.active.labelling.pool_files import PoolFiles
from hyperlearning.systems.active.labelling.tables import SIGNS
from hyperlearning.systems.active.loop import ActiveLoop
from hyperlearning.systems.active.questions import NOT_OURS, UNSURE, as_told

_DELIMITERS = (",", ";", "\t", "|")
_WRITTEN = {sign: answer for answer, sign in SIGNS.items()} | {"–": NOT_OURS, "—": NOT_OURS, "−": NOT_OURS}
"""Some editors put a longer dash in place of a hyphen."""


class AnswerRow(NamedTuple):
    """What a file says of an image.

    Attributes:
        where: The place in the file, for people.
        path: Of the image.
        text: A class, `NOT_OURS`, `UNSURE`, or nothing.
        annotator: Who says it.
    """

    where: str
    path: str
    text: str
    annotator: str = ""


def meant(text: str) -> str:
    """A class, `NOT_OURS` or `UNSURE`, from what somebody wrote.

    >>> meant(" ? "), meant("-"), meant(" cat ")
    ('(unsure)', '(not one of ours)', 'cat')
    """
    plain = text.strip()
    return _WRITTEN.get(plain, plain)


def read_csv(path: Path) -> list[AnswerRow]:
    """Reads a table with the columns `path` and `answer`, whatever editor saved it.

    Byte order marks, UTF-16 and Windows-1252, all line ends, commas, semicolons and tabs, quotes, further columns and blank lines
    are taken as they come. A column `annotator` is read where there is one.

    Raises:
        DataError: If it is not text.
        AnswerError: If the two columns are not there, or a quote is not closed.
    """
    lines = read_text(path, None)[0].split("\n")
    head = next((number for number, line in enumerate(lines) if line.strip(" ,;\t|")), 0)
    delimiter = next((mark for mark in _DELIMITERS if {"path", "answer"} <= set(_names(lines[head], mark))), None)
    if delimiter is None:
        raise AnswerError(
            f"Expected columns `path` and `answer` in line {head + 1} of {path}, but got '{lines[head][:80]}'."
        )
    names = _names(lines[head], delimiter)
    reader = csv.reader((line + "\n" for line in lines[head + 1 :]), delimiter=delimiter, strict=True)
    rows, number = list[AnswerRow](), head + 2
    try:
        for cells in reader:
            said = dict(zip(names, (cell.strip() for cell in cells), strict=False))
            where, number = f"line {number} of {path}", head + 2 + reader.line_num
            if any(said.values()):
                rows.append(
                    AnswerRow(where, said.get("path", ""), meant(said.get("answer", "")), said.get("annotator", ""))
                )
    except csv.Error as error:
        raise AnswerError(
            f"Expected quotes that are closed from line {number} of {path} on, but got: {error}."
        ) from error
    return rows


def _names(line: str, delimiter: str) -> list[str]:
    return [name.strip().strip('"').strip().casefold() for name in line.split(delimiter)]


def read_jsonl(path: Path) -> list[AnswerRow]:
    """Reads a JSON object a line, with `path` and `answer`, and `annotator` where there is one.

    Raises:
        AnswerError: If a line is none.
    """
    rows = list[AnswerRow]()
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            said: dict[str, Any] = json.loads(line)
            name, text, annotator = said["path"], said.get("answer") or "", said.get("annotator") or ""
            rows.append(AnswerRow(f"line {number} of {path}", str(name), meant(str(text)), str(annotator)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise AnswerError(
                f"Expected a JSON object with `path` and `answer` in line {number} of {path}, but got '{line[:80]}'."
            ) from error
    return rows


def check_complete(rows: Sequence[AnswerRow], pool: PoolFiles, wanted: Sequence[str], path: Path) -> None:
    """Raises if a queue has lost rows of questions that wait.

    Raises:
        AnswerError: If so, or a path is unknown; the message says what to do.
    """
    there = {pool.images[pool.place(row.path, row.where)] for row in rows}
    if lost := [name for name in wanted if name not in there]:
        raise AnswerError(
            f"Expected all {len(wanted)} questions that wait in {path}, but {len(lost)} of them not there, such as "
            f"'{lost[0]}': was it cut? Put the rows back, or take what it has with `--import {path}`: the others are asked again."
        )


def tell_rows(loop: ActiveLoop, pool: PoolFiles, rows: Sequence[AnswerRow], *, correct: bool = False) -> int:
    """Tells the loop what rows answer, all or, if one of them cannot be, none.

    Args:
        loop: Who is told.
        pool: Which files there are.
        rows: Rows without an answer are of no account, but their paths must be known.
        correct: Whether they stand in place of other answers of the same annotator.

    Returns:
        How many answers are new.

    Raises:
        AnswerError: If a path is unknown, two answers on an image differ, or two classes differ in case alone; the message names
            line and path.
    """
    before = loop.answers
    by_annotator: dict[str, dict[int, AnswerRow]] = {}
    for place, row in _answered(pool, rows):
        same = by_annotator.setdefault(row.annotator, {}).setdefault(place, row)
        if same.text != row.text:
            raise AnswerError(
                f"Expected one answer on '{row.path}', but got '{same.text}' in {same.where} and '{row.text}' in {row.where}."
            )
    replaced = {(annotator, place) for annotator, own in by_annotator.items() for place in own} if correct else set()
    kept = [own.label for own in before if own.label is not None and (own.annotator, own.place) not in replaced]
    _check_spelling([*loop.given_classes, *kept], [row for own in by_annotator.values() for row in own.values()])
    known = {(answer.annotator, answer.place): as_told(answer) for answer in before}
    waiting = {question.place for question in loop.waiting}
    told: list[tuple[str, dict[int, AnswerRow]]] = []
    for annotator, own in by_annotator.items():
        news = {
            place: row
            for place, row in own.items()
            if (annotator, place) not in known or place in waiting or known[annotator, place] != row.text
        }
        for place, row in news.items():
            if not correct and place not in waiting and (annotator, place) in known:
                raise AnswerError(
                    f"Expected the answer on '{row.path}' that was given before, '{known[annotator, place]}', but got "
                    f"'{row.text}' in {row.where}. If it shall be changed: `--correct`."
                )
        told.append((annotator, news))
    for annotator, news in told:
        if news:
            loop.tell(list(news), [row.text for row in news.values()], annotator=annotator, correct=correct)
    return sum(len(news) for _, news in told)


def _answered(pool: PoolFiles, rows: Sequence[AnswerRow]) -> Iterator[tuple[int, AnswerRow]]:
    for row in rows:
        place = pool.place(row.path, row.where)
        if row.text:
            yield place, row


def _check_spelling(classes: Sequence[str], rows: Sequence[AnswerRow]) -> None:
    """Raises if a class differs in case alone from one that is known, or from another."""
    spelled = {name.casefold(): (name, "known before") for name in classes}
    for row in rows:
        if row.text in ("", NOT_OURS, UNSURE):
            continue
        name, where = spelled.setdefault(row.text.casefold(), (row.text, row.where))
        if name != row.text:
            raise AnswerError(
                f"Expected one spelling of a class, but got '{name}' ({where}) and, of '{row.path}', '{row.text}' in {row.where}."
            )
