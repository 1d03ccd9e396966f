"""Atari games: begun with one seed they go the same way; where the extra is absent they are refused with what to install."""

from importlib.util import find_spec

import pytest
import torch

from hyperlearning.core.errors import AbsentExtraError
from hyperlearning.streams import atari_games
from hyperlearning.streams.atari_games import ATARI_GAMES, AtariGames, AtariName

needs_extra = pytest.mark.skipif(
    find_spec("ale_py") is None or find_spec("gymnasium") is None, reason="the extra `atari` is not installed"
)
NAMES = tuple(ATARI_GAMES)


@needs_extra
@pytest.mark.parametrize("name", NAMES)
def test_a_game_knows_as_many_actions_as_its_emulator_and_shows_frames_of_the_players_size(name: AtariName):
    games = AtariGames(name, 2, clipped=True)
    seen = games.begin(0)
    assert (seen.shape, seen.dtype) == ((2, *AtariGames.shape), torch.float32)
    assert 0 <= float(seen.min()) < float(seen.max()) <= 1
    assert games._emulators.single_action_space.n == games.num_actions


@needs_extra
def test_begun_again_with_a_seed_hundreds_of_steps_are_the_same():
    games, other = (AtariGames("pong", 4, clipped=False) for _ in range(2))
    games.begin(9)
    for _ in range(30):
        games.step(torch.ones(4, dtype=torch.long))
    assert torch.equal(games.begin(3), other.begin(3))
    source = torch.Generator().manual_seed(0)
    for _ in range(300):
        actions = torch.randint(6, (4,), generator=source)
        first, second = games.step(actions), other.step(actions)
        assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))


@needs_extra
def test_who_stands_still_in_pong_loses_by_21_and_begins_anew():
    games = AtariGames("pong", 2, clipped=False)
    games.begin(0)
    total, playing = torch.zeros(2), torch.ones(2, dtype=torch.bool)
    for _ in range(2000):
        moved = games.step(torch.zeros(2, dtype=torch.long))
        total, playing = total + moved.rewards * playing, playing & ~moved.ended
        if not bool(playing.any()):
            break
    assert total.tolist() == [-21, -21]


@needs_extra
def test_rewards_are_clipped_for_learning_and_as_they_count_for_scores():
    largest = []
    for clipped in (True, False):
        games, source = AtariGames("space_invaders", 4, clipped=clipped), torch.Generator().manual_seed(0)
        games.begin(0)
        largest.append(
            max(float(games.step(torch.randint(6, (4,), generator=source)).rewards.max()) for _ in range(300))
        )
    assert largest[0] == 1
    assert largest[1] >= 5


def test_without_the_extra_a_game_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(atari_games, "find_spec", lambda name: None)
    with pytest.raises(AbsentExtraError, match=r"gymnasium and ale_py.*pip install 'hyperlearning\[atari\]'"):
        AtariGames("pong", 2, clipped=True)
