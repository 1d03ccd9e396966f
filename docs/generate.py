"""Writes the result blocks and pictures of the documentation from the records in `results/`; with `--check`, only compares text.

python docs/generate.py
"""

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import estimate, paired_difference
from hyperlearning.experiments.images import class_incremental_page as class_incremental
from hyperlearning.experiments.registry import EXPERIMENTS
from hyperlearning.experiments.regression.incremental_regression_page import comparison_table
from hyperlearning.reports import Picture, Section, Table, picture_files, short_estimate, to_markdown
from hyperlearning.systems.images.page_parts import kind_titles, methods_of, percent

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"
DOCS = ROOT / "docs"
Row = dict[str, Any]

_WITH_TABLES = (
    "regression-ablations",
    "learned-activation",
    "over-training",
    "dan-versus-warp",
    "scaling",
    "continual-versus-iid",
    "unsupervised-class-incremental",
    "semi-supervised-class-incremental",
    "oml-regression",
    "omniglot-oml",
    "omniglot-anml",
    "omniglot-600",
)
"""Experiments whose pages show every section's table and first picture."""

_BEGIN, _END = "<!-- results: begin, written by docs/generate.py -->", "<!-- results: end -->"


def main() -> int:
    """Writes or checks every page; returns the exit status."""
    check = "--check" in sys.argv[1:]
    if not check:
        _write_pictures()
    stale = [page for page, block in _blocks() if _replace(DOCS / page, block, check=check)]
    if check and stale:
        print(f"Expected result blocks as the records make them, but these differ: {', '.join(stale)}.")
        print("Run `python docs/generate.py`.")
        return 1
    return 0


def _blocks() -> Iterator[tuple[str, str]]:
    makers: dict[str, Callable[[], str]] = {
        "experiments/incremental-regression.md": _incremental_regression,
        "experiments/class-incremental.md": _class_incremental,
        "speed.md": _speed,
    }
    makers |= {f"experiments/{name}.md": partial(_tables_of, name) for name in _WITH_TABLES}
    for page, make in makers.items():
        yield page, make()


def _replace(page: Path, block: str, *, check: bool) -> bool:
    """Puts a block into a page; says whether the page was not as it should be."""
    text = page.read_text()
    head, _, rest = text.partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    wanted = f"{head}{_BEGIN}\n\n{block.strip()}\n\n{_END}{tail}"
    if not check and wanted != text:
        page.write_text(wanted)
    return wanted != text


def _runs(experiment: str) -> list[RunRecord]:
    return [RunRecord(path.parent) for path in sorted((RESULTS / experiment).glob("*/config.json"))]


def _incremental_regression() -> str:
    records = _runs("incremental-regression")
    presets = dict.fromkeys(record.config["preset"] for record in records)
    tables = [_seeds_table({p: [r for r in records if r.config["preset"] == p] for p in presets})]
    parts = []
    for preset in presets:
        record = next(r for r in records if r.config["preset"] == preset)
        methods = {line["method"]: line for line in record.lines("method")}
        table = comparison_table(methods)
        parts.append(
            Section(title=f"All methods beside `{preset}`, seed {record.config['settings']['seed']}", tables=(table,))
        )
    return to_markdown([Section(title="Over seeds", tables=tuple(tables)), *parts], picture_folder="../pictures")


def _seeds_table(groups: dict[str, list[RunRecord]]) -> Table:
    rows = []
    for preset, records in groups.items():
        scores = [_scores(record, "dan") for record in records]
        joint = [_scores(record, "dan_joint")["total_error"] for record in records]
        per_seed = {name: [sum(s[name]) / len(s[name]) for s in scores] for name in scores[0]}
        ratios = [total / (sum(j) / len(j)) for total, j in zip(per_seed["total_error"], joint, strict=True)]
        seconds = [float(record.manifest["training_seconds"]) for record in records]
        ewc = [
            paired_difference(_scores(r, "mlp_ewc")["total_error"], s["total_error"])
            for r, s in zip(records, scores, strict=True)
        ]
        rows.append(
            (
                preset,
                str(len(records)),
                *(short_estimate(estimate(per_seed[name])) for name in ("total_error", "memory_error", "forgetting")),
                short_estimate(estimate(ratios)),
                f"{min(e.low for e in ewc):.4f}",
                f"{sum(seconds) / len(seconds):,.0f} s, {records[0].manifest['threads']} threads",
            )
        )
    return Table(
        title="Hyper-trained DAN network, mean and 95 % interval over seeds",
        header=(
            "preset",
            "seeds",
            "total error",
            "memory error",
            "forgetting",
            "total / joint",
            "EWC - DAN, at least",
            "training",
        ),
        rows=tuple(rows),
        caption="Scores of a seed are means over 256 held-out functions. Total / joint: the total error after learning piece "
        "by piece divided by that of the same network on the shuffled stream. EWC - DAN: the lower end of the paired 95 % "
        "interval of the MLP with EWC minus the DAN network in total error, smallest over seeds.",
    )


def _scores(record: RunRecord, method: str) -> dict[str, list[float]]:
    return next(line["scores"] for line in record.lines("method") if line["method"] == method)


def _class_incremental() -> str:
    """Means over seeds of each preset, then all methods of its first seed."""
    records = sorted(_runs("class-incremental"), key=lambda record: record.config["preset"] != "laptop")
    parts = []
    for preset in dict.fromkeys(record.config["preset"] for record in records):
        group = [record for record in records if record.config["preset"] == preset]
        parts.append(Section(title=f"`{preset}` over seeds", tables=(_class_seeds_table(group),)))
        tables = [table for section in class_incremental.report(group[0]).sections[:3] for table in section.tables]
        seed = group[0].config["settings"]["seed"]
        parts.append(Section(title=f"All methods beside `{preset}`, seed {seed}", tables=tuple(tables)))
        parts.append(Section(title="Command", paragraphs=(f"`{group[0].manifest['command']}`",)))
    return to_markdown(parts, picture_folder="../pictures") if parts else ""


def _class_seeds_table(records: list[RunRecord]) -> Table:
    rows = []
    for kind, title in kind_titles(records[0]).items():
        num_tasks = records[0].config["settings"]["life"]["num_tasks"]
        by_seed = [methods_of(record, kind, num_tasks=num_tasks) for record in records]
        for name in ("dan", "prototypes"):
            if not all(name in methods for methods in by_seed):
                continue
            ours = [methods[name]["scores"] for methods in by_seed]
            cells = [_over_seeds([_mean(scores[part]) for scores in ours]) for part in _PARTS]
            less = ""
            if name == "dan" and all("prototypes" in methods for methods in by_seed):
                theirs = [methods["prototypes"]["scores"]["generalization"] for methods in by_seed]
                pairs = zip(ours, theirs, strict=True)
                less = _over_seeds([paired_difference(s["generalization"], t).mean for s, t in pairs])
            rows.append((title, by_seed[0][name]["title"], str(len(records)), *cells, less))
    return Table(
        title="Mean and 95 % interval over seeds",
        header=("lives", "method", "seeds", *_PARTS, "generalization - prototypes'"),
        rows=tuple(rows),
        caption="Percent of images classified rightly at the end of life, argmax over all outputs. A seed's score is its mean "
        "over lives; the difference is paired over lives and then averaged. A single seed has no interval.",
    )


_PARTS = ("memory", "generalization")


def _over_seeds(values: list[float]) -> str:
    return percent(estimate(values)) if len(values) > 1 else f"{100 * values[0]:.1f}"


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _tables_of(experiment: str) -> str:
    """Every study's table and first picture."""
    parts = []
    for record in _runs(experiment):
        page = EXPERIMENTS[experiment].report(record)
        parts += [
            Section(
                title=section.title, paragraphs=section.paragraphs, tables=section.tables, pictures=section.pictures[:1]
            )
            for section in page.sections
            if section.tables
        ]
        parts.append(Section(title="Command", paragraphs=(f"`{page.command}`",)))
    return to_markdown(parts, picture_folder=f"../pictures/{experiment}")


def _write_pictures() -> None:
    folder = DOCS / "pictures"
    folder.mkdir(exist_ok=True)
    for experiment in _WITH_TABLES:
        for record in _runs(experiment):
            page = EXPERIMENTS[experiment].report(record)
            shown = [
                Section(title=section.title, pictures=section.pictures[:1])
                for section in page.sections
                if section.tables
            ]
            (folder / experiment).mkdir(exist_ok=True)
            for name, content in picture_files(shown).items():
                (folder / experiment / name).write_bytes(content)
    best = EXPERIMENTS["incremental-regression"].report(RunRecord(RESULTS / "incremental-regression" / "best-seed0"))
    looks, compared, course, *_ = best.sections
    named = {
        "lives.png": looks.pictures[0],
        "life.gif": looks.pictures[1],
        "methods.png": compared.pictures[0],
        "errors.png": course.pictures[0],
        "activation.png": EXPERIMENTS["learned-activation"]
        .report(_runs("learned-activation")[0])
        .sections[0]
        .pictures[0],
    }
    named |= _pictures_of_images()
    for name, picture in named.items():
        (folder / name).write_bytes(picture.content)


def _pictures_of_images() -> dict[str, Picture]:
    """Pictures that pages show outside their result blocks."""
    named = {}
    for record in _runs("class-incremental")[:1]:
        sections = {section.title: section.pictures for section in class_incremental.report(record).sections}
        named["class-incremental-life.png"] = sections["In the course of a life"][-1]
        named["class-incremental-training.png"] = sections["Hyper-training"][0]
    for record in _runs("unsupervised-class-incremental")[:1]:
        panels, moving = EXPERIMENTS["unsupervised-class-incremental"].report(record).sections[0].pictures[:2]
        named |= {"reconstructions.png": panels, "reconstructions.gif": moving}
    return named


def _speed() -> str:
    parts = []
    for path in sorted((RESULTS / "speed").glob("*.json")):
        record = json.loads(path.read_text())
        header, row_of = _speed_columns(path.stem)
        table = Table(
            title=f"{record['machine']}, torch {record['torch']}",
            header=header,
            rows=tuple(row_of(row) for row in record["rows"]),
        )
        parts.append(Section(title=f"`{path.stem}`", tables=(table,)))
    return to_markdown(parts, picture_folder="pictures")


def _speed_columns(name: str) -> tuple[tuple[str, ...], Callable[[Row], tuple[str, ...]]]:
    if name.startswith("trajectory"):
        header = (
            "order",
            "threads",
            "reference s",
            "engine s",
            "speed-up",
            "of peak",
            "perfect s",
            "memory / reference",
        )
        return header, _trajectory_row
    if name.startswith("meta-test"):
        header = ("features", "outputs", "threads", "reference s", "engine s", "speed-up (80 %)")
        return header, _meta_test_row
    header = (
        "population",
        "threads",
        "engine",
        "reference ms",
        "engine ms",
        "speed-up (80 %)",
        "of peak",
        "perfect ms",
    )
    return ((*header, "images/s"), _images_row) if "images" in name else (header, _step_row)


def _step_row(row: Row) -> tuple[str, ...]:
    return (
        str(row["population"]),
        str(row["threads"]),
        row["variant"],
        f"{row['reference_ms']:.2f}",
        f"{row['engine_ms']:.2f}",
        _speedup(row),
        f"{100 * row['peak_share']:.1f} %",
        f"{row['floor_ms']:.3f}",
    )


def _images_row(row: Row) -> tuple[str, ...]:
    return (*_step_row(row), f"{row['images_per_second']:,.0f}")


def _trajectory_row(row: Row) -> tuple[str, ...]:
    return (
        row["order"],
        str(row["threads"]),
        f"{row['reference_seconds']:.2f}",
        f"{row['seconds']:.2f}",
        _speedup(row),
        f"{100 * row['peak_share']:.0f} %",
        f"{row['floor_seconds']:.2f}",
        f"{row['memory_ratio']:.2f}",
    )


def _meta_test_row(row: Row) -> tuple[str, ...]:
    return (
        str(row["num_features"]),
        str(row["num_outputs"]),
        str(row["threads"]),
        f"{row['reference_seconds']:.2f}",
        f"{row['seconds']:.2f}",
        _speedup(row),
    )


def _speedup(row: Row) -> str:
    return f"{row['speedup']:.1f} ({row['speedup_low']:.1f}-{row['speedup_high']:.1f})"


if __name__ == "__main__":
    sys.exit(main())
