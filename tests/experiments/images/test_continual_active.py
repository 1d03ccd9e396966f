"""What `continual-active` refuses before work starts."""

from dataclasses import replace

import pytest

from hyperlearning.core.errors import RunError
from hyperlearning.experiments.images.continual_active import EXPERIMENT, PRESETS, Config
from hyperlearning.experiments.shipped import SERIES, shipped
from hyperlearning.systems.images.stream_comparison import StreamSettings

SMOKE = replace(PRESETS["smoke"], data=replace(PRESETS["smoke"].data, dataset="digits"))


def test_a_run_that_trained_something_else_has_no_life_for_images():
    with pytest.raises(RunError, match="Expected `innate` to be a run of class-incremental"):
        EXPERIMENT.check(replace(SMOKE, innate=str(shipped(SERIES))))


def test_more_questions_than_images_are_refused():
    with pytest.raises(ValueError, match="the images of a stream, but got 50"):
        Config(data=StreamSettings(num_images=40), budgets=(20, 50))


def test_budgets_that_do_not_rise_are_refused():
    with pytest.raises(ValueError, match="Expected `budgets` that rise"):
        Config(budgets=(50, 20))


def test_longer_streams_than_there_are_images_are_refused():
    with pytest.raises(ValueError, match="Expected 500 images of a class"):
        EXPERIMENT.check(replace(SMOKE, data=replace(SMOKE.data, num_images=5000)))


def test_chance_must_be_there():
    with pytest.raises(ValueError, match="random"):
        Config(rules=("margin",))
