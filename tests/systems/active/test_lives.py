"""Lives of questions on the digits: all strategies begin alike, answers are learned, and a life goes on to the same bits."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from tests.engine.resuming import check_goes_on_to_the_same_bits

from hyperlearning.acquisition.query import Strategy, beginning_with
from hyperlearning.acquisition.strategies import NEED_NO_LABEL, STRATEGIES, StrategyName
from hyperlearning.acquisition.uncertainty import at_random, by_score, entropy, margin
from hyperlearning.engine.rounds import Rounds
from hyperlearning.systems.active.choosers import BestBatch, ByStrategy, Chooser
from hyperlearning.systems.active.features import pixel_features
from hyperlearning.systems.active.lines import RoundLine
from hyperlearning.systems.active.lives import asking_job
from hyperlearning.systems.active.problem import Problem, draw_problem
from hyperlearning.systems.active.recipes import FrozenFeatures, Labelled, Recipe
from hyperlearning.systems.active.settings import PoolSettings, QuestionSettings

RANDOM = Strategy(title="random", choose=at_random)
MARGIN = Strategy(title="margin", choose=by_score(margin), needs=("probabilities_KNC",))
ENTROPY = Strategy(title="entropy", choose=by_score(entropy), needs=("probabilities_KNC",))
QUESTIONS = QuestionSettings(first_labelled=20, query_size=15, num_rounds=4)


def digits(seed: int = 0) -> Problem:
    return draw_problem(PoolSettings(dataset="digits"), seed)


def asking(
    chooses: Strategy | Callable[[Recipe, Problem], Chooser] = RANDOM,
    questions: QuestionSettings = QUESTIONS,
    *,
    seed: int = 0,
    problem: Problem | None = None,
    reject: bool = False,
) -> Rounds:
    of = problem or digits(seed)
    pool, tests = pixel_features(of, 30)
    recipe = FrozenFeatures(pool, tests, of.num_classes, reject=reject)
    chooser = ByStrategy(chooses) if isinstance(chooses, Strategy) else chooses(recipe, of)
    return asking_job(of, recipe, chooser, questions, seed=seed)


def lived(job: Rounds) -> list[RoundLine]:
    return [step.line for step in job.steps(job.begin())]


def test_a_life_learns_from_its_answers_and_counts_them():
    lines = lived(asking())
    assert [line.num_labelled for line in lines] == [20, 35, 50, 65, 80]
    assert [line.spent for line in lines] == [0, 15, 30, 45, 60]
    assert lines[-1].accuracy > lines[0].accuracy + 0.1
    assert lines[-1].accuracy > 0.65


def test_strategies_begin_alike_and_then_ask_for_other_images():
    one, other = lived(asking(RANDOM)), lived(asking(MARGIN))
    assert one[0].accuracy == other[0].accuracy
    assert set(one[1].asked) != set(other[1].asked)


@pytest.mark.parametrize("strategy", [RANDOM, MARGIN])
def test_a_life_goes_on_to_the_same_bits(strategy: Strategy):
    check_goes_on_to_the_same_bits(lambda: asking(strategy))


def test_nothing_is_asked_twice_and_the_pool_runs_out():
    of = digits()
    few = Problem(of.images[:50], of.labels_N[:50], of.test_images, of.test_labels, 10, of.images[:0], of.labels_N[:0])
    lines = lived(asking(questions=replace(QUESTIONS, num_rounds=5), problem=few))
    asked = [place for line in lines for place in line.asked]
    assert len(asked) == len(set(asked)) == 30
    assert [line.num_labelled for line in lines] == [20, 35, 50, 50, 50, 50]


def test_a_life_may_begin_without_a_label():
    lines = lived(asking(questions=replace(QUESTIONS, first_labelled=0)))
    assert lines[0].accuracy < 0.2
    assert lines[1].num_labelled == 15
    assert lines[-1].accuracy > 0.6


def test_foreign_images_cost_questions_and_are_no_labels():
    settings = PoolSettings(
        dataset="digits", pool_images=300, foreign="digits", foreign_split="test", foreign_share=0.4
    )
    of = draw_problem(settings, 0)
    assert of.num_foreign == 200
    lines = lived(asking(problem=of))
    assert lines[-1].spent == 60
    assert 20 < lines[-1].num_labelled < 80
    assert 0.3 < sum(line.purity or 0.0 for line in lines[1:]) / 4 < 0.9


def test_rejected_images_return_where_the_policy_has_it():
    of = digits()
    labels = of.labels_N.clone()
    labels[30:] = -1
    mostly_foreign = of._replace(labels_N=labels, images=of.images)
    few = Problem(
        of.images[:60], mostly_foreign.labels_N[:60], of.test_images, of.test_labels, 10, of.images[:0], of.labels_N[:0]
    )
    questions = replace(QUESTIONS, first_labelled=10, query_size=25, num_rounds=4)
    removed, returned = (
        lived(asking(questions=replace(questions, policy=policy), problem=few)) for policy in ("remove", "return")
    )
    assert removed[-1].spent == 50
    assert returned[-1].spent > 50


def test_noise_is_in_what_is_learned_and_not_in_the_tests():
    clean, noisy = (
        lived(asking(questions=replace(QUESTIONS, noise=noise, first_labelled=300))) for noise in (0.0, 0.5)
    )
    assert noisy[-1].accuracy < clean[-1].accuracy - 0.05
    redrawn = lived(asking(questions=replace(QUESTIONS, noise=0.5, noise_is_redrawn=True, first_labelled=300)))
    assert redrawn[-1].accuracy < clean[-1].accuracy - 0.05
    assert redrawn[0].accuracy != noisy[0].accuracy


def test_missing_classes_are_missing_at_the_start_alone():
    lines = lived(asking(questions=replace(QUESTIONS, num_missing=3, first_labelled=40, num_rounds=6)))
    assert lines[0].accuracy < 0.75
    assert lines[-1].accuracy > lines[0].accuracy + 0.1


def test_another_seed_is_another_life():
    assert [line.accuracy for line in lived(asking(seed=1))] != [line.accuracy for line in lived(asking(seed=0))]


def test_a_reject_class_is_learned_from_what_is_none_of_ours():
    source = torch.Generator().manual_seed(0)
    of = digits()
    foreign = torch.rand(of.images[:200].shape, generator=source)
    mixed = Problem(
        torch.cat([of.images[:200], foreign]),
        torch.cat([of.labels_N[:200], torch.full((200,), -1)]),
        of.test_images,
        of.test_labels,
        10,
        of.images[:0],
        of.labels_N[:0],
    )
    lines = lived(asking(MARGIN, problem=mixed, reject=True))
    assert lines[-1].accuracy > 0.5


def test_the_ceiling_is_the_best_of_the_batches_after_a_round_and_goes_on_to_the_same_bits():
    def ceiling(recipe: Recipe, of: Problem) -> Chooser:
        return BestBatch([MARGIN, ENTROPY], recipe, of.labels_N, of.test_labels)

    one_round = replace(QUESTIONS, num_rounds=1)
    best = lived(asking(ceiling, one_round))[-1].accuracy
    alone = [lived(asking(strategy, one_round))[-1].accuracy for strategy in (MARGIN, ENTROPY)]
    assert alone[0] != alone[1]
    assert best == max(alone)
    check_goes_on_to_the_same_bits(lambda: asking(ceiling))


def test_rounds_may_differ_in_size():
    of = digits()
    pool, tests = pixel_features(of, 30)
    recipe = FrozenFeatures(pool, tests, of.num_classes, balanced=True)
    questions = QuestionSettings(first_labelled=0)
    lines = lived(asking_job(of, recipe, ByStrategy(RANDOM), questions, seed=0, sizes=(10, 20, 50)))
    assert [line.num_labelled for line in lines] == [0, 10, 30, 80]


def test_what_cannot_choose_without_labels_begins_with_another_and_goes_on_by_itself():
    chooses = beginning_with(RANDOM, replace(MARGIN, least_draws=2))
    one, other = (lived(asking(own, replace(QUESTIONS, first_labelled=0))) for own in (chooses, MARGIN))
    assert one[1].num_tied == one[0].num_labelled + len(digits().images)
    assert one[2].num_tied == 1
    assert one[1].num_labelled == other[1].num_labelled


@pytest.mark.parametrize("name", sorted(NEED_NO_LABEL))
def test_strategies_that_need_no_label_choose_without_one(name: StrategyName):
    line = lived(asking(STRATEGIES[name], replace(QUESTIONS, first_labelled=0, num_rounds=1)))[1]
    assert line.num_labelled == len(set(line.asked)) == 15


def test_before_the_first_label_a_recipe_that_learns_rejects_says_that_nothing_is_known_of_them():
    of = digits()
    pool, tests = pixel_features(of, 30)
    rejected = torch.tensor([4, 7])
    nothing = Labelled(rejected[:0], rejected[:0], rejected)
    fitted = FrozenFeatures(pool, tests, of.num_classes, reject=True).fit(nothing, torch.Generator())
    views = fitted.views(torch.arange(10, 30), torch.Generator())
    assert torch.equal(views.need("foreign_KN"), torch.zeros(1, 20))
    assert torch.equal(views.need("open_features_ND"), pool[10:30])
    assert torch.equal(views.need("rejected_features_RD"), pool[rejected])
    assert views.need("open_labelled_LD").shape == (0, 30)
    for name in ("reject_margin", "reject_least_confidence"):
        assert len(STRATEGIES[name].query(views, 5, torch.Generator()).indices_B) == 5
    without = FrozenFeatures(pool, tests, of.num_classes).fit(nothing, torch.Generator())
    assert without.views(torch.arange(10, 30), torch.Generator()).foreign_KN is None
