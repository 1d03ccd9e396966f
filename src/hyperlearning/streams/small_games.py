"""Small games on a grid of 10 by 10, of MinAtar's size: catching, dodging, gathering and bricks, many side by side in tensors.

Every game is a rule: pure functions of a state, of actions and of numbers between 0 and 1, which come from a seed in the same
amount whatever is played. Two players who begin with one seed meet the same chances.

Inspired by: Young and Tian, "MinAtar: An Atari-Inspired Testbed for Thorough and Reproducible Reinforcement Learning Experiments"
(2019); these rules are simpler, and their own.

Shape suffixes: B games side by side, R random numbers of a game and step.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from hyperlearning.core.seeding import generator
from hyperlearning.streams.games import Moved

SIDE = 10
CHANNELS = 4
"""Of every game's observations, whether it needs as many or not: networks of all games begin alike."""

SmallGameName = Literal["catching", "dodging", "gathering", "bricks"]
State = Mapping[str, Tensor]


class Acted(NamedTuple):
    """What a rule says of an action.

    Attributes:
        state: The state after it.
        rewards: (B,).
        ended: Whether the episode has ended, (B,), bool.
    """

    state: State
    rewards: Tensor
    ended: Tensor


class Rule(NamedTuple):
    """A game.

    Attributes:
        title: What it is called.
        note: How it is played, in a sentence.
        num_actions: Actions that there are.
        num_chances: Random numbers that a beginning, or a step, takes at most, R.
        begin: Makes first states of random numbers (B, R).
        act: Maps states, actions (B,) and random numbers (B, R) to what came of it.
        draw: Lists what stands where: channel, rows (B, ...) and columns, and whether it is shown.
    """

    title: str
    note: str
    num_actions: int
    num_chances: int
    begin: Callable[[Tensor], State]
    act: Callable[[State, Tensor, Tensor], Acted]
    draw: Callable[[State], list[tuple[int, Tensor, Tensor, Tensor]]]


class SmallGames:
    """Games of one rule, side by side.

    Args:
        rule: The rule.
        num_games: How many.
    """

    shape = (CHANNELS, SIDE, SIDE)

    def __init__(self, rule: Rule, num_games: int) -> None:
        self.num_games, self.num_actions = num_games, rule.num_actions
        self._rule = rule
        self._source, self._state = torch.Generator(), rule.begin(torch.zeros(num_games, rule.num_chances))

    def begin(self, seed: int) -> Tensor:
        """Begins all games anew."""
        self._source = generator(seed, f"chances of {self._rule.title}")
        self._state = self._rule.begin(self._chances())
        return self._drawn()

    def step(self, actions: Tensor) -> Moved:
        """Acts in every game; those that end begin anew."""
        acted = self._rule.act(self._state, actions, self._chances())
        fresh = self._rule.begin(self._chances())
        self._state = {name: _where(acted.ended, fresh[name], tensor) for name, tensor in acted.state.items()}
        return Moved(self._drawn(), acted.rewards, acted.ended)

    def _chances(self) -> Tensor:
        return torch.rand(self.num_games, self._rule.num_chances, generator=self._source)

    def _drawn(self) -> Tensor:
        seen, games = torch.zeros(self.num_games, *self.shape), torch.arange(self.num_games)
        for channel, rows, columns, shown in self._rule.draw(self._state):
            place = games.reshape(-1, *(1 for _ in rows.shape[1:])).expand_as(rows)
            seen[place[shown], channel, rows[shown], columns[shown]] = 1.0
        return seen


def _where(which: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return torch.where(which.reshape(-1, *(1 for _ in first.shape[1:])), first, second)


def _below(chance: Tensor, count: int) -> Tensor:
    """Whole numbers from 0 to below `count`, of numbers between 0 and 1."""
    return (chance * count).long().clamp(max=count - 1)


def _always(place: Tensor) -> Tensor:
    return torch.ones_like(place, dtype=torch.bool)


_BALLS = 10
_LOWEST = SIDE - 1


def _begin_catching(chances: Tensor) -> State:
    number = len(chances)
    return _ball(chances) | {"paddle": torch.full((number,), 4), "left": torch.full((number,), _BALLS)}


def _ball(chances: Tensor) -> dict[str, Tensor]:
    return {
        "x": _below(chances[:, 0], SIDE),
        "y": torch.zeros(len(chances), dtype=torch.long),
        "dx": _below(chances[:, 1], 3) - 1,
    }


def _catch(state: State, actions: Tensor, chances: Tensor) -> Acted:
    paddle = (state["paddle"] + actions - 1).clamp(0, SIDE - 2)
    x, dx = _reflected(state["x"] + state["dx"], state["dx"])
    y = state["y"] + 1
    landed = y == _LOWEST
    caught = (x == paddle) | (x == paddle + 1)
    rewards = torch.where(landed, torch.where(caught, 1.0, -1.0), 0.0)
    left, ball = state["left"] - landed.long(), _ball(chances)
    moved = {"x": x, "y": y, "dx": dx}
    after = {name: torch.where(landed, ball[name], tensor) for name, tensor in moved.items()}
    return Acted(after | {"paddle": paddle, "left": left}, rewards, left == 0)


def _reflected(x: Tensor, dx: Tensor) -> tuple[Tensor, Tensor]:
    """A place beyond a side wall, and the direction there, thrown back."""
    beyond = (x < 0) | (x >= SIDE)
    return torch.where(beyond, x - 2 * dx, x), torch.where(beyond, -dx, dx)


def _draw_catching(state: State) -> list[tuple[int, Tensor, Tensor, Tensor]]:
    return [*_drawn_paddle(state), (1, state["y"], state["x"], _always(state["x"])), _trail(state, state["y"] - 1)]


def _drawn_paddle(state: State) -> list[tuple[int, Tensor, Tensor, Tensor]]:
    bottom = torch.full_like(state["paddle"], _LOWEST)
    return [(0, bottom, state["paddle"] + side, _always(bottom)) for side in (0, 1)]


def _trail(state: State, y: Tensor) -> tuple[int, Tensor, Tensor, Tensor]:
    """Where a ball was a step ago, which says where it flies."""
    x = state["x"] - state["dx"]
    inside = (y >= 0) & (y < SIDE) & (x >= 0) & (x < SIDE)
    return 2, y.clamp(0, SIDE - 1), x.clamp(0, SIDE - 1), inside


_DODGING_STEPS = 200
_ROCKS = 0.12
"""Chance of a rock above each column, a step."""
_A_STEP = 0.1


def _begin_dodging(chances: Tensor) -> State:
    number = len(chances)
    return {
        "column": torch.full((number,), 4),
        "rocks": torch.zeros(number, SIDE, SIDE, dtype=torch.bool),
        "clock": torch.zeros(number, dtype=torch.long),
    }


def _dodge(state: State, actions: Tensor, chances: Tensor) -> Acted:
    column = (state["column"] + actions - 1).clamp(0, SIDE - 1)
    rocks = torch.cat([(chances < _ROCKS)[:, None], state["rocks"][:, :-1]], 1)
    hit = rocks[:, _LOWEST].gather(1, column[:, None])[:, 0]
    clock = state["clock"] + 1
    rewards = torch.where(hit, 0.0, _A_STEP)
    return Acted({"column": column, "rocks": rocks, "clock": clock}, rewards, hit | (clock == _DODGING_STEPS))


def _draw_dodging(state: State) -> list[tuple[int, Tensor, Tensor, Tensor]]:
    bottom, rocks = torch.full_like(state["column"], _LOWEST), state["rocks"]
    rows, columns = (torch.arange(SIDE).reshape(shape).expand_as(rocks) for shape in ((SIDE, 1), (1, SIDE)))
    return [(0, bottom, state["column"], _always(bottom)), (1, rows, columns, rocks)]


_GATHERING_STEPS = 100
_GUARDS = 2
_STEPS_OF_ACTIONS = ((0, 0), (0, -1), (0, 1), (-1, 0), (1, 0))


def _begin_gathering(chances: Tensor) -> State:
    number = len(chances)
    return {
        "place": torch.full((number, 2), SIDE // 2),
        "food": _below(chances[:, :2], SIDE),
        # In the corners, so that nobody is met at once.
        "guards": _below(chances[:, 2 : 2 + 2 * _GUARDS].reshape(number, _GUARDS, 2), 2) * _LOWEST,
        "clock": torch.zeros(number, dtype=torch.long),
    }


def _gather(state: State, actions: Tensor, chances: Tensor) -> Acted:
    steps = torch.tensor(_STEPS_OF_ACTIONS)
    place = (state["place"] + steps[actions]).clamp(0, SIDE - 1)
    # Half of the time a guard stays.
    walks = (_below(chances[:, 2 : 2 + _GUARDS], 8) - 3).clamp(min=0)
    guards = (state["guards"] + steps[walks]).clamp(0, SIDE - 1)
    found = (place == state["food"]).all(1)
    met = (guards == place[:, None]).all(2).any(1)
    clock = state["clock"] + 1
    food = torch.where(found[:, None], _below(chances[:, :2], SIDE), state["food"])
    after = {"place": place, "food": food, "guards": guards, "clock": clock}
    return Acted(after, torch.where(met, -1.0, found.float()), met | (clock == _GATHERING_STEPS))


def _draw_gathering(state: State) -> list[tuple[int, Tensor, Tensor, Tensor]]:
    place, food, guards = state["place"], state["food"], state["guards"]
    return [
        (0, place[:, 0], place[:, 1], _always(place[:, 0])),
        (1, food[:, 0], food[:, 1], _always(food[:, 0])),
        (2, guards[..., 0], guards[..., 1], _always(guards[..., 0])),
    ]


_BRICK_ROWS = (1, 2, 3)
_BRICKS_STEPS = 300


def _begin_bricks(chances: Tensor) -> State:
    number = len(chances)
    return {
        "paddle": torch.full((number,), 4),
        "x": _below(chances[:, 0], SIDE),
        "y": torch.full((number,), 4),
        "dx": _below(chances[:, 1], 2) * 2 - 1,
        "dy": torch.ones(number, dtype=torch.long),
        "bricks": torch.ones(number, len(_BRICK_ROWS), SIDE, dtype=torch.bool),
        "clock": torch.zeros(number, dtype=torch.long),
    }


def _break(state: State, actions: Tensor, chances: Tensor) -> Acted:
    games, clock = torch.arange(len(actions)), state["clock"] + 1
    paddle = (state["paddle"] + actions - 1).clamp(0, SIDE - 2)
    x, dx = _reflected(state["x"] + state["dx"], state["dx"])
    dy = torch.where(state["y"] + state["dy"] < 0, 1, state["dy"])
    y = state["y"] + dy
    layer = (y - _BRICK_ROWS[0]).clamp(0, len(_BRICK_ROWS) - 1)
    broken = (y >= _BRICK_ROWS[0]) & (y <= _BRICK_ROWS[-1]) & state["bricks"][games, layer, x]
    landed = y == _LOWEST
    met = landed & ((x == paddle) | (x == paddle + 1))
    bricks = state["bricks"].clone()
    bricks[games, layer, x] &= ~broken
    bricks = bricks | ~bricks.flatten(1).any(1)[:, None, None]
    y = torch.where(broken | met, state["y"], y)
    after = {"paddle": paddle, "x": x, "y": y, "dx": dx, "dy": torch.where(broken | met, -dy, dy)}
    return Acted(after | {"bricks": bricks, "clock": clock}, broken.float(), (landed & ~met) | (clock == _BRICKS_STEPS))


def _draw_bricks(state: State) -> list[tuple[int, Tensor, Tensor, Tensor]]:
    bricks = state["bricks"]
    rows = torch.tensor(_BRICK_ROWS)[None, :, None].expand_as(bricks)
    return [
        *_drawn_paddle(state),
        (1, state["y"], state["x"], _always(state["x"])),
        _trail(state, state["y"] - state["dy"]),
        (3, rows, torch.arange(SIDE).expand_as(bricks), bricks),
    ]


SMALL_GAMES: Mapping[SmallGameName, Rule] = {
    "catching": Rule(
        "Catching",
        "ten balls fall one after another, straight or aslant; +1 for one that the paddle catches, -1 for one that it misses",
        num_actions=3,
        num_chances=2,
        begin=_begin_catching,
        act=_catch,
        draw=_draw_catching,
    ),
    "dodging": Rule(
        "Dodging",
        "rocks fall at random; a tenth of a point for each step, and the end comes with a hit, or after 200 steps",
        num_actions=3,
        num_chances=SIDE,
        begin=_begin_dodging,
        act=_dodge,
        draw=_draw_dodging,
    ),
    "gathering": Rule(
        "Gathering",
        "food lies somewhere, and again somewhere when it is found, for a hundred steps; +1 for each, -1 and the end for "
        "meeting one of two guards, who walk at random",
        num_actions=5,
        num_chances=2 + 2 * _GUARDS,
        begin=_begin_gathering,
        act=_gather,
        draw=_draw_gathering,
    ),
    "bricks": Rule(
        "Bricks",
        "a ball is thrown back by a paddle, the walls and the bricks that it breaks; +1 for each brick; the end comes when it is "
        "missed, or after 300 steps",
        num_actions=3,
        num_chances=2,
        begin=_begin_bricks,
        act=_break,
        draw=_draw_bricks,
    ),
}
