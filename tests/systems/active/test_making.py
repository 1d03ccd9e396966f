"""What is trained on answers, made from settings: features of the pool are learned once, below the run's record."""

from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.systems.active.learned import LearnedLine
from hyperlearning.systems.active.making import make_recipe
from hyperlearning.systems.active.problem import draw_problem
from hyperlearning.systems.active.recipes import Labelled
from hyperlearning.systems.active.settings import PoolSettings, PretrainingSettings, RecipeSettings

TINY = PretrainingSettings(pretrained="lenet", views="characters", projections=16, pretrain_epochs=2, pretrain_batch=50)
FROZEN = RecipeSettings(model="frozen", draws=5, pretraining=TINY)


def probabilities(settings: RecipeSettings, record: RunRecord) -> torch.Tensor:
    problem = draw_problem(PoolSettings(dataset="digits", pool_images=200, test_images=100), 0)
    recipe = make_recipe(problem, settings, record, Console(quiet=True), seed=0)
    places = torch.arange(80)
    fitted = recipe.fit(Labelled(places, problem.labels_N[:80], places[:0]), torch.Generator().manual_seed(0))
    return fitted.test_probabilities()


def test_features_of_a_pool_are_learned_once_and_kept_with_the_run(tmp_path: Path):
    record = RunRecord.create(tmp_path, "frozen", "one", FROZEN)
    first = probabilities(FROZEN, record)
    [line] = record.lines(LearnedLine)
    assert torch.equal(probabilities(FROZEN, record), first)
    assert record.lines(LearnedLine) == [line]
    other = RunRecord.create(tmp_path, "frozen", "other", FROZEN)
    assert torch.equal(probabilities(FROZEN, other), first)


def test_networks_that_begin_as_learned_differ_from_those_that_begin_at_random(tmp_path: Path):
    plain = RecipeSettings(model="plain", least_updates=1, recipe_epochs=1, pretraining=TINY)
    record = RunRecord.create(tmp_path, "plain", "one", plain)
    random = probabilities(plain, record)
    assert not record.lines(LearnedLine)
    assert not torch.equal(probabilities(replace(plain, begins_as="pretrained"), record), random)
    assert record.lines(LearnedLine)
