"""The page of `selfnet-atari`, from its record alone."""

from collections.abc import Sequence
from statistics import fmean, pstdev

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import paired_difference
from hyperlearning.experiments.publish import footer_of
from hyperlearning.reports import Curve, Page, Section, Table, curves_figure, picture
from hyperlearning.systems.selfnet.player_lines import PlayerLine, PlayerStoreLine, RecollectedLine

_NUMBER = 4
"""Bytes of a weight."""
_IN_PICTURE = ("self_net", "self_net_code", "bits_5", "principal", "first")
"""Stores that the picture shows; the table has all."""


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    players, stores = record.lines(PlayerLine), record.lines(PlayerStoreLine)
    return Page(
        title="Players that are stored and play again",
        lead=f"{len(players)} games were learned one after another, each once, by a player of its own of about "
        f"{players[0].num_weights:,} weights. After every game a store takes the new player in and gives all of them back, who "
        f"play {len(players[0].scores)} episodes each: the same ones as their originals.",
        facts={
            store.title: f"{100 * _share(store.last, players):.0f} % of what was learned"
            for store in _best_first(stores, players)[:3]
        },
        sections=(
            _glance(players, stores),
            _pairs_section(players, stores),
            _stages_section(players, stores),
            _players_section(players),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _share(stage: RecollectedLine, players: Sequence[PlayerLine]) -> float:
    """Scores as shares of what originals are above chance, a mean over games that were learned; 0 if none was."""
    both = zip(players, stage.scores, strict=False)
    return fmean([player.share(fmean(own)) for player, own in both if player.was_learned] or [0.0])


def _best_first(stores: Sequence[PlayerStoreLine], players: Sequence[PlayerLine]) -> list[PlayerStoreLine]:
    return sorted(stores, key=lambda store: -_share(store.last, players))


def _glance(players: Sequence[PlayerLine], stores: Sequence[PlayerStoreLine]) -> Section:
    curves = {
        store.title: Curve(
            [stage.stage for stage in store.stages], [100 * _share(stage, players) for stage in store.stages]
        )
        for store in _best_first(stores, players)
        if store.method in _IN_PICTURE
    }
    figure = curves_figure(curves, xlabel="games met so far", ylabel="percent of what was learned")
    unit = _NUMBER * sum(player.num_weights for player in players)
    rows = [
        ("original", *(_spread(player.scores) for player in players), "100", f"{unit:,}", "1.0"),
        *(_row(store, players, unit) for store in _best_first(stores, players)),
        ("random", *(_spread(player.random) for player in players), "0", "", ""),
    ]
    title = "What recollected players keep"
    caption = (
        "Scores of all recollected players, where 0 is a random player's and 100 the original's, means over games."
    )
    table = Table(
        title=f"Scores after {len(players)} games",
        caption=f"Mean and standard deviation over {len(players[0].scores)} episodes. Kept: the mean score as a share of what "
        "the original is above a random player, a mean over games. Compression: bytes of all players in float32 over all bytes "
        "that the store keeps, its codec included.",
        header=("store", *(player.title for player in players), "kept, percent", "bytes", "compression"),
        rows=tuple(rows),
    )
    return Section(title="At a glance", pictures=(picture(title, caption, figure),), tables=(table,))


def _row(store: PlayerStoreLine, players: Sequence[PlayerLine], unit: int) -> tuple[str, ...]:
    last = store.last
    kept, taken = f"{100 * _share(last, players):.0f}".replace("-", "−"), last.num_bytes
    return (store.title, *map(_spread, last.scores), kept, f"{taken:,}", f"{unit / taken:,.3g}")


def _spread(scores: Sequence[float]) -> str:
    return f"{fmean(scores):.1f} ± {pstdev(scores):.1f}".replace("-", "−")


def _pairs_section(players: Sequence[PlayerLine], stores: Sequence[PlayerStoreLine]) -> Section:
    notes = "; ".join(f"{store.title}: {store.note}" for store in stores)
    ordered, header = _best_first(stores, players), ("store", *(player.title for player in players))
    pairs = Table(
        title="Recollected less original",
        caption="Mean and 95 % interval of the difference in score, over episodes that begin alike and meet the same chances.",
        header=header,
        rows=tuple(
            (
                store.title,
                *(_difference(own, player.scores) for own, player in zip(store.last.scores, players, strict=True)),
            )
            for store in ordered
        ),
    )
    near = Table(
        title="Cosine to the weights that were trained",
        header=header,
        rows=tuple((store.title, *(f"{value:.4f}" for value in store.last.cosines)) for store in ordered),
    )
    return Section(title="Beside the originals", paragraphs=(f"{notes}.",), tables=(pairs, near))


def _difference(own: Sequence[float], original: Sequence[float]) -> str:
    found = paired_difference(own, original)
    return f"{found.mean:.2f} ± {found.ci95:.2f}".replace("-", "−")


def _stages_section(players: Sequence[PlayerLine], stores: Sequence[PlayerStoreLine]) -> Section:
    return Section(
        title="Game by game",
        tables=tuple(_stages_table(number, player, players, stores) for number, player in enumerate(players[:-1])),
        paragraphs=("What becomes of a player as further ones are stored.",),
    )


def _stages_table(
    number: int, player: PlayerLine, players: Sequence[PlayerLine], stores: Sequence[PlayerStoreLine]
) -> Table:
    return Table(
        title=f"{player.title}: {player.note}",
        caption=f"Original {_spread(player.scores)}, random {_spread(player.random)}.",
        header=("store", *(f"after {other.title}" for other in players[number:])),
        rows=tuple(
            (store.title, *(_spread(stage.scores[number]) for stage in store.stages[number:]))
            for store in _best_first(stores, players)
        ),
    )


def _players_section(players: Sequence[PlayerLine]) -> Section:
    curves = {
        player.title: Curve(
            [steps / 1000 for steps, _ in player.training],
            [100 * player.share(reward) for _, reward in player.training],
        )
        for player in players
        if player.training and player.was_learned
    }
    pictures = ()
    if curves:
        figure = curves_figure(curves, xlabel="thousand steps", ylabel="percent of what was learned")
        title = "Rewards in training"
        pictures = (picture(title, "Of episodes that ended in a segment, on the scale of final scores.", figure),)
    table = Table(
        title="The players",
        header=("game", "actions", "weights", "steps", "seconds"),
        rows=tuple(
            (
                player.title,
                str(player.num_actions),
                f"{player.num_weights:,}",
                f"{player.steps:,}",
                f"{player.training_seconds:,.0f}",
            )
            for player in players
        ),
    )
    return Section(title="How they were learned", pictures=pictures, tables=(table,))
