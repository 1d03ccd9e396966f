"""What every experiment must do, by being listed in the registry. Each is run once, at its smallest."""

import contextlib
import dataclasses
import fcntl
import io
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

import hyperlearning
from hyperlearning.cli import run_command
from hyperlearning.core.errors import RunError
from hyperlearning.data import prepared
from hyperlearning.data.catalogue import CATALOGUE
from hyperlearning.data.images import load
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments import registry
from hyperlearning.experiments.comparing import CompareRuns, compare_runs

OFFLINE = ("--dataset", "digits")
"""What makes an experiment with a choice of data sets run on the built-in one."""
OURS = ("measured-series",)
"""Claims of no paper."""
SERIES = ("incremental-regression", "learned-activation")
"""Claims whose runs learn tables; all others that can be deployed learn folders of images."""
KEEP_NO_SYSTEM = (
    "measured-series",
    "regression-ablations",
    "selfnet-robustness",
    "selfnet-compression",
    "selfnet-permuted-mnist",
    "selfnet-split-mnist",
    "selfnet-split-cifar10",
    "selfnet-cifar100",
    "selfnet-atari",
    "selfnet-splits",
    "osr-mnist",
    "recipe-or-selection",
    "osr-cifar10",
    "osr-cifar100",
    "osr-bias-budget",
    "osr-noisy-oracle",
    "sampling-time",
    "osr-open-pool",
    "small-budgets",
    "dalbt-mnist",
    "dalbt-fashion",
    "dalbt-cifar10",
    "continual-active",
    "dalbt-open-pool",
    "inr-images",
    "fewshot-omniglot",
    "fewshot-transfer",
    "fewshot-sines",
    "fewshot-mini-imagenet",
    "hnet-split-mnist",
    "hnet-permuted-mnist",
    "hnet-split-cifar",
)
"""Claims whose runs keep nothing that could live further lives."""

_JOB_LINES = ("epoch", "validation")


def has_omniglot() -> bool:
    root, splits = os.environ.get("HYPERLEARNING_DATA", ""), ("background", "evaluation")
    return bool(root) and all(prepared.split_path(CATALOGUE["omniglot"], s, Path(root)).is_file() for s in splits)


def call(*arguments: str) -> int:
    return run_command(arguments, Console(quiet=True))


def answer_of(*arguments: str) -> Any:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert call(*arguments, "--json") == 0
    return json.loads(printed.getvalue())


def _arguments(name: str) -> list[str] | None:
    """What runs an experiment at its smallest; nothing where its data are absent."""
    data = getattr(registry.experiment(name).presets["smoke"], "data", None)
    offline = OFFLINE if data is not None and "dataset" in {f.name for f in dataclasses.fields(data)} else ()
    absent = data is not None and not offline and not has_omniglot()
    return None if absent else ["run", name, "smoke", *offline, "--threads", "1"]


@pytest.fixture(params=registry.NAMES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """The run of an experiment, made once for all processes that share the tests; nobody may change it."""
    arguments, base = _arguments(request.param), tmp_path_factory.getbasetemp()
    if arguments is None:
        pytest.skip("omniglot is not under HYPERLEARNING_DATA")
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "contract"
    root.mkdir(exist_ok=True)
    with (root / f"{request.param}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = root / request.param / "smoke"
        if not path.exists():
            assert call(*arguments, "--root", str(root)) == 0
    return RunRecord(path)


@pytest.mark.parametrize("name", registry.NAMES)
def test_what_is_said_of_it_without_importing_it_is_what_it_declares(name: str):
    declared = registry.experiment(name)
    assert registry.summary(name) == (declared.claim, tuple(declared.presets))
    assert declared.claim.endswith(".")


@pytest.mark.parametrize("name", registry.NAMES)
def test_its_first_preset_is_a_quick_one_and_seed_device_and_threads_are_settings(name: str):
    presets = registry.experiment(name).presets
    assert next(iter(presets)) in ("quick", "laptop")
    assert {"smoke", *([] if name in OURS else ["paper"])} <= set(presets)
    assert [field.name for field in dataclasses.fields(presets["smoke"])][-3:] == ["seed", "device", "threads"]


def test_its_report_stands_alone_and_has_pictures(run: RunRecord):
    page = (run.path / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert run.manifest["finished"] is True


def test_its_page_begins_with_one_picture_and_one_table_of_at_most_ten_rows(run: RunRecord):
    first, *_ = re.findall(r"<section>.*?</section>", (run.path / "report.html").read_text(), flags=re.DOTALL)
    assert "At a glance" in first
    assert first.count("<figure") == 1
    assert first.count("<table") == 1
    assert 1 <= first.partition("<tbody")[2].count("<tr") <= 10


def test_interrupted_after_training_it_goes_on_with_what_is_missing_to_the_same_lines(run: RunRecord, tmp_path: Path):
    run = RunRecord(shutil.copytree(run.path, tmp_path / "copy"))
    path = run.path / "metrics.jsonl"
    whole = path.read_text().splitlines(keepends=True)
    cut = max((i + 1 for i, line in enumerate(whole) if json.loads(line)["kind"] in _JOB_LINES), default=0)
    path.write_text("".join(whole[: max(cut, len(whole) // 2)]))
    run.note(finished=False)
    assert call("resume", str(run.path)) == 0
    assert [_timeless(line) for line in path.read_text().splitlines()] == [_timeless(line) for line in whole]


def _timeless(line: str) -> dict[str, Any]:
    return {name: value for name, value in json.loads(line).items() if not name.endswith("seconds")}


def test_it_can_be_evaluated_on_further_lives_with_the_same_numbers_twice(run: RunRecord):
    if "evaluate" not in registry.experiment(run.experiment).verbs:
        pytest.skip("it declares no evaluation")
    options = ("evaluate", str(run.path), "--num-functions", "3", "--seed", "5")
    first = answer_of(*options)
    assert first == answer_of(*options)
    assert all(set(score) == {"mean", "ci95"} for score in first.values())


def test_compared_with_a_copy_of_itself_it_differs_in_nothing(run: RunRecord, tmp_path: Path):
    other = shutil.copytree(run.path, tmp_path / "other" / run.path.name)
    systems = ":*" if run.experiment == "regression-ablations" else ""
    compared = compare_runs(CompareRuns(runs=(f"{run.path}{systems}", f"{other}{systems}")))
    by_run = [{own.system: own.label for own in compared.contestants if own.run == place} for place in (0, 1)]
    assert by_run[0].keys() == by_run[1].keys() != set()
    for outcome in compared.outcomes:
        for system in by_run[0]:
            labels = [labels[system] for labels in by_run]
            if set(labels) <= set(outcome.scores):
                assert outcome.comparison.between(*labels).difference.mean == 0


def test_on_further_lives_it_fares_as_a_copy_of_itself_or_says_that_it_keeps_none(run: RunRecord, tmp_path: Path):
    systems = ":*" if run.experiment == "regression-ablations" else ""
    other = shutil.copytree(run.path, tmp_path / "other" / run.path.name)
    options = CompareRuns(runs=(f"{run.path}{systems}", f"{other}{systems}"), num_lives=2, seed=3)
    if run.experiment in KEEP_NO_SYSTEM:
        with pytest.raises(RunError, match="whose systems can live further lives"):
            compare_runs(options)
        return
    compared = compare_runs(options)
    assert compared.command.endswith("--num-lives 2 --seed 3")
    for outcome in compared.outcomes:
        assert (outcome.facts["seed"], outcome.num_lives) == (3, 2)
        scores = list(outcome.scores.values())
        assert scores[: len(scores) // 2] == scores[len(scores) // 2 :]


def test_it_learns_a_folder_or_a_table_if_it_can_be_deployed(run: RunRecord, tmp_path: Path):
    if "deploy" not in registry.experiment(run.experiment).verbs:
        pytest.skip("it declares no deployment")
    digits = load("digits", "test")
    for place, name in enumerate(("nought", "one")):
        (tmp_path / "digits" / name).mkdir(parents=True)
        for i, image in enumerate(digits.images[digits.labels == place][:4]):
            Image.fromarray(image[0].numpy()).save(tmp_path / "digits" / name / f"{i}.png")
    (tmp_path / "table.csv").write_text("x,y\n" + "".join(f"{i},{i % 7}\n" for i in range(30)))
    source = "table.csv" if run.experiment in SERIES else "digits"
    out = tmp_path / "out"
    assert call("deploy", str(run.path), str(tmp_path / source), "--out", str(out)) == 0
    facts = json.loads((out / "errors.json").read_text())
    lives = facts["root_mean_square_error"]["y"] if run.experiment in SERIES else facts["share_not_recognised"]
    assert {"dan", "warp", "last_layer"} & set(lives)
    assert len(lives) >= 8
    assert 'src="data:image/png;base64,' in (out / "report.html").read_text()


def test_data_of_another_kind_are_refused_with_what_learns_them(
    run: RunRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    if "deploy" not in registry.experiment(run.experiment).verbs:
        pytest.skip("it declares no deployment")
    (tmp_path / "folder").mkdir()
    (tmp_path / "table.csv").write_text("x,y\n0,1\n")
    other = tmp_path / ("folder" if run.experiment in SERIES else "table.csv")
    assert call("deploy", str(run.path), str(other)) == 1
    assert f"without this run, by `hyperlearning deploy {other}`" in capsys.readouterr().err


def test_a_verb_that_it_lacks_is_refused_with_what_it_can(run: RunRecord, capsys: pytest.CaptureFixture[str]):
    missing = [verb for verb in ("evaluate", "deploy") if verb not in registry.experiment(run.experiment).verbs]
    for verb in missing:
        assert call(verb, str(run.path)) == 1
        assert f"Expected a run that can {verb}" in capsys.readouterr().err


def test_what_it_trained_can_be_opened_and_begin_a_life_or_says_that_it_cannot(run: RunRecord):
    if registry.experiment(run.experiment).load is None:
        with pytest.raises(RuntimeError, match="Expected a run that trains a system to open"):
            hyperlearning.load(run.path)
    else:
        opened = hyperlearning.load(run.path)
        trained = next(iter(opened.values())) if isinstance(opened, dict) else opened
        assert trained.deployment().num_updates == 0
