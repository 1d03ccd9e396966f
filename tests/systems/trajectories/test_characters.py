"""Characters by class: in which order they come, and what is said where there are none."""

from pathlib import Path

import pytest
import torch
from tests.systems.trajectories.digits import digits_for_omniglot

from hyperlearning.data.errors import AbsentDataError
from hyperlearning.systems.trajectories.characters import CharacterSettings, meta_train_characters


def test_absent_data_name_the_command_that_fetches_them(tmp_path: Path):
    with pytest.raises(AbsentDataError, match="hyperlearning data fetch omniglot"):
        meta_train_characters(CharacterSettings(data_root=str(tmp_path)), rotated=False)


def test_rotated_classes_follow_the_upright_ones(monkeypatch: pytest.MonkeyPatch):
    digits_for_omniglot(monkeypatch)
    data = CharacterSettings(meta_train_classes=3)
    upright, all_four = (meta_train_characters(data, rotated=rotated) for rotated in (False, True))
    assert all_four.shape == (12, 20, 1, 28, 28)
    assert torch.equal(all_four[:3], upright)
    assert torch.equal(all_four[3:6], upright.rot90(1, (-2, -1)))
