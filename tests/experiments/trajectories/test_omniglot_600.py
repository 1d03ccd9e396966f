"""`omniglot-600`, on digits: every kind of embedding in one table, trained once."""

import shutil
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from rich.console import Console
from tests.experiments.images.folders import write_digits
from tests.systems.trajectories.digits import NUM_CLASSES, digits_for_omniglot

from hyperlearning.cli import run_command
from hyperlearning.engine.run_record import RunError, RunRecord
from hyperlearning.experiments.comparing import CompareRuns, compare_runs
from hyperlearning.experiments.trajectories import omniglot_600
from hyperlearning.experiments.trajectories.omniglot_600 import EvaluateOptions
from hyperlearning.experiments.trajectories.verbs import FurtherTest, best_embedding
from hyperlearning.systems.trajectories.build import Embedding
from hyperlearning.systems.trajectories.characters import CharacterSettings, load_splits
from hyperlearning.systems.trajectories.lines import LongTestLine
from hyperlearning.systems.trajectories.long_tests import LongTest
from hyperlearning.systems.trajectories.settings import LongTestSettings

CONSOLE = Console(quiet=True)
RESULTS = Path(__file__).parents[3] / "results"
SMOKE = omniglot_600.PRESETS["smoke"]
CONFIG = replace(
    SMOKE,
    methods=("pretrained", "prototypical", "dan", "scratch", "bayes"),
    joint_methods=(),
    heads=("last_layer", "whitened", "discriminant", "conjugate_bayes"),
    data=CharacterSettings(
        meta_train_classes=NUM_CLASSES, meta_test_classes=NUM_CLASSES, rotated_classes=True, augmentation="mild"
    ),
    test=LongTestSettings(test_classes=(3, 5), num_runs=2, lrs=(0.003,), lr_runs=1),
)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """A run on digits; nobody may change it."""
    with pytest.MonkeyPatch.context() as patch:
        digits_for_omniglot(patch)
        omniglot_600.check(CONFIG)
        record = RunRecord.create(tmp_path_factory.mktemp("runs"), "omniglot-600", "a", CONFIG)
        # What a run leaves that is killed while it makes a record below its own.
        (record.path / "systems" / "pretrained" / "checkpoints").mkdir(parents=True)
        omniglot_600.run(CONFIG, record, CONSOLE)
    record.note(finished=True)
    return record


def test_a_run_gone_on_with_trains_nothing_again(record: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    digits_for_omniglot(monkeypatch)
    copy = RunRecord(shutil.copytree(record.path, tmp_path / "copy"))
    metrics = copy.path / "metrics.jsonl"
    whole = metrics.read_text()
    metrics.write_text("".join(whole.splitlines(keepends=True)[:4]))
    omniglot_600.run(CONFIG, copy, CONSOLE)
    assert metrics.read_text() == whole


def test_the_page_has_every_method_and_its_embeddings_are_tested_anew(
    record: RunRecord, monkeypatch: pytest.MonkeyPatch
):
    digits_for_omniglot(monkeypatch)
    glance = omniglot_600.EXPERIMENT.report(record).sections[0]
    assert {row[0] for row in glance.tables[0].rows} == {omniglot_600.TITLES[method] for method in CONFIG.methods}
    test = FurtherTest(num_classes=4, num_runs=2, heads=("whitened",))
    answer = omniglot_600.EXPERIMENT.verbs["evaluate"].act(record, EvaluateOptions(methods=("dan",), test=test))
    assert set(answer.values) == {"dan whitened held_out", "dan whitened memory"}
    images = torch.randint(0, 256, (2, 1, 28, 28)).byte()
    life = omniglot_600.load(record, ("prototypical",))["prototypical"].deployment()
    assert life.predict(images).shape == (2, 1000)


def test_further_runs_are_the_same_in_a_comparison_as_when_evaluated(
    record: RunRecord, monkeypatch: pytest.MonkeyPatch
):
    digits_for_omniglot(monkeypatch)
    test = FurtherTest(num_runs=3, seed=5, heads=("last_layer",))
    evaluated = omniglot_600.EXPERIMENT.verbs["evaluate"].act(record, EvaluateOptions(test=test)).values
    systems = [f"{record.path}:{name}/last_layer" for name in ("dan", "scratch")]
    (outcome, *_) = compare_runs(CompareRuns(runs=tuple(systems), num_lives=3, seed=5)).outcomes
    assert (outcome.facts["num_classes"], outcome.facts["seed"], outcome.measure.name) == (5, 5, "held_out")
    means = {label.rpartition(":")[2]: fmean(scores) for label, scores in outcome.scores.items()}
    assert means == {
        f"{name}/last_layer": pytest.approx(evaluated[f"{name} last_layer held_out"]["mean"])
        for name in ("dan", "scratch")
    }


def test_a_folder_is_learned_on_the_best_embedding_or_on_the_one_that_is_named(
    record: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    digits_for_omniglot(monkeypatch)
    folder, names = write_digits(tmp_path / "digits", ("a", "b")), CONFIG.methods
    best = names[names.index(best_embedding(record, names)[0])]
    titles = {str(name): title for name, title in omniglot_600.TITLES.items()}
    other = next(method for method in names if method != best)
    for method, options in {best: (), other: ("--method", other)}.items():
        out = tmp_path / method
        arguments = ["deploy", str(record.path), str(folder), "--out", str(out), *options]
        assert run_command(arguments, Console(width=200)) == 0
        said = capsys.readouterr().out
        assert (f"{method} was taken, which recognised most held-out images" in said) == (method == best)
        assert f"last layer on {titles[method]}" in said
        assert f"digits --method {method}" in (out / "report.html").read_text()


def test_the_best_embedding_recognises_most_held_out_images_by_a_last_layer_or_class_means():
    record, found = RunRecord(RESULTS / "omniglot-600" / "laptop"), {}
    for line in record.lines(LongTestLine):
        if line.head in ("last_layer", "euclidean") and line.num_classes == 600:
            mean = fmean(line.scores.held_out)
            found[line.embedding] = max(mean, found.get(line.embedding, 0.0))
    best = max(found, key=lambda name: found[name])
    name, said = best_embedding(record, tuple(found))
    assert name == best
    assert f"{100 * found[best]:.1f} %); `--method` takes another" in said
    assert best_embedding(record, [name for name in found if name != best])[0] != best


def test_of_embeddings_that_were_not_tested_none_is_the_best(tmp_path: Path):
    record = RunRecord.create(tmp_path, "omniglot-600", "a", CONFIG)
    with pytest.raises(RunError, match=r"has tested an embedding with a last layer or class means.* Name a `--method`"):
        best_embedding(record, CONFIG.methods)


def test_the_page_begins_with_the_best_layer_of_each_embedding_beside_class_means():
    record = RunRecord(RESULTS / "omniglot-600" / "laptop")
    table = omniglot_600.EXPERIMENT.report(record).sections[0].tables[0]
    assert len(table.rows) == 10
    assert table.rows[1] == (
        "prototypical network",
        "cosine layer",
        "99.0 ± 0.8",
        "94.7 ± 0.6",
        "82.6 ± 0.2",
        "83.7 ± 0.2, streaming discriminant",
    )
    at_most = [float(row[-2].split()[0]) for row in table.rows]
    assert at_most == sorted(at_most, reverse=True)


def test_an_embedding_of_other_settings_is_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    digits_for_omniglot(monkeypatch)
    record = RunRecord.create(tmp_path, "omniglot-600", "a", CONFIG)
    RunRecord.create(record.path, "systems", "pretrained", CONFIG)
    with pytest.raises(RunError, match="to be of this run's settings, but it is of others"):
        omniglot_600.run(CONFIG, record, CONSOLE)


def test_a_run_that_has_not_finished_is_not_opened(tmp_path: Path):
    with pytest.raises(RunError, match="Expected a finished run"):
        omniglot_600.load(RunRecord.create(tmp_path, "omniglot-600", "a", CONFIG))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ("dan",), "data": CharacterSettings(meta_train_classes=6)}, "25 classes or more.*but got 24"),
        ({"methods": ("prototypical",), "dan_maps": (8,) * 6}, "Expected images of side"),
    ],
)
def test_lives_and_convolutions_that_cannot_be_are_refused_before_work_starts(
    changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
):
    digits_for_omniglot(monkeypatch)
    with pytest.raises(ValueError, match=message):
        omniglot_600.check(replace(CONFIG, **changes))


def test_an_oracle_on_an_embedding_that_is_not_trained_is_refused():
    with pytest.raises(ValueError, match="among `methods`, but got \\['oml'\\]"):
        omniglot_600.Config(methods=("anml",), joint_methods=("oml",))


def test_a_sequence_model_is_tested_on_no_more_classes_than_it_has_labels_for_and_has_a_section_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    digits_for_omniglot(monkeypatch)
    config = replace(CONFIG, methods=("scratch", "sequence"), sequence=replace(SMOKE.sequence, sequence_classes=4))
    omniglot_600.check(config)
    record = RunRecord.create(tmp_path, "omniglot-600", "a", config)
    omniglot_600.run(config, record, CONSOLE)
    lines = [line for line in record.lines(LongTestLine) if line.embedding == "sequence"]
    assert [(line.head, line.num_classes, line.lr) for line in lines] == [("sequence", 3, None)]
    page = omniglot_600.EXPERIMENT.report(record)
    assert "Read in a row, number by number" in [section.title for section in page.sections]
    record.note(finished=True)
    opened = omniglot_600.load(record, ("sequence",))["sequence"]
    assert opened.deployment().num_updates == 0
    answer = omniglot_600.EXPERIMENT.verbs["evaluate"].act(
        record,
        EvaluateOptions(methods=("sequence",), test=FurtherTest(num_classes=3, num_runs=2, heads=("sequence",))),
    )
    assert set(answer.values) == {"sequence sequence held_out", "sequence sequence memory"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": ("sequence",)}, "which is a method's own"),
        (
            {"methods": ("sequence",), "joint_methods": (), "test": LongTestSettings(test_classes=(101,))},
            "up to `sequence_classes`",
        ),
    ],
)
def test_a_head_that_is_a_methods_own_and_tests_beyond_its_labels_are_refused(changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        omniglot_600.Config(**changes)


def test_a_sequence_model_as_head_of_another_embedding_is_refused(monkeypatch: pytest.MonkeyPatch):
    digits_for_omniglot(monkeypatch)
    splits = load_splits(CONFIG.data)
    embedding = Embedding("plain", "plain", "none", lambda images: images.float().flatten(1))
    test = LongTest(embedding=embedding, splits=splits, settings=CONFIG.test, seed=0)
    with pytest.raises(ValueError, match="Expected the head 'sequence' on a sequence model, but got plain"):
        test.line("sequence", 3)
