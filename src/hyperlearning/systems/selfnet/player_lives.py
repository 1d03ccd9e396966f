"""Lives of players and of their stores, as jobs: a game is learned segment by segment, players are taken in, and play again.

Shape suffixes: K networks, N numbers of a network, P pieces of one, S numbers of a piece.
"""

import time
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor

from hyperlearning.core.params import joined, on_default_device, part_of
from hyperlearning.core.seeding import generator
from hyperlearning.core.weight_vectors import num_bytes, split
from hyperlearning.engine.rounds import Played, Rounds, RoundsState
from hyperlearning.learners.actor_critic import Losses, Standing, followed, learned, parameters_of
from hyperlearning.learners.optimizers import adam
from hyperlearning.learners.weight_codecs.codec import WeightCodec
from hyperlearning.learners.weight_codecs.self_net import SelfNet
from hyperlearning.networks.weight_codec.autoencoder import cosines
from hyperlearning.streams.games import Games
from hyperlearning.systems.selfnet.player_lines import RecollectedLine, SegmentLine
from hyperlearning.systems.selfnet.player_settings import PlayerSettings, PlayerTraining
from hyperlearning.systems.selfnet.players import Game, Referee, drawn_seed, first_player

_PARAMS, _MOMENTS = "params", "moments"


class PlayerStore(NamedTuple):
    """A way to keep players.

    Attributes:
        title: What a figure calls it.
        note: What it is, in a sentence.
        make: Makes a codec for vectors of a size.
        num_pieces: Pieces of equal size that each network is cut into, a vector each.
    """

    title: str
    note: str
    make: Callable[[int], WeightCodec]
    num_pieces: int = 1


class _Tally:
    """Sums of rewards of the episodes that end."""

    def __init__(self, num_games: int) -> None:
        self._sums, self.finished = torch.zeros(num_games), []

    def add(self, rewards: Tensor, ended: Tensor) -> None:
        """Takes in what came of some steps, (T, B) each."""
        for reward, end in zip(rewards, ended, strict=True):
            self._sums = self._sums + reward
            self.finished += self._sums[end].tolist()
            self._sums = self._sums * ~end


def playing_job(game: Game, settings: PlayerSettings, training: PlayerTraining, *, seed: int) -> Rounds:
    """Builds the job that learns a game, a segment a round.

    A segment begins with games begun anew from a seed that is drawn: an emulator's state cannot be taken out, and so weights and
    moments, which a checkpoint holds between two segments, are all that the next depends on.
    """
    player, optimizer = first_player(game, settings, seed), adam()
    start = parameters_of(player)
    made: list[Games] = []

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun = time.monotonic()
        if not made:
            made.append(game.to_learn(training.num_games))
        games, tally, losses = made[0], _Tally(training.num_games), []
        params, moments = part_of(state.tensors, _PARAMS), part_of(state.tensors, _MOMENTS)
        standing = Standing(games.begin(drawn_seed(source)), player.first_memory(training.num_games))
        for update in range(training.segment_updates):
            done = (state.round * training.segment_updates + update) / (
                training.num_segments * training.segment_updates
            )
            trail, standing = followed(player, params, games, standing, source, num_steps=training.num_steps)
            params, moments, loss = learned(
                player, params, moments, trail, standing, training.rule, optimizer, lr=training.lr * (1 - done)
            )
            tally.add(trail.rewards, trail.ended)
            losses.append(loss)
        line = _segment_line(training, state.round + 1, tally, losses, begun)
        said = "no episode ended" if line.reward is None else f"{line.reward:.2f} an episode"
        return Played(joined({_PARAMS: params, _MOMENTS: moments}), {}, line, said)

    source = generator(seed, f"learning {game.title}")
    initial = RoundsState(joined({_PARAMS: start, _MOMENTS: optimizer.init(start)}), {}, 0, source.get_state())
    return Rounds(
        initial=initial,
        play=play,
        num_rounds=training.num_segments,
        source=source,
        title=f"learning {game.title}",
        unit="segments",
    )


def player_vector(state: RoundsState) -> Tensor:
    """The weights of the player that a job learned, (N,)."""
    return torch.cat([tensor.flatten() for tensor in part_of(state.tensors, _PARAMS).values()])


def _segment_line(
    training: PlayerTraining, segment: int, tally: _Tally, losses: Sequence[Losses], begun: float
) -> SegmentLine:
    return SegmentLine(
        segment=segment,
        steps=segment * training.segment_steps,
        episodes=len(tally.finished),
        reward=round(fmean(tally.finished), 4) if tally.finished else None,
        entropy=round(fmean(float(loss.entropy) for loss in losses), 4),
        critic=round(fmean(float(loss.critic) for loss in losses), 5),
        seconds=round(time.monotonic() - begun, 2),
    )


def player_store_job(store: PlayerStore, vectors: Sequence[Tensor], referee: Referee) -> Rounds:
    """Builds the job that lets a store take in one player a round, and lets all that it gives back play again.

    Networks of games with fewer actions are shorter; zeros fill them up to the length of the longest.
    """
    headers, longest = referee.headers, max(map(len, vectors))
    size = -(-longest // store.num_pieces)

    def play(state: RoundsState, source: torch.Generator) -> Played:
        begun, codec = time.monotonic(), store.make(size)
        if state.round:
            codec.restore(state.tensors)
        codec.learn(_pieces(vectors[state.round], store.num_pieces, size))
        kept, met = codec.tensors(), state.round + 1
        back_KN = codec.recollect().reshape(met, store.num_pieces * size)
        own = [vector[: len(true)] for vector, true in zip(back_KN, vectors, strict=False)]
        scores = tuple(referee.scores(number, vector) for number, vector in enumerate(own))
        near = [float(cosines(back[None], true[None])[0]) for back, true in zip(own, vectors, strict=False)]
        line = RecollectedLine(
            stage=met,
            scores=scores,
            cosines=tuple(round(value, 5) for value in near),
            num_bytes=num_bytes(kept) + sum(len(str(header.facts())) for header in headers[:met]),
            iterations=codec.stages[-1].iterations if isinstance(codec, SelfNet) else None,
            seconds=round(time.monotonic() - begun, 2),
        )
        tensors = {name: on_default_device(tensor.clone()) for name, tensor in kept.items()}
        return Played(tensors, {}, line, f"{met} games: cosine {min(near):.4f}")

    initial = RoundsState({}, {}, 0, (source := torch.Generator()).get_state())
    return Rounds(initial=initial, play=play, num_rounds=len(vectors), source=source, title="stages", unit="stages")


def _pieces(vector: Tensor, num_pieces: int, size: int) -> Tensor:
    """Cuts a vector into pieces, (P, S), of which the last ones may be zeros."""
    return split(torch.nn.functional.pad(vector, (0, num_pieces * size - len(vector))), size)
