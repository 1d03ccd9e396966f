"""Settings that cannot be."""

from collections.abc import Callable
from typing import Any

import pytest

from hyperlearning.systems.trajectories.characters import CharacterSettings
from hyperlearning.systems.trajectories.settings import ContinualSettings, LongTestSettings, TrajectorySettings


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ContinualSettings(architecture="oml", gates="none"), "`gates` to be left as they are for OML"),
        (
            lambda: TrajectorySettings(first_order=True, checkpoint=True),
            "`checkpoint` to be left out with `first_order`",
        ),
        (lambda: TrajectorySettings(num_steps=0), "`num_steps` to be positive, but got 0"),
        (lambda: CharacterSettings(meta_test_classes=1), "`meta_test_classes` to be at least 2, but got 1"),
        (lambda: LongTestSettings(num_runs=1), "`num_runs` to be at least 2, but got 1"),
        (lambda: LongTestSettings(lrs=(0.001, 0.0)), "`lrs` to be positive and finite throughout"),
        (lambda: LongTestSettings(shrinkages=(0.0,)), "`shrinkages` to be positive and finite throughout"),
        (lambda: LongTestSettings(test_classes=(1,)), "`test_classes` to be at least 2 throughout"),
        (
            lambda: LongTestSettings(test_classes=(700,)).check(meta_train=963, meta_test=659),
            "from 2 to 659, the classes",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(make: Callable[[], Any], message: str):
    with pytest.raises(ValueError, match=message):
        make()
