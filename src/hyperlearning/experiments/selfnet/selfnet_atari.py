"""Players of several games, each learned once, kept by an autoencoder of weights and beside it: do they play as well as before?

Claim (dissertation, section 2.4.7, figure 2.6): players of five Atari games that Self-Net stored one after another and gives back
score as their originals do, at every stage. How much does that take, and does what needs no training do it in fewer bytes?

The page `docs/experiments/selfnet-atari.md` lists every deviation from the source.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Literal, get_args

from rich.console import Console
from torch import Tensor

from hyperlearning.core.expect import Count, Rate, Seed, Some, check_ranges
from hyperlearning.engine.devices import DeviceName
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.engine.sub_records import Trained, train_below
from hyperlearning.experiments.entry import Entry, Fared, FurtherLives, Measure, MetLives, refuse_further
from hyperlearning.experiments.experiment import Experiment, page_of
from hyperlearning.learners.weight_codecs.principal import PrincipalComponents
from hyperlearning.learners.weight_codecs.residuals import QuantisedResiduals, Quantiser, symmetric, uniform
from hyperlearning.learners.weight_codecs.self_net import SelfNet, SelfNetRule
from hyperlearning.learners.weight_codecs.shared import MeanAlone
from hyperlearning.systems.selfnet.player_lines import PlayerLine, PlayerStoreLine, RecollectedLine, SegmentLine
from hyperlearning.systems.selfnet.player_lives import PlayerStore, player_store_job, player_vector, playing_job
from hyperlearning.systems.selfnet.player_settings import PlayerSettings, PlayerTraining
from hyperlearning.systems.selfnet.players import (
    ATARI,
    SMALL,
    GameName,
    Referee,
    check_games,
    game_of,
    random_scores,
)

StoreName = Literal["first", "principal", "bits_8", "bits_5", "bits_4", "differences", "self_net", "self_net_code"]

_CONTRACTION = 1e-4
_HARD = 0.998


@dataclass(frozen=True, kw_only=True)
class Config:
    """Learn games one after another, keep their players in every way, and let what is given back play again."""

    games: Annotated[tuple[GameName, ...], Some(distinct=True)] = ATARI
    """The games, in the order in which they are met."""
    player: PlayerSettings = field(default_factory=PlayerSettings)
    training: PlayerTraining = field(default_factory=PlayerTraining)
    stores: Annotated[tuple[StoreName, ...], Some(distinct=True)] = get_args(StoreName)
    """What keeps the players."""
    num_pieces: Count = 11
    """Pieces that a network is cut into for Self-Net and for principal components."""
    hidden: Annotated[tuple[Count, ...], Some()] = (2000,)
    """Sizes of the autoencoder's hidden layers (authors' code: 3000)."""
    latent: Count = 200
    """Numbers that Self-Net, and principal components, keep of a piece."""
    most_iterations: Count = 600
    """The most iterations of a stage of Self-Net, each with all pieces as one batch."""
    most_passes: Count = 600
    """The most of a stage of Self-Net as the code has it, each with all pieces one at a time (authors' code: 600)."""
    codec_lr: Rate = 1e-5
    """Adam's rate there (authors' code: 1e-5)."""
    num_episodes: Count = 80
    """Episodes that every player is scored on, the same for all players of a game."""
    seed: Seed = 0
    """Everything random follows from it."""
    device: DeviceName = "cpu"
    """Where it computes."""
    threads: Count = 1
    """Threads of the computation, and of emulators."""

    def __post_init__(self) -> None:
        check_ranges(self)


_QUICK = Config(
    games=SMALL,
    player=PlayerSettings(num_convolutions=1, num_channels=16, num_units=32),
    training=PlayerTraining(num_segments=8, segment_updates=200, num_games=64, num_steps=5, lr=5e-3, discount=0.95),
    num_pieces=4,
    hidden=(100,),
    latent=10,
    most_passes=150,
    codec_lr=1e-3,
)

PRESETS: dict[str, Config] = {
    "quick": _QUICK,
    "laptop": Config(
        training=PlayerTraining(num_segments=30, lr=3e-4),
        stores=("first", "principal", "bits_8", "bits_5", "bits_4", "differences", "self_net"),
        hidden=(200,),
        codec_lr=1e-4,
        threads=2,
    ),
    "paper": Config(),
    "smoke": replace(
        _QUICK,
        games=("catching", "gathering"),
        training=PlayerTraining(num_segments=2, segment_updates=20, num_games=4, num_steps=5, lr=5e-3),
        num_pieces=2,
        hidden=(5,),
        latent=2,
        most_iterations=2,
        most_passes=2,
        num_episodes=4,
    ),
}


def stores_of(config: Config) -> Mapping[StoreName, PlayerStore]:
    """Every way to keep players as vectors, by name."""

    def written(title: str, note: str, quantiser: Quantiser, around: Literal["mean", "zero"] = "zero") -> PlayerStore:
        return PlayerStore(title, note, lambda size: QuantisedResiduals(size, quantiser, around=around))

    def self_net(rule: SelfNetRule) -> Callable[[int], SelfNet]:
        return lambda size: SelfNet(size, rule, seed=config.seed)

    batch = SelfNetRule(
        hidden=config.hidden,
        code_size=config.latent,
        activation="tanh",
        every=True,
        thresholds=(0.9999,),
        max_iterations=(config.most_iterations,),
        lrs=(config.codec_lr,),
        slow_inputs=False,
    )
    code = replace(
        batch,
        standardised=False,
        contraction="authors",
        strength=_CONTRACTION,
        one_by_one=True,
        again_below_mean=True,
        thresholds=(_HARD,),
        max_iterations=(config.most_passes,),
    )
    pieces, latent = config.num_pieces, config.latent
    layers = f"an autoencoder of pieces, {pieces} a network, with hidden layers of {', '.join(map(str, config.hidden))}"
    return {
        "first": PlayerStore("first player", "the first game's player, for all games", MeanAlone),
        "principal": PlayerStore(
            "principal components",
            f"a mean and {latent} directions of pieces, {pieces} a network, fitted anew at every stage",
            partial(PrincipalComponents, num_components=latent),
            pieces,
        ),
        "bits_8": written("weights, 8 bits", "quantised and compressed by LZMA; nothing is shared", symmetric(8)),
        "bits_5": written("weights, 5 bits", "likewise, clipped at 5 standard deviations", uniform(5, clip=5.0)),
        "bits_4": written("weights, 4 bits", "likewise, clipped at 3.5", uniform(4, clip=3.5)),
        "differences": written(
            "differences, 4 bits", "likewise, of differences to the first player", uniform(4, clip=3.5), "mean"
        ),
        "self_net": PlayerStore(
            "Self-Net", f"{layers} and {latent}, on standardised pieces, all as one batch", self_net(batch), pieces
        ),
        "self_net_code": PlayerStore(
            "Self-Net, as the code has it",
            f"likewise, on pieces as they are, one at a time, with the authors' contractive term, until every cosine is {_HARD}",
            self_net(code),
            pieces,
        ),
    }


def check(config: Config) -> None:
    """Raises if settings contradict one another, or what plays the games is not installed."""
    check_ranges(config)
    check_games(config.games)


def run(config: Config, record: RunRecord, console: Console) -> None:
    """Learns all games, or goes on doing so, then lets every store take the players in and lets them play again."""
    record.note(threads=config.threads)
    games = [game_of(name) for name in config.games]
    referee = Referee(games, config.player, num_episodes=config.num_episodes, seed=config.seed)
    vectors = [_learned(number, config, record, referee, console) for number in range(len(games))]
    for name, store in stores_of(config).items():
        if name in config.stores:
            _stored(name, store, vectors, config, record, referee, console)


def _learned(number: int, config: Config, record: RunRecord, referee: Referee, console: Console) -> Tensor:
    """The weights of the player of a game."""
    name = config.games[number]
    game = game_of(name)
    console.print(game.title, style="bold", highlight=False)
    job = playing_job(game, config.player, config.training, seed=config.seed)
    made = train_below(record, f"player {name}", config, job, console)
    vector = player_vector(made.state)

    def line() -> PlayerLine:
        return PlayerLine(
            game=name,
            title=game.title,
            note=game.note,
            num_actions=game.num_actions,
            num_weights=len(vector),
            steps=config.training.all_steps,
            scores=referee.scores(number, vector),
            random=random_scores(game, num_episodes=config.num_episodes, seed=config.seed),
            training=_course(made),
            training_seconds=round(sum(line.seconds for line in made.record.lines(SegmentLine)), 1),
        )

    record.once(PlayerLine, {"game": name}, line)
    return vector


def _course(made: Trained) -> tuple[tuple[int, float], ...]:
    return tuple((line.steps, line.reward) for line in made.record.lines(SegmentLine) if line.reward is not None)


def _stored(
    name: StoreName,
    store: PlayerStore,
    vectors: list[Tensor],
    config: Config,
    record: RunRecord,
    referee: Referee,
    console: Console,
) -> None:
    console.print(store.title, style="bold", highlight=False)
    made = train_below(record, name, config, player_store_job(store, vectors, referee), console)

    def line() -> PlayerStoreLine:
        stages = tuple(made.record.lines(RecollectedLine))
        return PlayerStoreLine(method=name, title=store.title, note=store.note, stages=stages)

    record.once(PlayerStoreLine, {"method": name}, line)


def enter(record: RunRecord, further: FurtherLives | None) -> Entry:
    """Every store on every game, an episode a life."""
    refuse_further(record, further)
    config, players, stores = record.settings(Config), record.lines(PlayerLine), record.lines(PlayerStoreLine)
    claimed, met = max(stores, key=lambda store: store.method.startswith("self_net")), []
    for number, player in enumerate(players):
        own = Fared(system="original", title="the original", enters=False, scores={"score": player.scores})
        kept = (
            Fared(
                system=store.method,
                title=store.title,
                enters=store is claimed,
                scores={"score": store.last.scores[number]},
            )
            for store in stores
        )
        facts = {"kind": "episodes", "game": player.game, "seed": config.seed, "num_episodes": config.num_episodes}
        met.append(MetLives(title=player.title, facts=facts, systems=(own, *kept)))
    return Entry(measures=(Measure(name="score", title="score of an episode", unit="points"),), met=tuple(met))


EXPERIMENT = Experiment(
    claim="Players of several games, each learned once and stored as weights, play on as well when they are given back.",
    presets=PRESETS,
    check=check,
    run=run,
    report=page_of(__name__),
    enter=enter,
)
