"""From a page to files: the pictures and the self-contained report of a run."""

from pathlib import Path

from hyperlearning.core.atomic_files import write_atomically
from hyperlearning.engine.run_record import RunRecord
from hyperlearning.reports.markdown import picture_files
from hyperlearning.reports.page import Page, render_page


def publish(page: Page, record: RunRecord) -> Path:
    """Writes `report.html` and every picture into a run's directory.

    Returns:
        The report's path.
    """
    for name, content in picture_files(page.sections).items():
        write_atomically(record.figures / name, content)
    target = record.path / "report.html"
    write_atomically(target, render_page(page).encode())
    return target


def footer_of(record: RunRecord) -> dict[str, str]:
    """What a page says about how its run was made."""
    manifest, config = record.manifest, record.config
    facts = {
        "experiment": f"{config['experiment']}, preset {config['preset']}, seed {config['settings']['seed']}",
        "started": manifest["started"],
        "software": ", ".join(f"{name} {version}" for name, version in manifest["versions"].items()),
        "commit": manifest["commit"] or "not from a checkout",
        "machine": f"{manifest['machine']}, {manifest['cores']} cores, device {manifest['device']}",
    }
    optional = {
        "threads": manifest.get("threads"),
        "backend": manifest.get("backend"),
        "hyper-training": _duration(manifest.get("training_seconds")),
    }
    return facts | {name: str(value) for name, value in optional.items() if value is not None}


def _duration(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:,.0f} s"
