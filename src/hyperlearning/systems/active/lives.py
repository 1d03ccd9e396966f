"""Lives of questions as jobs: train, test, choose, ask, and again."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from hyperlearning.acquisition.answers import Answer, Kind, Ledger, purity
from hyperlearning.acquisition.oracles import NONE_OF_OURS, TrueOracle, first_labelled, noisy_labels
from hyperlearning.acquisition.query import Query
from hyperlearning.core.params import Params
from hyperlearning.core.seeding import generator
from hyperlearning.engine.rounds import Played, Rounds, RoundsState
from hyperlearning.evaluation.calibration import calibration
from hyperlearning.systems.active.choosers import Chooser, Moment
from hyperlearning.systems.active.lines import RoundLine
from hyperlearning.systems.active.problem import Problem
from hyperlearning.systems.active.recipes import Labelled, Recipe
from hyperlearning.systems.active.settings import QuestionSettings

_MOST_SHOWN = 40
_KINDS: tuple[Kind, ...] = ("label", "new class", "rejected", "unsure")


def asking_job(
    problem: Problem,
    recipe: Recipe,
    chooser: Chooser,
    questions: QuestionSettings,
    *,
    seed: int,
    groups_C: Tensor | None = None,
    sizes: Sequence[int] = (),
) -> Rounds:
    """Builds the job of a life: a round trains on all answers so far, tests, and, but for the last, asks.

    Whatever does not belong to what chooses follows from the seed alone: what is labelled at the start, who is mislabelled, and
    the random numbers that each round is trained with.

    Args:
        problem: What is asked about.
        recipe: What is trained.
        chooser: What chooses.
        questions: How many, and who answers.
        seed: Of the life.
        groups_C: Groups of classes that noise stays in.
        sizes: Questions of each round, where they differ; `query_size` of the questions if absent.
    """
    sizes = sizes or (questions.query_size,) * questions.num_rounds
    named_N = answers_of(problem, questions, seed, groups_C)
    missing = torch.randperm(problem.num_classes, generator=generator(seed, "missing classes"))[: questions.num_missing]
    first = first_labelled(
        problem.labels_N, questions.first_labelled, generator(seed, "first labelled"), missing=missing.tolist()
    )
    start = Ledger(len(problem.images)).told(TrueOracle(named_N, costs={"label": 0.0}).answer(first, 0))

    def play(state: RoundsState, source: torch.Generator) -> Played:
        ledger, number, begun = _ledger(state.tensors, len(problem.images)), state.round, time.monotonic()
        learned_N = named_N if not questions.noise_is_redrawn else _redrawn(problem, questions, seed, number, groups_C)
        labelled = _labelled(ledger, learned_N)
        fitted = recipe.fit(labelled, generator(seed, f"training, round {number}"))
        found = calibration(fitted.test_probabilities(), problem.test_labels)
        trained = time.monotonic()
        pool_P = torch.tensor(ledger.pool(questions.policy))
        query, answers = None, []
        if number < len(sizes) and len(pool_P):
            moment = Moment(
                fitted,
                labelled,
                pool_P,
                generator(seed, f"views, round {number}"),
                source,
                partial(generator, seed, f"training, round {number + 1}"),
            )
            query = chooser.choose(moment, sizes[number])
            answers = TrueOracle(named_N).answer(pool_P[query.indices_B].tolist(), number + 1)
        line = RoundLine(
            round=number,
            num_labelled=len(ledger.labels()),
            spent=ledger.spent,
            accuracy=round(found.accuracy, 5),
            nats=round(found.nats, 5),
            ece=round(found.ece, 5),
            train_seconds=round(trained - begun, 3),
            choose_seconds=round(time.monotonic() - trained, 3),
        )
        line = _with_questions(line, ledger, problem.num_classes, state.facts)
        tied = {} if query is None else {"num_tied": query.num_tied}
        return Played(_tensors(ledger.told(answers)), tied, line, _note(line, query))

    source = generator(seed, f"choosing, {chooser.title}")
    initial = RoundsState(_tensors(start), {}, 0, source.get_state())
    return Rounds(initial=initial, play=play, num_rounds=len(sizes) + 1, source=source)


def answers_of(problem: Problem, questions: QuestionSettings, seed: int, groups_C: Tensor | None) -> Tensor:
    """What the oracle of a life calls every image."""
    if questions.noise_is_redrawn:
        return problem.labels_N
    return noisy_labels(problem.labels_N, questions.noise, generator(seed, "noise"), groups_C=groups_C)


def _redrawn(problem: Problem, questions: QuestionSettings, seed: int, number: int, groups_C: Tensor | None) -> Tensor:
    source = generator(seed, f"noise, round {number}")
    return noisy_labels(problem.labels_N, questions.noise, source, groups_C=groups_C)


def _labelled(ledger: Ledger, named_N: Tensor) -> Labelled:
    places = torch.tensor(sorted(ledger.labels()), dtype=torch.int64)
    return Labelled(places, named_N[places], torch.tensor(sorted(ledger.rejected()), dtype=torch.int64))


def _with_questions(line: RoundLine, ledger: Ledger, num_classes: int, facts: Mapping[str, int]) -> RoundLine:
    """A line that also says what the questions were whose answers were learned last."""
    asked = [answer for answer in ledger.answers if answer.round == line.round]
    if not line.round or not asked:
        return line
    places = [answer.place for answer in asked]
    return replace(
        line,
        purity=round(purity(asked), 5),
        balance=round(_balance(asked, num_classes), 5),
        num_tied=facts["num_tied"],
        asked=tuple(places if len(places) <= 2 * _MOST_SHOWN else [*places[:_MOST_SHOWN], *places[-_MOST_SHOWN:]]),
    )


def _balance(asked: Sequence[Answer], num_classes: int) -> float:
    labels = torch.tensor([int(answer.label) for answer in asked if answer.label is not None], dtype=torch.int64)
    if not len(labels) or num_classes == 1:
        return 0.0
    shares_C = labels.bincount(minlength=num_classes).double() / len(labels)
    return float(torch.special.entr(shares_C).sum()) / math.log(num_classes)


def _note(line: RoundLine, query: Query | None) -> str:
    asked = "" if query is None else f", {len(query.indices_B)} asked"
    return f"{line.num_labelled} labels: {line.accuracy:.4f}{asked}"


def _tensors(ledger: Ledger) -> Params:
    """A ledger as tensors, for a checkpoint."""
    answers = ledger.answers
    labels = [NONE_OF_OURS if answer.label is None else int(answer.label) for answer in answers]
    return {
        "places": torch.tensor([answer.place for answer in answers], dtype=torch.int64),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "kinds": torch.tensor([_KINDS.index(answer.kind) for answer in answers], dtype=torch.int64),
        "rounds": torch.tensor([answer.round for answer in answers], dtype=torch.int64),
        "costs": torch.tensor([answer.cost for answer in answers], dtype=torch.float64),
    }


def _ledger(tensors: Params, num_images: int) -> Ledger:
    rows = zip(*(tensors[name].tolist() for name in ("places", "labels", "kinds", "rounds", "costs")), strict=True)
    return Ledger(num_images).told(
        Answer(
            place=place,
            kind=_KINDS[kind],
            label=str(label) if _KINDS[kind] in ("label", "new class") else None,
            round=number,
            cost=cost,
        )
        for place, label, kind, number, cost in rows
    )
