"""Continual learners as jobs: strengths are found on other tasks, lives go on to the same bits, replay keeps to its bytes."""

import math
from collections.abc import Callable

import pytest
import torch
from tests.engine.resuming import check_goes_on_to_the_same_bits

from hyperlearning.learners.continual.learner import ContinualLearner, PlainGradients, Sgd
from hyperlearning.learners.continual.quadratic import Quadratic
from hyperlearning.learners.continual.strengths import strengths
from hyperlearning.systems.selfnet.lines import TrialLine
from hyperlearning.systems.selfnet.lives import adam_job, best_strength, continual_job, joint_job, tuning_job
from hyperlearning.systems.selfnet.rivals import Rival, rivals_of
from hyperlearning.systems.selfnet.settings import ContinualSettings, StreamSettings, TaskTraining
from hyperlearning.systems.selfnet.tasks import Judge, Tasks, stream_tasks

TRAINING = TaskTraining(task_epochs=2, task_lr=0.05)
STREAM = StreamSettings(stream="class_groups", dataset="digits", num_tasks=3, most_images=100)


def tasks() -> Tasks:
    return stream_tasks(STREAM, 0)


def rivals(**settings: object) -> dict[str, Rival]:
    own = ContinualSettings(fisher_images=20, **settings)
    return {rival.method: rival for rival in rivals_of(own, TRAINING, tasks(), seed=0)}


def climbed(score_of: Callable[[float], float], trials: int) -> list[float]:
    climb, found = strengths(1.0, trials), []
    while (place := climb.next) is not None:
        found.append(climb.strength(place))
        climb = climb.tried(place, score_of(found[-1]))
    return found


@pytest.mark.parametrize("best", [1e-3, 0.03, 1.0, 30.0, 1e4])
def test_a_climb_ends_within_half_a_decade_of_the_best_strength(best: float):
    tried = climbed(lambda strength: -abs(math.log10(strength / best)), 12)
    assert min(abs(math.log10(strength / best)) for strength in tried) < 0.3
    assert len(set(tried)) == 12


def test_a_climb_that_sees_no_difference_tries_on_and_takes_the_weakest():
    assert len(set(climbed(lambda _: 0.5, 9))) == 9
    trials = [TrialLine(trial=n, strength=strength, accuracy=0.5) for n, strength in enumerate((1.0, 0.1, 10.0))]
    assert best_strength(trials) == 0.1


@pytest.mark.parametrize("name", ["sgd", "ewc", "distillation", "progress_and_compress", "replay_1"])
def test_stopped_after_any_stage_a_learner_goes_on_to_the_same_bits(name: str):
    rival = rivals()[name]
    check_goes_on_to_the_same_bits(lambda: continual_job(rival, 1.0, tasks(), buffer=1, seed=0))


def test_stopped_after_any_trial_a_search_goes_on_to_the_same_bits():
    rival = rivals()["online_l2"]
    others = stream_tasks(STREAM, 0, validation=True)
    check_goes_on_to_the_same_bits(lambda: tuning_job(rival, others, trials=3, seed=0))


def test_separate_networks_by_adam_go_on_to_the_same_bits():
    own = tasks()
    check_goes_on_to_the_same_bits(lambda: adam_job(own, TRAINING, Judge(own), buffer=1, seed=0))


def test_a_learner_without_a_strength_has_none_to_find():
    with pytest.raises(ValueError, match="a learner with a strength, but got SGD"):
        tuning_job(rivals()["sgd"], tasks(), trials=2, seed=0)


def test_all_learners_of_the_text_are_listed_and_replay_as_often_as_it_has_shares():
    assert list(rivals(replay_shares=(0.5, 1.0))) == [
        "sgd",
        "l2",
        "online_l2",
        "ewc",
        "online_ewc",
        "synaptic_intelligence",
        "distillation",
        "progress_and_compress",
        "replay_0.5",
        "replay_1",
    ]


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_replay_takes_no_more_bytes_than_its_share_of_separate_networks(share: float):
    (rival,) = (r for r in rivals(replay_shares=(share,)).values() if r.method.startswith("replay"))
    own = tasks()
    job = continual_job(rival, 0.0, own, buffer=1, seed=0)
    *_, last = job.steps(job.begin())
    assert 0.97 < last.line.num_bytes / (share * 4 * own.num_weights * len(own)) <= 1


def test_all_tasks_at_once_are_learned():
    own = tasks()
    job = joint_job(own, TaskTraining(task_epochs=10, task_lr=0.05), own_heads=True, seed=0)
    (step,) = job.steps(job.begin())
    assert min(step.line.accuracies) > 0.75


@pytest.mark.parametrize("own_heads", [True, False])
def test_a_learner_with_a_compiled_kernel_learns_what_it_learns_without(
    own_heads: bool, monkeypatch: pytest.MonkeyPatch
):
    own, found = tasks(), []
    for kernel in (True, False):
        if not kernel:
            monkeypatch.setattr(PlainGradients, "of", lambda *_: None)
        remedy = Quadratic("path", strength=0.5)
        learner = ContinualLearner(own.first().double(), remedy, Sgd(2, 16, 0.05, 0.5), own_heads=own_heads)
        for number in range(2):
            images, labels = own.train(number)
            learner.learn(images.double(), labels, torch.Generator().manual_seed(number))
        found.append({**learner.tensors()})
    assert found[0].keys() == found[1].keys()
    for name, tensor in found[0].items():
        torch.testing.assert_close(tensor, found[1][name], rtol=1e-9, atol=1e-12)
