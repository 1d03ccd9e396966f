"""ALPaCA's training: it learns, its job can be stopped anywhere, and its lives are those of the table."""

import pytest
import torch

from hyperlearning.engine.fitting import Fitting
from hyperlearning.systems.regression.alpaca import AlpacaSettings, alpaca_method, alpaca_training, meta_learned
from hyperlearning.systems.regression.lives import hold_out
from hyperlearning.systems.regression.settings import StreamSettings

SETTINGS = AlpacaSettings(alpaca_steps=60, alpaca_features=12, alpaca_width=16, alpaca_population=8)
STREAM = StreamSettings(updates_per_task=10)


@pytest.fixture(scope="module")
def job() -> Fitting:
    return alpaca_training(SETTINGS, STREAM, seed=0)


def test_stopped_saved_and_continued_it_ends_in_the_same_bits():
    whole = alpaca_training(SETTINGS, STREAM, seed=0)
    states = [step.state for _, step in zip(range(6), whole.steps(whole.begin()), strict=False)]
    again = alpaca_training(SETTINGS, STREAM, seed=0)
    continued = again.steps(again.unpack(again.pack(states[2])))
    for expected in states[3:]:
        found = next(continued).state
        assert all(torch.equal(found.params[name], tensor) for name, tensor in expected.params.items())


def test_it_learns_and_its_life_one_example_after_another_is_that_of_the_table(job: Fitting):
    held_out = hold_out(STREAM, 4, seed=9)
    before = alpaca_method(meta_learned(job.begin(), SETTINGS)).live(held_out)
    *_, last = job.steps(job.begin())
    learned = meta_learned(last.state, SETTINGS)
    lived = alpaca_method(learned).live(held_out)
    assert float(lived.errors[:, -1].mean()) < 0.5 * float(before.errors[:, -1].mean())
    inputs, targets = held_out.stream
    for function in range(4):
        life = learned.deployment()
        life.observe_each(inputs[:, function].flatten(0, 1), targets[:, function].flatten(0, 1))
        found = life.predict(held_out.grid[function])[:, 0]
        torch.testing.assert_close(found, lived.predictions[-1, function].double(), rtol=1e-4, atol=1e-4)


def test_without_steps_the_comparison_goes_without_it():
    assert AlpacaSettings(alpaca_steps=0).alpaca_steps == 0
    with pytest.raises(ValueError, match="alpaca_lr"):
        AlpacaSettings(alpaca_lr=0.0)
