"""Training few-shot learners of sine waves: resumed to the same bits, and all learn."""

from dataclasses import replace

import pytest
from tests.engine.resuming import check_goes_on_to_the_same_bits

from hyperlearning.systems.hypernetworks.few_shot_sines import SINE_METHODS, SineLearner, SineTraining, sine_job

SMALL = SineTraining(steps=6, waves=4, hidden=(6, 5), inner_steps=2, looks=3, test_waves=5, test_queries=6)


@pytest.mark.parametrize("name", ["written", "maml"])
def test_a_stopped_training_goes_on_to_the_same_bits(name: SineLearner):
    check_goes_on_to_the_same_bits(lambda: sine_job(SMALL, name, 0))


@pytest.mark.parametrize("name", SINE_METHODS)
def test_every_learner_learns_waves(name: SineLearner):
    job = sine_job(replace(SMALL, steps=200, waves=16, hidden=(20, 20), lr=0.01, looks=2, test_waves=100), name, 0)
    first, last = (step.line.validation for step in job.steps(job.begin()))
    assert last > first
    assert -last < 4.2  # The variance of waves is 4.4.
