"""Players of games: the games that there are, a player of each, and how well players do."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from hyperlearning.core.seeding import generator
from hyperlearning.core.weight_vectors import Header, Weights, weights_of, with_weights
from hyperlearning.learners.actor_critic import drawn_actions
from hyperlearning.networks.actor_critic import ActorCritic, Said
from hyperlearning.streams.atari_games import ATARI_GAMES, AtariGames, AtariName, check_installed
from hyperlearning.streams.games import Games
from hyperlearning.streams.small_games import SMALL_GAMES, SmallGameName, SmallGames
from hyperlearning.systems.selfnet.player_settings import PlayerSettings

SMALL: tuple[SmallGameName, ...] = ("catching", "dodging", "gathering", "bricks")
"""The small games, in the order in which they are met."""
ATARI: tuple[AtariName, ...] = ("boxing", "star_gunner", "kangaroo", "pong", "space_invaders")
"""The text's games, likewise."""

GameName = Literal[
    "catching",
    "dodging",
    "gathering",
    "bricks",
    "boxing",
    "star_gunner",
    "kangaroo",
    "pong",
    "space_invaders",
]


class Game(NamedTuple):
    """A game that can be learned and scored.

    Attributes:
        title: What a figure calls it.
        note: How it is played, in a sentence.
        num_actions: Actions.
        shape: Of an observation.
        to_learn: Makes games side by side, given how many.
        to_score: Likewise, with rewards as they count.
    """

    title: str
    note: str
    num_actions: int
    shape: tuple[int, int, int]
    to_learn: Callable[[int], Games]
    to_score: Callable[[int], Games]


def game_of(name: GameName) -> Game:
    """Finds a game by its name."""
    return _games()[name]


def _games() -> Mapping[str, Game]:
    small = {
        name: Game(rule.title, rule.note, rule.num_actions, SmallGames.shape, make := partial(SmallGames, rule), make)
        for name, rule in SMALL_GAMES.items()
    }
    atari = {
        name: Game(
            title,
            "as the Arcade Learning Environment has it, an action for four frames",
            num_actions,
            AtariGames.shape,
            partial(AtariGames, name, clipped=True),
            partial(AtariGames, name, clipped=False),
        )
        for name, (title, num_actions) in ATARI_GAMES.items()
    }
    return {**small, **atari}


def check_games(names: Sequence[GameName]) -> None:
    """Refuses games that cannot be played here.

    Raises:
        AbsentExtraError: If one of them needs the extra `atari`, which is not installed.
    """
    if set(names) & set(ATARI):
        check_installed()


def first_player(game: Game, settings: PlayerSettings, seed: int) -> ActorCritic:
    """The random player that learning begins from: but for the actor's weights the same in all games of one shape."""
    return ActorCritic(
        generator(seed, "players"),
        shape=game.shape,
        num_actions=game.num_actions,
        num_convolutions=settings.num_convolutions,
        num_channels=settings.num_channels,
        num_units=settings.num_units,
    )


@torch.no_grad()
def scores_of(
    game: Game, player: Callable[[Tensor, Tensor], Said], memory: Tensor, *, num_episodes: int, seed: int
) -> tuple[float, ...]:
    """Plays episodes side by side, to their ends; two players with one seed meet the same beginnings and chances.

    Args:
        game: The game.
        player: Says what to do, given what is seen and remembered.
        memory: What is remembered at first, (B, U).
        num_episodes: Episodes, B.
        seed: What they follow from.

    Returns:
        The sum of rewards of each.
    """
    games = game.to_score(num_episodes)
    source = generator(seed, f"choices in {game.title}")
    observations = games.begin(drawn_seed(generator(seed, f"episodes of {game.title}")))
    found, playing = torch.zeros(num_episodes), torch.ones(num_episodes, dtype=torch.bool)
    while bool(playing.any()):
        said = player(observations, memory)
        moved = games.step(drawn_actions(said.logits, source))
        found = found + moved.rewards * playing
        playing = playing & ~moved.ended
        observations, memory = moved.observations, said.memory * ~moved.ended[:, None]
    return tuple(round(float(score), 4) for score in found)


def drawn_seed(source: torch.Generator) -> int:
    """A seed of games."""
    return int(torch.randint(2**31 - 1, (), generator=source))


def random_scores(game: Game, *, num_episodes: int, seed: int) -> tuple[float, ...]:
    """Scores of a player to whom all actions are alike."""

    def player(observations: Tensor, memory: Tensor) -> Said:
        return Said(torch.zeros(len(observations), game.num_actions), memory[:, 0], memory)

    memory = torch.zeros(num_episodes, 1)
    return scores_of(game, player, memory, num_episodes=num_episodes, seed=seed)


class Referee:
    """Scores vectors of weights in games; a vector that has played a game does not play it again.

    Args:
        games: The games, in the order in which they are met.
        settings: The players' size.
        num_episodes: Episodes of each.
        seed: Of first players and of episodes.
    """

    def __init__(self, games: Sequence[Game], settings: PlayerSettings, *, num_episodes: int, seed: int) -> None:
        self._games, self._num_episodes, self._seed = tuple(games), num_episodes, seed
        self._players = [first_player(game, settings, seed) for game in games]
        self._known: dict[tuple[int, bytes], tuple[float, ...]] = {}

    @property
    def headers(self) -> list[Header]:
        """What each game's vector is made of."""
        return [weights_of(player).header for player in self._players]

    def scores(self, number: int, vector: Tensor) -> tuple[float, ...]:
        """The scores of a vector in a game."""
        key = (number, vector.cpu().numpy().tobytes())
        if key not in self._known:
            like = self._players[number]
            player = with_weights(like, Weights(weights_of(like).header, vector, {}))
            self._known[key] = scores_of(
                self._games[number],
                player,
                like.first_memory(self._num_episodes),
                num_episodes=self._num_episodes,
                seed=self._seed,
            )
        return self._known[key]
