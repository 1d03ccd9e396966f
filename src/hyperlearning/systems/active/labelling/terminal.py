"""Answers at a terminal, one image's path at a time; each is saved before the next question."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from hyperlearning.core.errors import AnswerError
from hyperlearning.systems.active.labelling.answer_rows import meant
from hyperlearning.systems.active.labelling.directory import Labelling

HELP = (
    "Type a class or the number of one; `?` unsure, `-` not one of ours, `u` undo, `q` quit. `=NAME` is the class NAME, whatever "
    "it looks like. Each answer is saved at once."
)


def answer_at_terminal(labelling: Labelling, read_line: Callable[[], str], say: Callable[[str], None]) -> None:
    """Asks until the budget is spent, nothing is left, or whoever answers quits.

    Args:
        labelling: What is labelled; saved after every answer.
        read_line: Gives what was typed, a line each with its line feed; nothing means quit.
        say: Shows a text, without a line feed of its own.
    """
    say(f"{HELP}\n")
    while labelling.num_left:
        if not labelling.loop.waiting:
            labelling.ask()
            labelling.save()
        question = labelling.loop.waiting[0]
        image = Path(labelling.state.folder) / labelling.pool.images[question.place]
        num = len(labelling.loop.answers)
        say(f"\n{_numbered(labelling.loop.classes)}[{num + 1}/{labelling.state.budget}] {image} ({question.why})\n> ")
        line = read_line()
        if not line or line.strip() == "q":
            say("\n" if not line else "")
            return
        _take(labelling, question.place, line.strip(), say)


def _take(labelling: Labelling, place: int, text: str, say: Callable[[str], None]) -> None:
    """Takes one line, and saves what follows from it."""
    loop = labelling.loop
    try:
        if text == "u":
            own = [answer.place for answer in loop.answers if not answer.annotator]
            if not own:
                raise AnswerError("Expected an answer to take back, but there is none.")
            loop.take_back(own[-1:])
        elif text:
            loop.tell([place], [_class_of(text, loop.classes)])
        labelling.save()
    except AnswerError as error:
        say(f"{error}\n")


def _class_of(text: str, classes: Sequence[str]) -> str:
    if text.startswith("="):
        return text[1:]
    if text in classes or not _numbers_mean_classes(classes) or not re.fullmatch("[0-9]+", text):
        return meant(text)
    if not 1 <= int(text) <= len(classes):
        raise AnswerError(f"Expected the number of a class from 1 to {len(classes)}, but got {text}.")
    return classes[int(text) - 1]


def _numbers_mean_classes(classes: Sequence[str]) -> bool:
    """Whether a number stands for a class: not where classes themselves are called by numbers."""
    return bool(classes) and not any(re.fullmatch("[0-9]+", name) for name in classes)


def _numbered(classes: Sequence[str]) -> str:
    if not _numbers_mean_classes(classes):
        return f"Classes: {', '.join(classes)}\n" if classes else ""
    return "  ".join(f"{number} {name}" for number, name in enumerate(classes, 1)) + "\n"
