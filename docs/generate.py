"""Writes what the documentation takes from records and declarations; with `--check`, only compares text.

    python docs/generate.py

Of every experiment in the registry: the picture and the table at the top of its page, folded results below, its line in the
README, in the site's menu and on the first page. It knows no experiment by name.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments import registry
from hyperlearning.reports import Section, Table, picture_files, to_markdown

ROOT = Path(__file__).resolve().parents[1]
RESULTS, DOCS = ROOT / "results", ROOT / "docs"
PICTURES = DOCS / "pictures"
Row = dict[str, Any]


def main() -> int:
    """Writes or checks every page; returns the exit status."""
    check = "--check" in sys.argv[1:]
    stale = []
    for name in registry.NAMES:
        glance, results = _sections_of(name)
        page = DOCS / "experiments" / f"{name}.md"
        blocks = {
            "at a glance": to_markdown(glance, picture_folder=f"../pictures/{name}", headings=False),
            "results": _folded(results, picture_folder=f"../pictures/{name}"),
        }
        stale += [page for block, text in blocks.items() if _replace(page, block, text, check=check)]
        if not check:
            _write_pictures(PICTURES / name, [*glance, *results])
    for page, block, text in _lists():
        stale += [page] if _replace(page, block, text, check=check) else []
    if check and stale:
        print(f"Expected what records and declarations make, but it differs in: {', '.join(map(_short, stale))}.")
        print("Run `python docs/generate.py`.")
        return 1
    return 0


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _sections_of(name: str) -> tuple[Sequence[Section], Sequence[Section]]:
    """What stands at the top of an experiment's page, and what folds below it."""
    experiment = registry.experiment(name)
    presets = tuple(experiment.presets)
    records = [RunRecord(path.parent) for path in (RESULTS / name).glob("*/config.json")]
    records.sort(key=lambda record: (presets.index(record.config["preset"]), record.path.name))
    over_runs = list(experiment.over_runs(records)) if experiment.over_runs else []
    pages = {record.path.name: experiment.report(record) for record in records}
    first, *others = [*over_runs, *next(iter(pages.values())).sections[:1]]
    below = [_cut(section, f"{section.title}, over runs") for section in others if over_runs and section in over_runs]
    for run, page in pages.items():
        shown = [section for section in page.sections if section.tables and section != first]
        below += [_cut(section, f"{section.title} (`{run}`)" if len(pages) > 1 else section.title) for section in shown]
        below.append(Section(title=f"Command of `{run}`", paragraphs=(f"`{page.command}`",)))
    return [first], below


def _cut(section: Section, title: str) -> Section:
    """A section with its first picture alone."""
    return Section(title=title, paragraphs=section.paragraphs, pictures=section.pictures[:1], tables=section.tables)


def _folded(sections: Sequence[Section], *, picture_folder: str) -> str:
    """Sections that open when they are clicked on, here and where the file is looked at as it is."""
    names = picture_files(sections)
    parts = []
    for section, own in _with_names(sections, list(names)):
        body = to_markdown([section], picture_folder=picture_folder, headings=False, names=own)
        title = section.title.replace("`", "")
        parts.append(f"<details markdown>\n<summary>{title}</summary>\n\n{body.strip()}\n\n</details>")
    return "\n\n".join(parts)


def _with_names(sections: Sequence[Section], names: list[str]) -> Iterator[tuple[Section, list[str]]]:
    for section in sections:
        own, names = names[: len(section.pictures)], names[len(section.pictures) :]
        yield section, own


def _write_pictures(folder: Path, sections: Sequence[Section]) -> None:
    """Writes the pictures that a page shows, and removes those that it no longer does."""
    folder.mkdir(parents=True, exist_ok=True)
    files = picture_files(sections[:1]) | picture_files(sections[1:])
    for name, content in files.items():
        (folder / name).write_bytes(content)
    for path in folder.iterdir():
        if path.name not in files:
            path.unlink()


def _lists() -> Iterator[tuple[Path, str, str]]:
    """What lists all experiments, and the tables of speed."""
    claims = {name: registry.summary(name).claim for name in registry.NAMES}
    table = ["| experiment | claim |", "| --- | --- |"]
    table += [f"| [`{name}`](docs/experiments/{name}.md) | {claim} |" for name, claim in claims.items()]
    yield ROOT / "README.md", "experiments", "\n".join(table)
    listed = [f"- [{name}](experiments/{name}.md): {claim}" for name, claim in claims.items()]
    yield DOCS / "index.md", "experiments", "\n".join(listed)
    yield ROOT / "mkdocs.yml", "experiments", "\n".join(f"      - experiments/{name}.md" for name in claims)
    yield DOCS / "speed.md", "results", "\n\n".join(_speed_tables())


def _replace(page: Path, block: str, text: str, *, check: bool) -> bool:
    """Puts a block into a page; says whether the page was not as it should be.

    Raises:
        ValueError: If the page has no place for it.
    """
    comment = ("# ", "") if page.suffix == ".yml" else ("<!-- ", " -->")
    begin, end = (f"{word} of {block}, written by docs/generate.py".join(comment) for word in ("begin", "end"))
    old = page.read_text()
    if begin not in old or end not in old:
        raise ValueError(f"Expected the lines '{begin}' and '{end}' in {_short(page)}, but they are not there.")
    head, _, rest = old.partition(begin)
    gap = "\n" if page.suffix == ".yml" else "\n\n"
    new = f"{head}{begin}{gap}{text.strip(chr(10))}{gap}{rest[:0]}{_indent(head)}{end}{rest.partition(end)[2]}"
    if not check and new != old:
        page.write_text(new)
    return new != old


def _indent(head: str) -> str:
    line = head.rpartition("\n")[2]
    return line if not line.strip() else ""


def _speed_tables() -> Iterator[str]:
    for path in sorted((RESULTS / "speed").glob("*.json")):
        record = json.loads(path.read_text())
        header, row_of = _speed_columns(path.stem)
        table = Table(
            title=f"{record['machine']}, torch {record['torch']}",
            header=header,
            rows=tuple(row_of(row) for row in record["rows"]),
        )
        yield to_markdown([Section(title=f"`{path.stem}`", tables=(table,))], picture_folder="pictures").strip()


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
