"""The claim about players: refused in time, and its page from the numbers of a record alone."""

from pathlib import Path

import pytest
from rich.console import Console

from hyperlearning.cli import run_command
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments import registry
from hyperlearning.streams import atari_games
from hyperlearning.systems.selfnet.player_lines import PlayerLine, PlayerStoreLine, RecollectedLine

ATARI = registry.experiment("selfnet-atari")


def player(game: str, scores: tuple[float, ...], random: tuple[float, ...]) -> PlayerLine:
    return PlayerLine(
        game=game,
        title=game.title(),
        note="a note",
        num_actions=3,
        num_weights=100,
        steps=10,
        scores=scores,
        random=random,
        training=((5, 1.0), (10, 2.0)),
        training_seconds=1.0,
    )


def stage(number: int, *scores: tuple[float, ...]) -> RecollectedLine:
    return RecollectedLine(stage=number, scores=scores, cosines=(0.5,) * number, num_bytes=200, seconds=1.0)


def test_without_the_extra_a_run_of_atari_games_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(atari_games, "find_spec", lambda name: None)
    arguments = ("run", "selfnet-atari", "laptop", "--root", str(tmp_path))
    assert run_command(arguments, Console(quiet=True)) == 1
    assert "pip install 'hyperlearning[atari]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_page_says_what_is_kept_over_the_games_that_were_learned(tmp_path: Path):
    record = RunRecord.create(tmp_path, "selfnet-atari", "run", ATARI.presets["smoke"])
    record.append(player("catching", (8.0, 10.0), (0.0, 2.0)))
    record.append(player("bricks", (1.0, 1.0), (1.0, 1.0)))
    stages = (stage(1, (9.0, 9.0)), stage(2, (5.0, 5.0), (7.0, 7.0)))
    record.append(PlayerStoreLine(method="self_net", title="Self-Net", note="a note", stages=stages))
    glance = ATARI.report(record).sections[0]
    original, kept, random = glance.tables[0].rows
    assert original == ("original", "9.0 ± 1.0", "1.0 ± 0.0", "100", "800", "1.0")
    assert kept == ("Self-Net", "5.0 ± 0.0", "7.0 ± 0.0", "50", "200", "4")
    assert random == ("random", "1.0 ± 1.0", "1.0 ± 0.0", "0", "", "")
