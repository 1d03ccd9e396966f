"""OML's sine waves: presets, and what is compared with what."""

import pytest

from hyperlearning.experiments.regression.oml_regression import PRESETS, Config, check


@pytest.mark.parametrize("preset", list(PRESETS))
def test_every_preset_can_be_built(preset: str):
    assert check(PRESETS[preset]) is None


def test_baselines_need_a_rate_to_choose():
    with pytest.raises(ValueError, match="Expected some of `sgd_lrs` or `adam_lrs`, but got none"):
        Config(sgd_lrs=(), adam_lrs=())
