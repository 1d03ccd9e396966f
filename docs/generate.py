"""Writes what records and experiments say into the documentation: `python docs/generate.py [--check] [EXPERIMENT ...]`.

Each experiment's page gets its glance, its results and its pictures; README, menu and front page get the list of experiments.
`--check` writes nothing and says what differs. Names restrict the work to these experiments' pages.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from labelling_tables import labelling_sections
from speed_tables import speed_sections

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.experiments import registry
from hyperlearning.reports import Page, Section, Table, picture_files, to_markdown

ROOT = Path(__file__).resolve().parents[1]
GLANCE = "At a glance"


class Block(NamedTuple):
    """What stands between two markers of a file.

    Attributes:
        path: The file, from the repository's root.
        name: The markers'.
        text: What is between them.
    """

    path: str
    name: str
    text: str


class Shown(NamedTuple):
    """What runs of an experiment show together.

    Attributes:
        glance: One picture and one table, for the top of the page.
        results: Everything else.
    """

    glance: Section
    results: tuple[Section, ...]


def main() -> int:
    """Writes or checks; returns the exit status."""
    check, names = "--check" in sys.argv[1:], [name for name in sys.argv[1:] if name != "--check"]
    differing = [path for name in names or registry.NAMES for path in _update_page(name, check=check)]
    if not names:
        differing += [block.path for block in _lists() if _update(block, check=check)]
    if check and differing:
        print(
            f"Expected what the records and experiments say, but these differ: {', '.join(dict.fromkeys(differing))}."
        )
        print("Run `python docs/generate.py`.")
    return int(check and bool(differing))


def _update_page(name: str, *, check: bool) -> list[str]:
    """Updates an experiment's page and pictures; returns the paths that were not as they should be."""
    shown, page, folder = _shown(name), f"docs/experiments/{name}.md", ROOT / "docs" / "pictures" / name
    links = f"../pictures/{name}"
    blocks = (
        Block(page, "at a glance", to_markdown([shown.glance], picture_folder=links, frame="bare")),
        Block(page, "results", to_markdown(shown.results, picture_folder=links, frame="folds")),
    )
    differing = [block.path for block in blocks if _update(block, check=check)]
    pictures = picture_files([shown.glance]) | picture_files(shown.results)
    if {path.name for path in folder.glob("*")} != set(pictures):
        differing.append(str(folder.relative_to(ROOT)))
    if not check:
        _write_pictures(folder, pictures)
    return differing


def _write_pictures(folder: Path, pictures: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name not in pictures:
            path.unlink()
    for name, content in pictures.items():
        (folder / name).write_bytes(content)


def _shown(name: str) -> Shown:
    experiment = registry.experiment(name)
    records = _runs(name)
    pages = {record.path.name: experiment.report(record) for record in _unlike(records)}
    together = tuple(experiment.over_runs(records)) if experiment.over_runs else ()
    own = [(run, section) for run, page in pages.items() for section in page.sections]
    glance = next(section for section in [*together, *(section for _, section in own)] if section.title == GLANCE)
    below = [
        *together,
        *(section if len(pages) == 1 else _of_run(run, section) for run, section in own if section is not glance),
    ]
    others = (section for section in below if section is not glance and (section.tables or section.pictures))
    return Shown(_short(glance), (*map(_short, others), _commands(pages)))


def _runs(name: str) -> list[RunRecord]:
    """An experiment's records: its default preset's first."""
    presets = list(registry.summary(name).presets)
    records = [RunRecord(path.parent) for path in sorted((ROOT / "results" / name).glob("*/config.json"))]
    places = {preset: place for place, preset in enumerate(presets)}
    return sorted(records, key=lambda record: places.get(record.config["preset"], len(places)))


def _unlike(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Those whose settings differ in more than seed and threads from one before."""
    unlike: list[RunRecord] = []
    seen: list[dict[str, Any]] = []
    for record in records:
        settings = record.config["settings"] | {"seed": None, "threads": None}
        if settings not in seen:
            seen.append(settings)
            unlike.append(record)
    return unlike


def _of_run(run: str, section: Section) -> Section:
    """A section whose title names its run."""
    title = f", at a glance: {section.tables[0].title}" if section.title == GLANCE else f": {section.title}"
    return replace(section, title=f"`{run}`{title}")


def _short(section: Section) -> Section:
    return replace(section, pictures=section.pictures[:1])


def _commands(pages: dict[str, Page]) -> Section:
    rows = tuple((run, f"`{page.command}`") for run, page in pages.items())
    return Section(title="The runs shown here", tables=(Table(title="", header=("run", "command"), rows=rows),))


def _lists() -> Iterator[Block]:
    claims = {name: registry.summary(name).claim for name in registry.NAMES}
    rows = (f"| [`{name}`](docs/experiments/{name}.md) | {claim} |" for name, claim in claims.items())
    yield Block("README.md", "experiments", "\n".join(("| experiment | claim |", "| :-- | :-- |", *rows)))
    items = (f"- [{name}](experiments/{name}.md): {claim}" for name, claim in claims.items())
    yield Block("docs/index.md", "experiments", "\n".join(items))
    yield Block("mkdocs.yml", "experiments", "\n".join(f"      - experiments/{name}.md" for name in claims))
    speed = to_markdown(speed_sections(ROOT / "results" / "speed"), picture_folder="pictures")
    yield Block("docs/speed.md", "results", speed)
    labelling = to_markdown(
        labelling_sections(ROOT / "results" / "labelling"), picture_folder="pictures", frame="folds"
    )
    yield Block("docs/labelling.md", "results", labelling)


def _update(block: Block, *, check: bool) -> bool:
    """Puts a block between its markers; says whether something else stood there.

    Raises:
        ValueError: If the file has no such markers.
    """
    path = ROOT / block.path
    text = path.read_text()
    begin, end = (rf"[^\n]*{word} of {block.name}, written by docs/generate.py[^\n]*" for word in ("begin", "end"))
    between = re.compile(rf"(^{begin}\n).*?(^{end}$)", re.DOTALL | re.MULTILINE)
    if not between.search(text):
        raise ValueError(f"Expected lines that say 'begin of {block.name}' and 'end of {block.name}' in {block.path}.")
    gap = "" if path.suffix == ".yml" else "\n"
    content = block.text.strip("\n")
    wanted = between.sub(lambda found: f"{found[1]}{gap}{content}\n{gap}{found[2]}", text, count=1)
    if not check and wanted != text:
        path.write_text(wanted)
    return wanted != text


if __name__ == "__main__":
    sys.exit(main())
