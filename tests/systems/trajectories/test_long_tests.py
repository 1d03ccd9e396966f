"""Long meta-tests: what whitening is chosen by, and that what a record has is not done again."""

from pathlib import Path

import pytest
import torch
from rich.console import Console

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.recognition import ClassFeatures
from hyperlearning.systems.trajectories.build import Embedding
from hyperlearning.systems.trajectories.characters import Splits
from hyperlearning.systems.trajectories.long_tests import LongTest, best_shrinkage, run_long_tests
from hyperlearning.systems.trajectories.settings import LongTestSettings
from hyperlearning.systems.trajectories.whitening import SplitFeatures


def _characters(num_classes: int, seed: int):
    return torch.randint(0, 256, (num_classes, 20, 1, 28, 28), generator=torch.Generator().manual_seed(seed)).byte()


def test_shrinkage_is_chosen_on_meta_train_classes_where_a_nuisance_dominates():
    source = torch.Generator().manual_seed(0)
    # One direction varies widely within classes and says nothing of them: only whitening, not the sphere, removes it.
    means = torch.randn(30, 1, 8, generator=source)
    loud = torch.ones(8).index_fill(0, torch.tensor(0), 40.0)
    train, held_out = (means + 0.3 * torch.randn(30, n, 8, generator=source) * loud for n in (15, 5))
    known = ClassFeatures(train=train, held_out=held_out, split="meta-train")
    noise = ClassFeatures(train=torch.zeros(30, 15, 8), held_out=torch.zeros(30, 5, 8), split="meta-test")
    settings = LongTestSettings(test_classes=(20,), shrinkages=(0.01, 1.0), lr_runs=2)
    assert best_shrinkage(SplitFeatures(known, noise), settings, 0) == 0.01


@pytest.mark.parametrize("kept", [4, 10])
def test_tests_go_on_where_the_record_ends(tmp_path: Path, kept: int):
    settings = LongTestSettings(test_classes=(3, 5), num_runs=2, lrs=(0.001,), lr_runs=1)
    record = RunRecord.create(tmp_path, "x", "y", settings)
    calls = []

    def embed(images: torch.Tensor):
        calls.append(len(images))
        return images.flatten(1).float()[:, :50] / 255

    def go():
        calls.clear()
        embedding = Embedding("a", "A", "none", embed)
        test = LongTest(
            embedding=embedding, splits=Splits(_characters(8, 0), _characters(7, 1)), settings=settings, seed=0
        )
        heads = ("last_layer", "joint", "unit_layer", "euclidean", "whitened")
        run_long_tests(record, test, heads, Console(quiet=True))
        return (record.path / "metrics.jsonl").read_text()

    whole = go()
    lines = whole.splitlines(keepends=True)
    assert len(lines) == 10
    (record.path / "metrics.jsonl").write_text("".join(lines[:kept]))
    assert go() == whole
    assert bool(calls) == (kept < 10)
