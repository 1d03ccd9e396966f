"""Players of games: they learn, are scored on the same episodes, are stored, and play again."""

from importlib.util import find_spec
from statistics import fmean

import pytest
import torch
from tests.engine.resuming import check_goes_on_to_the_same_bits

from hyperlearning.core.errors import AbsentExtraError
from hyperlearning.engine.rounds import Rounds
from hyperlearning.learners.weight_codecs.residuals import QuantisedResiduals
from hyperlearning.learners.weight_codecs.self_net import SelfNet, SelfNetRule
from hyperlearning.learners.weight_codecs.shared import MeanAlone, Separate
from hyperlearning.streams import atari_games
from hyperlearning.systems.selfnet.player_lines import PlayerLine, RecollectedLine, SegmentLine
from hyperlearning.systems.selfnet.player_lives import PlayerStore, player_store_job, player_vector, playing_job
from hyperlearning.systems.selfnet.player_settings import PlayerSettings, PlayerTraining
from hyperlearning.systems.selfnet.players import (
    ATARI,
    SMALL,
    Referee,
    check_games,
    first_player,
    game_of,
    random_scores,
)

SIZE = PlayerSettings(num_convolutions=1, num_channels=8, num_units=16)
GAMES = [game_of("catching"), game_of("gathering")]


def referee(num_episodes: int = 5) -> Referee:
    return Referee(GAMES, SIZE, num_episodes=num_episodes, seed=0)


def vectors() -> list[torch.Tensor]:
    """Weights of a player of each game, which has learned nothing."""
    players = [first_player(game, SIZE, seed) for seed, game in enumerate(GAMES)]
    return [torch.nn.utils.parameters_to_vector(player.parameters()).detach() for player in players]


def learning(name: str = "catching", **training: int) -> Rounds:
    brief = {"num_segments": 3, "segment_updates": 3, "num_games": 4, "num_steps": 5} | training
    return playing_job(game_of(name), SIZE, PlayerTraining(**brief, lr=5e-3), seed=0)  # pyright: ignore[reportArgumentType]


def lines_of(store: PlayerStore, own: Referee) -> list[RecollectedLine]:
    job = player_store_job(store, vectors(), own)
    return [step.line for step in job.steps(job.begin())]  # pyright: ignore[reportReturnType]


def test_a_game_is_learned_and_its_player_is_scored_far_above_chance():
    training = PlayerTraining(num_segments=4, segment_updates=160, num_games=64, num_steps=5, lr=5e-3, discount=0.95)
    game = game_of("bricks")
    job, own = playing_job(game, SIZE, training, seed=0), Referee([game], SIZE, num_episodes=40, seed=0)
    *_, last = job.steps(job.begin())
    assert fmean(own.scores(0, player_vector(last.state))) > 2
    assert fmean(random_scores(game, num_episodes=40, seed=0)) < 0.5
    assert isinstance(last.line, SegmentLine)
    assert last.line.steps == training.all_steps == 204_800


def test_stopped_after_any_segment_a_player_goes_on_to_the_same_bits():
    check_goes_on_to_the_same_bits(learning)


@pytest.mark.skipif(
    find_spec("ale_py") is None or find_spec("gymnasium") is None, reason="the extra `atari` is not installed"
)
def test_stopped_after_any_segment_a_player_of_an_atari_game_goes_on_to_the_same_bits():
    check_goes_on_to_the_same_bits(lambda: learning("pong", segment_updates=20))


@pytest.mark.skipif(
    find_spec("ale_py") is None or find_spec("gymnasium") is None, reason="the extra `atari` is not installed"
)
def test_a_random_player_of_pong_loses_its_episodes_the_same_way_twice():
    first = random_scores(game_of("pong"), num_episodes=2, seed=0)
    assert first == random_scores(game_of("pong"), num_episodes=2, seed=0)
    assert all(-21 <= score <= -12 for score in first)


def test_stopped_after_any_stage_a_store_goes_on_to_the_same_bits():
    rule = SelfNetRule(code_size=2, max_iterations=(4,), one_by_one=True)
    for make in (lambda size: SelfNet(size, rule), lambda size: QuantisedResiduals(size, 4)):
        store = PlayerStore("a store", "a note", make, 3)
        check_goes_on_to_the_same_bits(lambda: player_store_job(store, vectors(), referee()))  # noqa: B023


def test_a_store_that_keeps_all_gives_back_players_of_different_lengths_that_play_the_same_to_the_last_point():
    own = referee()
    lines = lines_of(PlayerStore("all", "a note", Separate, 3), own)
    assert lines[-1].scores == tuple(own.scores(number, vector) for number, vector in enumerate(vectors()))
    assert lines[-1].cosines == (1.0, 1.0)
    longest = max(map(len, vectors()))
    sizes = 4 * 2 * 3 * -(-longest // 3)
    assert sizes < lines[-1].num_bytes < sizes + 1500
    assert [len(line.scores) for line in lines] == [1, 2]


def test_a_store_of_the_first_player_lets_it_play_all_games():
    own = referee()
    last = lines_of(PlayerStore("first", "a note", MeanAlone), own)[-1]
    first, second = vectors()
    padded = torch.nn.functional.pad(first, (0, len(second) - len(first))).half().float()
    assert last.scores[1] == own.scores(1, padded)
    assert last.cosines[0] > 0.99 > last.cosines[1]


def test_two_players_who_differ_in_nothing_that_counts_meet_the_same_chances():
    vector = vectors()[0]
    critic = len(vector) - 3 * 17 - 17
    other = vector.clone()
    other[critic : critic + 17] = 0.0  # What it expects changes nothing that it does.
    assert referee().scores(0, vector) == referee().scores(0, other)


def test_a_share_is_0_for_a_random_player_and_1_for_the_original():
    line = PlayerLine(
        game="catching",
        title="",
        note="",
        num_actions=3,
        num_weights=1,
        steps=1,
        scores=(8.0, 10.0),
        random=(-6.0, -4.0),
        training=(),
        training_seconds=0.0,
    )
    assert (line.share(-5.0), line.share(9.0), line.share(2.0)) == (0.0, 1.0, 0.5)
    assert line.was_learned


def test_atari_games_are_refused_without_the_extra_and_small_ones_are_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(atari_games, "find_spec", lambda name: None)
    check_games(SMALL)
    with pytest.raises(AbsentExtraError, match="atari"):
        check_games(("catching", ATARI[0]))
