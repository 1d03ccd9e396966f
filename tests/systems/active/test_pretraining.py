"""Features without labels: a job that goes on to the same bits, and an encoder that tells digits apart better than at birth."""

from dataclasses import replace

import pytest
import torch
from tests.engine.resuming import check_goes_on_to_the_same_bits

from hyperlearning.engine.rounds import Rounds, RoundsState
from hyperlearning.learners.ridge_head import fit_ridge_head
from hyperlearning.systems.active.learned import LearnedFeatures, learned_from
from hyperlearning.systems.active.pretraining import pretraining_job
from hyperlearning.systems.active.problem import Problem, draw_problem
from hyperlearning.systems.active.settings import PoolSettings, PretrainingSettings

TINY = PretrainingSettings(
    views="characters", width=4, projections=16, pretrain_epochs=45, pretrain_batch=20, bfloat16=False
)


def digits(num: int = 40) -> Problem:
    return draw_problem(PoolSettings(dataset="digits", pool_images=num, test_images=300), 0)


def made(job: Rounds) -> RoundsState:
    return list(job.steps(job.begin()))[-1].state


@pytest.mark.parametrize("settings", [TINY, replace(TINY, pretrain_optimizer="lars", pretrain_lr=0.3, bfloat16=True)])
def test_learning_goes_on_to_the_same_bits(settings: PretrainingSettings):
    images = digits().images
    check_goes_on_to_the_same_bits(lambda: pretraining_job(images, settings, seed=0))


def test_a_round_is_twenty_updates_and_says_what_they_came_to():
    job = pretraining_job(digits().images, TINY, seed=0)
    lines = [step.line for step in job.steps(job.begin())]
    assert [line.update for line in lines] == [20, 40, 60, 80, 90]
    assert [line.epoch for line in lines] == [10, 20, 30, 40, 45]
    assert lines[-1].loss < lines[0].loss
    assert lines[-1].lr < lines[2].lr < TINY.pretrain_lr


def test_learned_features_are_the_better_ones_and_can_be_kept():
    problem = digits(600)
    settings = replace(TINY, width=8, projections=64, pretrain_epochs=40, pretrain_batch=50)
    job = pretraining_job(problem.images, settings, seed=0)
    learned = learned_from(made(job), settings, problem.images)
    at_birth = learned_from(job.begin(), settings, problem.images)
    assert _right(learned, problem) > _right(at_birth, problem) + 0.02
    assert _right(learned, problem) > 0.5
    features = learned(problem.test_images)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(300))
    torch.testing.assert_close(learned(problem.test_images[:3]), features[:3])


def _right(embedder: LearnedFeatures, problem: Problem) -> float:
    head = fit_ridge_head(embedder(problem.images[:30]), problem.labels_N[:30], 10, balanced=True)
    said = head.probabilities(embedder(problem.test_images)).argmax(1)
    return float((said == problem.test_labels).float().mean())


def test_one_image_is_refused():
    with pytest.raises(ValueError, match="two images or more"):
        pretraining_job(digits(1).images, TINY, seed=0)
