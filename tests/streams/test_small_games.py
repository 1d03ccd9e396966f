"""Small games: what good players score in them, and that chances follow from a seed alone."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hyperlearning.streams.small_games import SIDE, SMALL_GAMES, SmallGameName, SmallGames

NAMES = tuple(SMALL_GAMES)


def scores(name: SmallGameName, act: Callable[[Tensor], Tensor], num_games: int = 40) -> Tensor:
    """Scores of first episodes, of a player who sees no more than observations."""
    games = SmallGames(SMALL_GAMES[name], num_games)
    seen, total, playing = games.begin(3), torch.zeros(num_games), torch.ones(num_games, dtype=torch.bool)
    for _ in range(400):
        moved = games.step(act(seen))
        total = total + moved.rewards * playing
        seen, playing = moved.observations, playing & ~moved.ended
    assert not bool(playing.any())
    return total


def place(seen: Tensor, channel: int, axis: int) -> Tensor:
    """The first row or column where something stands in a channel, of each game."""
    return seen[:, channel].amax(2 - axis).argmax(1)


def ahead_of_the_ball(seen: Tensor) -> Tensor:
    """Looks at where the ball was, too, and goes where it will be a step later."""
    x, paddle = place(seen, 1, 1), place(seen, 0, 1)
    was = torch.where(seen[:, 2].flatten(1).any(1), place(seen, 2, 1), x)
    following = (2 * x - was).clamp(0, SIDE - 1)
    # Of a paddle two wide, the half that is nearer.
    return torch.where(following < paddle, 0, torch.where(following > paddle + 1, 2, 1))


def away_from_rocks(seen: Tensor) -> Tensor:
    """Goes to the column beside it, or stays, above which the next rock is the farthest."""
    own = place(seen, 0, 1)
    depth = torch.arange(SIDE, 0, -1)[None, :, None]
    nearness = torch.where(seen[:, 1] > 0, SIDE + 1 - depth, 0)[:, : SIDE - 1].amax(1)  # The lower, the nearer.
    choices = torch.stack([nearness.gather(1, (own + step).clamp(0, SIDE - 1)[:, None])[:, 0] for step in (-1, 0, 1)])
    choices = choices + torch.tensor([0.2, 0.0, 0.1])[:, None]
    return choices.argmin(0)


def to_the_food(seen: Tensor) -> Tensor:
    own, food = ([place(seen, channel, axis) for axis in (0, 1)] for channel in (0, 1))
    across = torch.where(food[1] > own[1], 2, 1)
    along = torch.where(food[0] > own[0], 4, 3)
    return torch.where(food[1] != own[1], across, torch.where(food[0] != own[0], along, 0))


def test_who_runs_to_where_balls_land_catches_nearly_all_of_ten():
    assert float(scores("catching", ahead_of_the_ball).mean()) > 9


def test_who_stands_still_catches_two_columns_of_ten():
    still = scores("catching", lambda seen: torch.ones(len(seen), dtype=torch.long), 500)
    assert float(still.mean()) == pytest.approx(10 * (0.2 - 0.8), abs=0.5)


def test_who_looks_up_dodges_for_longer_than_who_stands_still():
    still = scores("dodging", lambda seen: torch.ones(len(seen), dtype=torch.long))
    assert float(scores("dodging", away_from_rocks).mean()) > 2 * float(still.mean())
    assert float(still.min()) >= 0.8


def test_who_walks_to_food_finds_it_again_and_again():
    assert float(scores("gathering", to_the_food).mean()) > 5


def test_who_follows_the_ball_breaks_bricks_to_the_end():
    assert float(scores("bricks", ahead_of_the_ball).mean()) > 20


@pytest.mark.parametrize("name", NAMES)
def test_observations_are_noughts_and_ones_and_rewards_of_ends_are_counted_once(name: SmallGameName):
    games, source = SmallGames(SMALL_GAMES[name], 8), torch.Generator().manual_seed(0)
    seen, ends = games.begin(0), 0
    for _ in range(320):
        moved = games.step(torch.randint(games.num_actions, (8,), generator=source))
        assert set(moved.observations.unique().tolist()) <= {0.0, 1.0}
        assert moved.observations.shape == seen.shape
        ends += int(moved.ended.sum())
    assert ends >= 8


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_and_actions_give_the_same_game_whatever_was_played_before(name: SmallGameName):
    games, other = SmallGames(SMALL_GAMES[name], 5), SmallGames(SMALL_GAMES[name], 5)
    other.begin(8)
    other.step(torch.zeros(5, dtype=torch.long))
    assert torch.equal(games.begin(4), other.begin(4))
    for step in range(60):
        actions = torch.full((5,), step % games.num_actions)
        first, second = games.step(actions), other.step(actions)
        assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))


def test_two_players_with_one_seed_meet_the_same_balls():
    games = [SmallGames(SMALL_GAMES["catching"], 6) for _ in range(2)]
    for own in games:
        own.begin(1)
    for _ in range(200):
        seen = [own.step(torch.full((6,), action)).observations for own, action in zip(games, (0, 2), strict=True)]
        assert torch.equal(seen[0][:, 1], seen[1][:, 1])


def test_a_brick_is_broken_once_and_the_ball_comes_back():
    rule = SMALL_GAMES["bricks"]
    state = dict(rule.begin(torch.full((1, 2), 0.5)))
    state |= {"x": torch.tensor([5]), "y": torch.tensor([4]), "dx": torch.tensor([1]), "dy": torch.tensor([-1])}
    acted = rule.act(state, torch.tensor([1]), torch.zeros(1, 2))
    assert float(acted.rewards) == 1
    assert not bool(acted.state["bricks"][0, 2, 6])
    assert int(acted.state["bricks"].sum()) == 29
    assert (int(acted.state["y"]), int(acted.state["dy"])) == (4, 1)


def test_a_guard_who_is_met_ends_the_episode():
    rule = SMALL_GAMES["gathering"]
    state = dict(rule.begin(torch.zeros(1, 6)))
    state |= {"place": torch.tensor([[4, 4]]), "guards": torch.tensor([[[4, 4], [9, 9]]])}
    acted = rule.act(state, torch.tensor([0]), torch.zeros(1, 6))
    assert (float(acted.rewards), bool(acted.ended)) == (-1.0, True)
