"""Atari games, many side by side: the Arcade Learning Environment's own vector of emulators, in the package's terms.

An emulator's state cannot be taken out of the vector, so that nothing goes on in the middle of an episode; begun with one seed,
all that follows depends on actions alone.

Shape suffixes: B games side by side.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from hyperlearning.core.errors import AbsentExtraError
from hyperlearning.core.params import on_default_device
from hyperlearning.streams.games import Moved

SIDE = 80
"""Rows and columns of an observation, to which the screen is scaled down, in shades of grey."""
_FRAMES_A_STEP = 4
_MOST_FRAMES = 108_000
"""Of an episode: half an hour."""

AtariName = Literal["boxing", "star_gunner", "kangaroo", "pong", "space_invaders"]


class AtariGame(NamedTuple):
    """A game.

    Attributes:
        title: What it is called.
        num_actions: Actions that it knows.
    """

    title: str
    num_actions: int


ATARI_GAMES: Mapping[AtariName, AtariGame] = {
    "boxing": AtariGame("Boxing", 18),
    "star_gunner": AtariGame("Star Gunner", 18),
    "kangaroo": AtariGame("Kangaroo", 18),
    "pong": AtariGame("Pong", 6),
    "space_invaders": AtariGame("Space Invaders", 6),
}


def check_installed() -> None:
    """Refuses Atari games where what emulates them is absent.

    Raises:
        AbsentExtraError: If so; the message says what to install.
    """
    absent = [name for name in ("gymnasium", "ale_py") if find_spec(name) is None]
    if absent:
        raise AbsentExtraError(
            f"Expected {' and '.join(absent)}, which Atari games need, but got none installed: "
            "`pip install 'hyperlearning[atari]'`, or from a clone `pip install -e '.[atari]'`."
        )


class AtariGames:
    """Emulators of one game, side by side; an action is held for four frames, and an episode begins after up to 30 idle ones.

    Args:
        name: The game.
        num_games: How many.
        clipped: Whether rewards are brought to -1 to 1, for learning.

    Raises:
        AbsentExtraError: If the extra is not installed.
    """

    shape = (1, SIDE, SIDE)

    def __init__(self, name: AtariName, num_games: int, *, clipped: bool) -> None:
        check_installed()
        # Imported here: the extra is optional.
        from ale_py.vector_env import AtariVectorEnv
        from gymnasium.vector import AutoresetMode

        self.num_games, self.num_actions = num_games, ATARI_GAMES[name].num_actions
        self._emulators = AtariVectorEnv(
            name,
            num_games,
            num_threads=torch.get_num_threads(),
            img_height=SIDE,
            img_width=SIDE,
            stack_num=1,
            frameskip=_FRAMES_A_STEP,
            max_num_frames_per_episode=_MOST_FRAMES,
            reward_clipping=clipped,
            autoreset_mode=AutoresetMode.SAME_STEP,
        )

    def begin(self, seed: int) -> Tensor:
        """Begins all games anew."""
        return _seen(self._emulators.reset(seed=seed)[0])

    def step(self, actions: Tensor) -> Moved:
        """Acts in every game; those that end begin anew."""
        seen, rewards, terminated, truncated, _ = self._emulators.step(actions.cpu().numpy())
        ended = on_default_device(torch.from_numpy(terminated | truncated))
        return Moved(_seen(seen), on_default_device(torch.from_numpy(rewards)).float(), ended)


def _seen(frames: object) -> Tensor:
    return on_default_device(torch.as_tensor(frames)).float() / 255
