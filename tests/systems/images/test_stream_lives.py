"""Lives on streams of the digits: what is learned is what was asked about, exactly, and nothing depends on looking ahead."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from tests.engine.resuming import check_goes_on_to_the_same_bits
from torch.nn.functional import one_hot

from hyperlearning.acquisition.stream_rules import STREAM_RULES, StreamRuleName
from hyperlearning.core.errors import QueryError
from hyperlearning.experiments.images.continual_active import Config
from hyperlearning.experiments.loading import load
from hyperlearning.experiments.shipped import IMAGES, shipped
from hyperlearning.learners.closed_form.least_squares import ridge
from hyperlearning.streams.image_streams import StreamName
from hyperlearning.systems.images import stream_lives
from hyperlearning.systems.images.stream_comparison import (
    EVERYTHING,
    StreamFeatures,
    StreamLifeLine,
    StreamPlan,
    StreamSettings,
    begins,
    drawn_stream,
    seen_by,
    stream_job,
    stream_pools,
)
from hyperlearning.systems.images.stream_lives import (
    LifeName,
    Lived,
    SolvedLife,
    StreamLife,
    live_all,
    live_stream,
    with_constant,
)
from hyperlearning.systems.images.trained import TrainedClassifier

LIVES: tuple[LifeName, ...] = ("ridge", "dan")
DATA = StreamSettings(dataset="digits", num_images=120, num_tests=10, tail_ratio=10.0)


@pytest.fixture(scope="module")
def run() -> TrainedClassifier:
    return load(shipped(IMAGES))


def planned(run: TrainedClassifier) -> StreamPlan:
    return StreamPlan(
        config=Config(),
        data=DATA,
        run=run,
        streams=("classes",),
        lives=LIVES,
        rules=("random", "doubt_evenly"),
        budgets=(5, 12),
        precision=0.1,
        num_lives=2,
        seed=0,
    )


def seen(run: TrainedClassifier, name: StreamName = "classes", seed: int = 0) -> StreamFeatures:
    plan = planned(run)
    return seen_by(run, drawn_stream(plan, stream_pools(DATA, run.side), name, seed))


def lived(
    begin: Callable[[], StreamLife], stream: StreamFeatures, rule: StreamRuleName = "doubt_evenly", budget: int = 20
) -> Lived:
    source = torch.Generator().manual_seed(0)
    labels_N = stream.stream.labels
    return live_stream(begin, STREAM_RULES[rule], stream.features_NF, labels_N, budget=budget, source=source)


@pytest.mark.parametrize("budget", [1, 20, 120])
def test_a_solved_head_is_ridge_on_what_was_asked_about(run: TrainedClassifier, budget: int):
    stream = seen(run)
    found = lived(partial(SolvedLife, stream.features_NF.shape[1], 10, precision=0.1), stream, budget=budget)
    assert isinstance(found.life, SolvedLife)
    inputs = with_constant(stream.features_NF)[list(found.asked)]
    codes = one_hot(stream.stream.labels[list(found.asked)], 10).double()
    torch.testing.assert_close(
        found.life.head.state["weights"], ridge(inputs, codes, precision=0.1), rtol=1e-9, atol=1e-10
    )
    system = inputs.T @ inputs + 0.1 * torch.eye(inputs.shape[1], dtype=torch.float64)
    tests = with_constant(stream.tests_TF)
    leverage = (tests * torch.linalg.solve(system, tests.T).T).sum(-1)
    torch.testing.assert_close(found.life.leverage(stream.tests_TF), leverage, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("life", LIVES)
@pytest.mark.parametrize("rule", sorted(STREAM_RULES))
def test_a_budget_is_spent_and_no_image_is_asked_about_twice(
    run: TrainedClassifier, life: LifeName, rule: StreamRuleName
):
    stream = seen(run, "shuffled_tail")
    asked = lived(begins(planned(run), life, stream), stream, rule, budget=9).asked
    assert list(asked) == sorted(set(asked))
    assert len(asked) == 9


@pytest.mark.parametrize("life", LIVES)
def test_answers_that_were_not_asked_for_are_never_looked_at(run: TrainedClassifier, life: LifeName):
    stream = seen(run)
    begin = begins(planned(run), life, stream)
    found = lived(begin, stream)
    others = torch.ones(len(stream.stream.labels), dtype=torch.bool)
    others[list(found.asked)] = False
    labels_N = stream.stream.labels.masked_fill(others, 99)  # An output that neither life has.
    changed = stream._replace(stream=stream.stream._replace(labels=labels_N))
    again = lived(begin, changed)
    assert again.asked == found.asked
    assert torch.equal(again.life.logits(stream.tests_TF), found.life.logits(stream.tests_TF))


@pytest.mark.parametrize("life", LIVES)
def test_to_look_ahead_changes_no_decision(run: TrainedClassifier, life: LifeName, monkeypatch: pytest.MonkeyPatch):
    stream = seen(run)
    begin = begins(planned(run), life, stream)
    asked = lived(begin, stream).asked
    monkeypatch.setattr(stream_lives, "_LOOK_AHEAD", 1)
    assert lived(begin, stream).asked == asked


@pytest.mark.parametrize("life", LIVES)
def test_a_life_learns_from_its_answers(run: TrainedClassifier, life: LifeName):
    stream = seen(run)
    begin = begins(planned(run), life, stream)

    def accuracy(found: Lived) -> float:
        return float((found.life.logits(stream.tests_TF).argmax(-1) == stream.stream.test_labels).double().mean())

    few = accuracy(lived(begin, stream, "random_evenly", budget=10))
    everything = accuracy(live_all(begin, stream.features_NF, stream.stream.labels))
    assert few > 0.2
    assert everything > few + 0.2


@pytest.mark.parametrize("life", LIVES)
def test_a_class_that_was_never_met_is_never_said(run: TrainedClassifier, life: LifeName):
    stream = seen(run)
    found = lived(begins(planned(run), life, stream), stream, budget=4)
    met = set(stream.stream.labels[list(found.asked)].tolist())
    assert set(found.life.logits(stream.tests_TF).argmax(-1).tolist()) <= met


def test_a_budget_beyond_the_stream_is_refused(run: TrainedClassifier):
    stream = seen(run)
    with pytest.raises(QueryError, match="from 0 to 120 questions"):
        lived(begins(planned(run), "ridge", stream), stream, budget=121)


@pytest.mark.parametrize("life", LIVES)
def test_lives_go_on_to_the_same_bits_and_say_the_same(run: TrainedClassifier, life: LifeName):
    plan, stream = planned(run), seen(run)

    def job():
        return stream_job(plan, "classes", life, 0, stream)

    check_goes_on_to_the_same_bits(job)
    whole = list(job().steps(job().begin()))
    rest = list(job().steps(whole[1].state))
    assert [_timeless(step.line) for step in whole[2:]] == [_timeless(step.line) for step in rest]


def test_every_rule_and_budget_is_lived_on_the_same_stream_and_everything_is_asked_about_first(run: TrainedClassifier):
    job = stream_job(planned(run), "classes", "ridge", 0, seen(run))
    lines = [step.line for step in job.steps(job.begin())]
    assert all(isinstance(line, StreamLifeLine) for line in lines)
    assert [(line.rule, line.asked) for line in lines] == [
        (EVERYTHING, 120),
        ("random", 5),
        ("random", 12),
        ("doubt_evenly", 5),
        ("doubt_evenly", 12),
    ]
    for line in lines:
        assert sum(line.asked_of_class) == sum(line.asked_in_part) == line.asked
        assert sum(line.of_class) / 10 == pytest.approx(line.accuracy, abs=1e-4)


def _timeless(line: StreamLifeLine) -> dict[str, object]:
    return {name: value for name, value in vars(line).items() if name != "life_seconds"}
