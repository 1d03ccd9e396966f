"""The command line as a user meets it: what works, and what bad input gets before any training starts."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import hyperlearning
from hyperlearning.cli import run_command
from hyperlearning.reports.style import drawable

SMALL = [
    "--population", "2", "--num-epochs", "1", "--updates-per-task", "5", "--hyper-batch-size", "4",
    "--hidden-sizes", "4", "4", "--num-channels", "4", "--num-functions", "6", "--threads", "1", "--backend", "eager",
]  # fmt: skip


def call(*arguments: str) -> int:
    try:
        return run_command(arguments, Console(width=200))
    except SystemExit as stop:
        return int(stop.code or 0)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small finished runs, `a` and `b`."""
    folder = tmp_path_factory.mktemp("runs")
    for name, seed in (("a", "0"), ("b", "0")):
        arguments = ["run", "incremental-regression", "smoke", *SMALL, "--root", str(folder), "--name", name]
        assert call(*arguments, "--seed", seed, "--outer-lr", "0.001" if name == "a" else "0.003") == 0
    return folder / "incremental-regression"


def test_list_names_every_experiment_and_preset(capsys: pytest.CaptureFixture[str]):
    assert call("list") == 0
    shown = capsys.readouterr().out
    for word in ("incremental-regression", "regression-ablations", "learned-activation", "quick", "notebook"):
        assert word in shown


@pytest.mark.parametrize("arguments", [("list",), ("--help",), ("--version",), ("run", "no-such-experiment")])
def test_what_needs_no_network_answers_without_importing_pytorch(arguments: tuple[str, ...]):
    code = (
        "import sys\nfrom rich.console import Console\nfrom hyperlearning.cli import run_command\n"
        f"try: run_command({arguments!r}, Console())\nexcept SystemExit: pass\n"
        "assert not {'torch', 'matplotlib', 'scipy', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_the_library_imports_nothing_but_what_is_used():
    code = (
        "import sys, hyperlearning\nassert 'torch' not in sys.modules\nhyperlearning.Deployment\n"
        "assert not {'matplotlib', 'sklearn', 'tyro', 'jinja2'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_there():
    assert all(getattr(hyperlearning, name) is not None for name in hyperlearning.__all__)
    assert set(hyperlearning.__all__) == set(hyperlearning._HOMES)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hyperlearning.nothing  # noqa: B018


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]):
    assert call("--version") == 0
    assert re.fullmatch(r"hyperlearning \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_a_run_leaves_a_record_and_a_self_contained_report(root: Path):
    run = root / "a"
    kept = {path.name for path in run.iterdir()}
    assert {"config.json", "manifest.json", "metrics.jsonl", "checkpoints", "figures", "report.html"} <= kept
    page = (run / "report.html").read_text()
    assert "hyperlearning run incremental-regression smoke" in page
    assert not re.search(r"""(src|href)=["']https?://""", page)


def test_the_report_is_rebuilt_from_the_record_alone(root: Path):
    run = root / "a"
    before = (run / "report.html").read_text()
    (run / "report.html").unlink()
    for picture in (run / "figures").iterdir():
        picture.unlink()
    assert call("report", str(run)) == 0
    assert (run / "report.html").read_text() == before


def test_the_same_settings_give_the_same_numbers(root: Path, tmp_path: Path):
    arguments = ["run", "incremental-regression", "smoke", *SMALL, "--outer-lr", "0.001", "--root", str(tmp_path)]
    assert call(*arguments) == 0
    again = (tmp_path / "incremental-regression" / "smoke" / "metrics.jsonl").read_text()
    assert again == (root / "a" / "metrics.jsonl").read_text()


def test_evaluate_prints_json_with_mean_and_interval_of_every_score(root: Path, capsys: pytest.CaptureFixture[str]):
    assert call("evaluate", str(root / "a"), "--num-functions", "8", "--seed", "3", "--json") == 0
    scores = json.loads(capsys.readouterr().out)
    for name in ("total_error", "memory_error", "forgetting"):
        assert set(scores[name]) == {"mean", "ci95"}
    assert scores["total_error"]["mean"] > 0


def test_evaluate_gives_the_same_numbers_for_the_same_seed_and_others_for_another(
    root: Path, capsys: pytest.CaptureFixture[str]
):
    answers = []
    for seed in ("3", "3", "4"):
        assert call("evaluate", str(root / "a"), "--num-functions", "8", "--seed", seed, "--json") == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]
    assert answers[0] != answers[2]


def test_compare_pairs_two_runs_over_their_functions(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert call("compare", str(root / "a"), str(root / "b"), "--out", str(tmp_path)) == 0
    shown = capsys.readouterr().out
    assert "total error" in shown
    assert "paired" in shown
    page = (tmp_path / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert not re.search(r"""(src|href)=["']https?://""", page)


def test_compare_as_json_says_the_same_as_its_file_and_is_strict(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = ["compare", str(root / "a"), str(root / "b:rls"), "--json", "--out", str(tmp_path)]
    assert call(*arguments) == 0
    printed = capsys.readouterr().out
    assert "NaN" not in printed
    assert json.loads(printed) == json.loads((tmp_path / "comparison.json").read_text())
    (pair,) = json.loads(printed)["comparisons"]["6 functions of 5 pieces: total error"]["pairs"]
    assert pair["difference"]["mean"] == pytest.approx(pair["first"]["mean"] - pair["second"]["mean"])


@pytest.mark.parametrize("command", ["list", "run", "resume", "report", "evaluate", "deploy"])
def test_every_command_says_how_it_is_called(command: str, capsys: pytest.CaptureFixture[str]):
    assert call(command, "--help") == 0
    assert "deploy [RUN] FILE|FOLDER" in capsys.readouterr().out


def test_deploy_without_data_says_how_it_is_called(capsys: pytest.CaptureFixture[str]):
    assert call("deploy") == 2
    assert "deploy [RUN] FILE|FOLDER" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "status", "said"), [((), 2, "compare RUN"), (("--help",), 0, "")])
def test_compare_without_runs_says_how_it_is_called(
    arguments: tuple[str, ...], status: int, said: str, capsys: pytest.CaptureFixture[str]
):
    assert call("compare", *arguments) == status
    assert said in capsys.readouterr().err


def test_resume_of_a_finished_run_says_so(root: Path, capsys: pytest.CaptureFixture[str]):
    assert call("resume", str(root / "a")) == 0
    assert "has finished" in capsys.readouterr().out


def test_a_measured_series_is_learned_piece_by_piece(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    x = np.linspace(1900, 2000, 61)
    file = tmp_path / "level.csv"
    rows = "\n".join(f"{a},{b},note" for a, b in zip(x, 200 + 30 * np.sin(x / 9), strict=True))
    file.write_text(f"year,level,remark\n{rows}\n")
    assert call("deploy", str(root / "a"), str(file), "--x", "year", "--y", "level", "--num-tasks", "3") == 0
    shown = capsys.readouterr().out
    for life in (
        "DAN network",
        "recursive least squares",
        "normalised least mean squares",
        "with replay",
        "random features",
    ):
        assert life in shown
    assert "served this series best" in shown
    out = tmp_path / "level"
    assert (out / "series.png").read_bytes().startswith(b"\x89PNG")
    assert "<html" in (out / "report.html").read_text()
    errors = json.loads((out / "errors.json").read_text())["root_mean_square_error"]["level"]
    assert np.array(errors["dan"]["by_piece"]).shape == (4, 3)
    table = np.genfromtxt(out / "predictions.csv", delimiter=",", names=True)
    np.testing.assert_allclose(table["year"], x)
    assert np.isfinite(table["dan"]).all()


def test_an_unknown_command_experiment_or_preset_names_the_nearest(capsys: pytest.CaptureFixture[str]):
    for arguments, near in (
        (("rum",), "run"),
        (("run", "incremental-regresion"), "incremental-regression"),
        (("run", "incremental-regression", "quik"), "quick"),
    ):
        assert call(*arguments) == 2
        assert f"Did you mean '{near}'?" in capsys.readouterr().err


def test_an_unknown_flag_names_the_nearest(capfd: pytest.CaptureFixture[str]):
    assert call("run", "incremental-regression", "--populaton", "3") == 2
    assert "--population" in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--population", "0"), "population"),
        (("--num-tasks", "1"), "num_tasks"),
        (("--inner-lr", "-1"), "inner_lr"),
        (("--through", "3", "--update-every", "2"), "through"),
        (("--update-every", "7"), "update_every"),
        (("--through", "1", "--inner-innate-lr", "0.1"), "inner_innate_lr"),
        (("--hyper-scope", "memory_and_future", "--hyper-batch-size", "5"), "hyper_batch_size"),
        (("--hidden-sizes", "4", "0"), "hidden_sizes"),
        (("--backend", "kernel", "--sharing", "layer"), "kernel"),
        (("--num-functions", "1"), "num_functions"),
        (("--seed", "-1"), "seed"),
    ],
)
def test_contradictory_or_senseless_settings_are_refused_before_a_run_exists(
    arguments: tuple[str, ...], expected: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    status = call("run", "incremental-regression", "smoke", *arguments, "--root", str(tmp_path))
    assert status in (1, 2)
    assert expected in "".join(capfd.readouterr())
    assert not list(tmp_path.rglob("metrics.jsonl"))


def test_an_existing_run_is_kept_unless_overwritten(root: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["run", "incremental-regression", "smoke", *SMALL, "--root", str(root.parent), "--name", "b"]
    assert call(*arguments) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert call(*arguments, "--overwrite", "--outer-lr", "0.003") == 0


def test_a_refused_overwrite_leaves_the_old_run_as_it_was(root: Path, capsys: pytest.CaptureFixture[str]):
    before = (root / "a" / "metrics.jsonl").read_text()
    arguments = ["run", "incremental-regression", "smoke", "--root", str(root.parent), "--name", "a", "--overwrite"]
    assert call(*arguments, "--update-every", "7") == 1
    assert "update_every" in capsys.readouterr().err
    assert (root / "a" / "metrics.jsonl").read_text() == before


def test_a_name_that_leads_elsewhere_is_refused(root: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["run", "incremental-regression", "smoke", *SMALL, "--root", str(root.parent), "--overwrite"]
    assert call(*arguments, "--name", "..") == 1
    assert "plain folder name" in capsys.readouterr().err
    assert (root / "a" / "config.json").exists()


def test_a_half_written_line_is_dropped_and_a_damaged_config_named(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "run"
    shutil.copytree(root / "a", run)
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps({**manifest, "finished": False}))
    whole = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text(whole + '{"kind": "meth')
    assert call("resume", str(run)) == 0
    assert (run / "metrics.jsonl").read_text() == whole
    (run / "config.json").write_text('{"experiment":')
    capsys.readouterr()
    assert call("report", str(run)) == 1
    assert "config.json" in capsys.readouterr().err


def test_repeated_positions_in_a_series_are_learned_too(root: Path, tmp_path: Path):
    file = tmp_path / "twice.csv"
    file.write_text("x,y\n" + "".join(f"{i // 2},{i % 5}\n" for i in range(20)))
    assert call("deploy", str(root / "a"), str(file), "--num-tasks", "2") == 0
    assert (tmp_path / "twice" / "series.png").exists()


def test_what_comes_with_the_package_learns_a_file_without_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Times, several columns, names that are markup or missing from fonts, the last digit of positions."""
    monkeypatch.chdir(tmp_path)
    rows = "\n".join(f"{1700000001 + i};{np.sin(i / 9):.3f};{np.cos(i / 9):.3f}" for i in range(60)).replace(".", ",")
    Path("two.csv").write_text(f"second;Ba$$in;日期\n{rows}\n", encoding="utf-8")
    assert call("deploy", "two.csv", "--y", "Ba$$in", "日期", "--updates-per-task", "12") == 0
    assert "The decimal mark is ','" in capsys.readouterr().out
    lines = Path("two/predictions.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("second,Ba$$in,日期,dan of Ba$$in")
    assert [line.split(",")[0] for line in lines[1:]] == [str(1700000001 + i) for i in range(60)]
    assert {path.name for path in Path("two").iterdir()} == {
        "report.html", "series-1.png", "series-2.png", "predictions.csv", "errors.json",
    }  # fmt: skip
    json.loads(Path("two/errors.json").read_text(), parse_constant=lambda name: pytest.fail(name))


def test_names_that_look_like_markup_stay_as_they_are_and_long_ones_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    name, rows = "<b>Ba$$in</b> & [red]x[/red]", "".join(f"{i},{np.sin(i / 9):.3f},{i % 7}\n" for i in range(20))
    Path("[bold]a.csv").write_text(f"t,{name},{'long ' * 60}\n{rows}")
    assert call("deploy", "[bold]a.csv", "--y", name, ("long " * 60).strip(), "--updates-per-task", "4") == 0
    shown = capsys.readouterr().out
    assert name in shown
    assert "errors: [bold]a" in shown
    page = Path("[bold]a/report.html").read_text()
    assert "&lt;b&gt;Ba$$in&lt;/b&gt; &amp; [red]x[/red]" in page
    assert "<b>" not in page
    assert drawable("long " * 60, "measured") == f"{('long ' * 60)[:39]}…"


def test_an_outlier_is_warned_of_with_its_line_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    rows = [f"2024-01-01T00:{i:02d}:00+01:00,{-9999 if i == 30 else i % 7}\n" for i in range(60)]
    Path("a.csv").write_text("t,v\n" + "".join(rows))
    assert call("deploy", "a.csv", "--updates-per-task", "4") == 0
    assert "the farthest -9999 at 2024-01-01T00:30:00+01:00 (line 32)" in capsys.readouterr().out


def test_deploy_as_json_says_the_same_as_its_file_and_its_page_how_to_repeat_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("t;v;w\n" + "".join(f"{i},5;{i % 7};{i % 5}\n" for i in range(20)))
    flags = ["--y", "w", "--delimiter", ";", "--num-tasks", "4", "--scale", "robust"]
    assert call("deploy", "--json", "a.csv", *flags) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(Path("a/errors.json").read_text())
    page = html.unescape(Path("a/report.html").read_text())
    assert "hyperlearning deploy a.csv --y w --delimiter ';' --num-tasks 4 --scale robust" in page


def test_outputs_appear_together_or_not_at_all(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file, out = tmp_path / "series.csv", tmp_path / "out"
    file.write_text("x,y\n" + "".join(f"{i},{i % 5}\n" for i in range(20)))
    (out / "errors.json").mkdir(parents=True)  # In the way of one of them.
    assert call("deploy", str(root / "a"), str(file), "--out", str(out), "--updates-per-task", "4") == 1
    assert "errors.json" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["errors.json"]


def test_a_file_in_the_place_of_the_outputs_is_named_before_anything_is_learned(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "series.csv").write_text("x,y\n" + "".join(f"{i},{i % 5}\n" for i in range(20)))
    (tmp_path / "series").write_text("mine")
    assert call("deploy", str(root / "a"), str(tmp_path / "series.csv")) == 1
    assert f"{tmp_path / 'series'} is a file. Name another by `--out`" in capsys.readouterr().err
    assert (tmp_path / "series").read_text() == "mine"


def test_an_unwritable_root_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert call("run", "incremental-regression", "smoke", "--root", str(blocked)) == 1
    assert "write" in capsys.readouterr().err


def test_a_diverging_loss_stops_the_run_and_says_at_which_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["run", "incremental-regression", "smoke", *SMALL, "--inner-lr", "1e39", "--root", str(tmp_path)]
    assert call(*arguments) == 1
    assert re.search(r"outer step \d+ of epoch 0", capsys.readouterr().err)
    assert (tmp_path / "incremental-regression" / "smoke" / "config.json").exists()


@pytest.mark.parametrize(
    ("content", "arguments", "expected"),
    [
        (None, (), "does not exist"),
        ("", (), "is empty"),
        ("x,y\n1,2\n2,oops\n", (), "line 3"),
        ("x,x\n1,2\n2,3\n", (), "one column 'x'"),
        ("x,y\n\n", (), "rows below"),
        ("x,y\n1,2\n2,3\n", ("--y", "level"), "level"),
        ("x,y\n1,2\n2,3\n", (), "a point for each of 5 pieces"),
        ("x,y\n1,2\n2,2\n3,2\n4,2\n5,2\n", (), "constant"),
        ("x,y\n1,2\n2,nan\n3,2\n4,2\n5,2\n", (), "--missing drop"),
        ("x,y\n1,1e308\n2,2\n3,2\n4,2\n5,1.2e308\n", (), "larger unit"),
    ],
)
def test_an_unusable_series_is_refused_with_the_reason(
    content: str | None, arguments: tuple[str, ...], expected: str, root: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    file = tmp_path / "series.csv"
    if content is not None:
        file.write_text(content)
    assert call("deploy", str(root / "a"), str(file), *arguments) == 1
    assert expected in capsys.readouterr().err


def test_the_module_is_the_command_too():
    answer = subprocess.run(
        [sys.executable, "-m", "hyperlearning", "list"],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
        check=False,
    )
    assert answer.returncode == 0
    assert "incremental-regression" in answer.stdout


def test_help_of_a_run_describes_settings_alone(capsys: pytest.CaptureFixture[str]):
    assert call("run", "class-incremental", "--help") == 0
    shown = capsys.readouterr().out
    assert "Where runs live" in shown
    assert "pyright" not in shown


def test_a_reader_that_has_seen_enough_ends_the_command_quietly():
    command = f"{sys.executable} -m hyperlearning list | true; echo ${{PIPESTATUS[0]}}"
    for _ in range(3):  # Whether the pipe is closed in time is a race; either way nothing is complained of.
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
        assert done.stdout.strip() in ("0", "1", "141")
        assert done.stderr == ""
