"""Runs set against one another: on the records of the repository, across experiments and families."""

import shutil
from pathlib import Path

import pytest
from scipy import stats

from hyperlearning.core.errors import RunError
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments.comparing import Compared, CompareRuns, compare_runs, verdict
from hyperlearning.experiments.comparing_page import comparison_page, outcomes_table
from hyperlearning.experiments.regression.learned_activation import ActivationLine
from hyperlearning.systems.regression.lines import MethodLine

RESULTS = Path(__file__).parents[2] / "results"
QUICK = str(RESULTS / "incremental-regression" / "quick-seed0")
BEST = str(RESULTS / "incremental-regression" / "best-seed0")
ACTIVATION = str(RESULTS / "learned-activation" / "quick")
OML, ANML, ALL = (str(RESULTS / f"omniglot-{name}" / "laptop") for name in ("oml", "anml", "600"))
IMAGES = RESULTS / "class-incremental"


def compared(*runs: str) -> Compared:
    return compare_runs(CompareRuns(runs=runs))


def test_two_experiments_on_the_same_functions_are_paired_as_scipy_pairs_their_records():
    first = compared(QUICK, ACTIVATION).outcomes[0]
    own = next(line for line in RunRecord(QUICK).lines(MethodLine) if line.method == "dan").scores.total_error
    theirs = next(line for line in RunRecord(ACTIVATION).lines(ActivationLine) if line.which == "learned")
    interval = stats.ttest_rel(own, theirs.scores.total_error).confidence_interval(0.95)
    (pair,) = first.comparison.pairs
    assert (pair.difference.low, pair.difference.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert "quick-seed0 is best by mean" in verdict(first)
    assert "Clearly better than quick (by 0.0051 ± 0.0013)" in verdict(first)


def test_methods_of_one_record_enter_by_name_and_by_pattern():
    found = compared(f"{BEST}:rls", f"{BEST}:dan", f"{QUICK}:mlp_*")
    labels = ["best-seed0:rls", "best-seed0:dan", *(f"quick-seed0:mlp_{name}" for name in ("ewc", "replay", "joint"))]
    assert [own.label for own in found.contestants] == labels
    assert found.outcomes[0].comparison.ranked[0] == "best-seed0:rls"


@pytest.fixture(scope="module")
def embeddings() -> Compared:
    """Three experiments, OML in two of them."""
    return compared(OML, ANML, f"{ALL}:oml/last_layer")


def test_embeddings_of_three_experiments_meet_the_same_runs_and_one_trained_twice_alike_is_about_the_same(
    embeddings: Compared,
):
    """Trained by versions that round differently, in the two records."""
    found = embeddings
    assert [outcome.facts["num_classes"] for outcome in found.outcomes[::4]][:3] == [600, 500, 400]
    assert {outcome.num_lives for outcome in found.outcomes} == {10}
    again = found.outcomes[0].comparison.between("omniglot-oml laptop", "omniglot-600 laptop:oml/last_layer")
    assert abs(again.difference.mean) < 0.02
    assert found.outcomes[0].comparison.between("omniglot-anml laptop", "omniglot-oml laptop").clear


def test_the_best_classifier_is_paired_with_the_laptops_on_every_kind_of_lives():
    found = compared(str(IMAGES / "best-seed0"), str(IMAGES / "laptop-seed0"))
    kinds = {(outcome.facts["classes"], outcome.facts["num_tasks"]) for outcome in found.outcomes}
    assert {("meta-eval (MNIST)", 10), ("meta-eval (MNIST)", 3), ("KMNIST", 10)} <= kinds
    assert found.values()["comparisons"][found.outcomes[0].key]["pairs"][0]["first"]["mean"] < 1
    assert "95." in verdict(found.outcomes[0]) or "94." in verdict(found.outcomes[0])


def test_experiments_on_images_share_lives_whatever_they_were_trained_on():
    found = compared(str(RESULTS / "scaling" / "laptop"), str(IMAGES / "laptop-seed0"))
    assert {outcome.facts["classes"] for outcome in found.outcomes} == {
        "meta-eval (MNIST)",
        "meta-test (Omniglot evaluation)",
    }


def test_the_page_has_pictures_tables_a_verdict_and_the_command():
    page = comparison_page(compared(f"{BEST}:rls", BEST, QUICK))
    glance = page.sections[0]
    assert (glance.title, len(glance.pictures), len(glance.tables)) == ("At a glance", 2, 4)
    assert glance.tables[0].rows[0][0] == "best-seed0:rls"
    assert page.command == f"hyperlearning compare {BEST}:rls {BEST} {QUICK}"
    assert any("Bonferroni" in paragraph for paragraph in page.sections[-1].paragraphs)


def test_a_long_comparison_is_cut_short_on_a_terminal_alone(embeddings: Compared):
    assert (len(embeddings.outcomes), len(outcomes_table(embeddings).rows)) == (36, 27)


def test_a_verdict_says_when_there_are_too_few_lives_to_tell(embeddings: Compared):
    said = verdict(next(outcome for outcome in embeddings.outcomes if outcome.facts["num_classes"] == 50))
    assert "omniglot-anml laptop is best by mean" in said
    assert "Not told apart from omniglot-oml laptop" in said
    assert "10 lives are too few to tell: the interval is wider than the difference" in said


def _copy_of(path: str, folder: Path) -> RunRecord:
    target = folder / Path(path).name
    target.mkdir()
    for name in ("config.json", "manifest.json", "metrics.jsonl"):
        shutil.copy(Path(path) / name, target)
    return RunRecord(target)


def test_runs_that_have_not_finished_are_refused_with_what_finishes_them(tmp_path: Path):
    other = _copy_of(QUICK, tmp_path)
    other.note(finished=False)
    with pytest.raises(RunError, match=r"Expected a finished run, .* Go on with `hyperlearning resume"):
        compared(QUICK, str(other.path))


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ((QUICK,), "two runs or more to compare, but got 1"),
        ((QUICK, QUICK), "every system once, but dan of .* was named twice"),
        ((QUICK, f"{QUICK}:d*"), "every system once, but dan"),
        ((QUICK, f"{BEST}:lsr"), r"a system called 'lsr' in .* but it has dan, .*rls"),
        ((QUICK, str(RESULTS / "regression-ablations" / "engine")), "a system to enter without being named in"),
        ((QUICK, OML), "`kind` is functions met piece by piece in .* and characters in a row in .* of one family"),
        (
            (QUICK, str(RESULTS / "incremental-regression" / "quick-seed1")),
            r"`seed` is 0 in .* and 1 in .* the same further lives with `--seed 7000`",
        ),
        ((QUICK, "no/such/run"), "a run directory with a config.json"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_fact_and_the_remedy(runs: tuple[str, ...], message: str):
    with pytest.raises(RunError, match=message):
        compared(*runs)


def test_further_lives_settle_what_the_records_of_two_seeds_cannot():
    other = str(RESULTS / "incremental-regression" / "quick-seed1")
    options = CompareRuns(runs=(QUICK, other), num_lives=4, seed=3)
    first = compare_runs(options).outcomes[0]
    assert (first.facts["num_functions"], first.facts["seed"], first.num_lives) == (4, 3, 4)
    ours, theirs = first.scores.values()
    assert ours != theirs


def test_what_keeps_no_system_is_not_let_live_further_lives():
    engine = f"{RESULTS / 'regression-ablations' / 'engine'}:population/*"
    with pytest.raises(RunError, match=r"can live further lives, but .* Leave out --seed and --num-lives"):
        compare_runs(CompareRuns(runs=(QUICK, engine), seed=1))
