"""The `hyperlearning` command."""

import dataclasses
import difflib
import errno
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import tyro
from rich.console import Console
from rich.table import Table as RichTable

from hyperlearning.core.tensor_files import FileError
from hyperlearning.data import inventory, prepared
from hyperlearning.data.catalogue import CATALOGUE
from hyperlearning.data.fetch import fetch
from hyperlearning.engine.hyper_training import NonFiniteLossError
from hyperlearning.engine.run_record import RunError, RunRecord
from hyperlearning.engine.runner import Interrupted
from hyperlearning.experiments.publish import publish
from hyperlearning.experiments.registry import EXPERIMENTS, Experiment
from hyperlearning.reports.page import Table
from hyperlearning.systems.images import trained as image_runs
from hyperlearning.systems.regression import series, trained

_EXPECTED_ERRORS = (RunError, FileError, NonFiniteLossError, ValueError)


def main() -> None:
    """Runs the command line and exits: 0 done, 1 failed, 2 wrongly called, 130 interrupted."""
    # Tables would wrap in a log file of 80 columns.
    console = Console() if sys.stdout.isatty() else Console(width=160)
    sys.exit(run_command(sys.argv[1:], console))


def run_command(arguments: Sequence[str], console: Console) -> int:
    """Runs one command line.

    Args:
        arguments: What follows `hyperlearning`.
        console: Where it is shown.

    Returns:
        The exit status.
    """
    commands: dict[str, Callable[[Sequence[str], Console], None]] = {
        "list": _list,
        "run": _run,
        "resume": _resume,
        "report": _report,
        "compare": _compare,
        "evaluate": _evaluate,
        "deploy": _deploy,
        "data": _data,
    }
    try:
        if not arguments or arguments[0] in ("-h", "--help"):
            _help(console)
            return 0
        commands[_known(arguments[0], commands, "command")](arguments[1:], console)
    except Interrupted as stop:
        console.print(str(stop), highlight=False, soft_wrap=True)
        return 130
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    except OSError as error:
        place = error.filename or "a file of the run"
        print(f"Error: Expected to be able to use {place}, but got: {error.strerror or error}.", file=sys.stderr)
        if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            print("Free some space, then go on with `hyperlearning resume RUN`.", file=sys.stderr)
        return 1
    except _EXPECTED_ERRORS as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def _help(console: Console) -> None:
    console.print(
        "Usage: hyperlearning COMMAND ...\n\n"
        "  list                                    experiments and their presets\n"
        "  run NAME [PRESET] [--root DIR] [--name RUN] [--overwrite] [--field value ...]\n"
        "  resume RUN                              go on with an interrupted run\n"
        "  report RUN ...                          rebuild pictures and pages from records\n"
        "  compare A B                             two runs on the same held-out functions, paired\n"
        "  evaluate RUN --num-functions N --seed S [--json]\n"
        "  deploy RUN FILE.csv [--x COL --y COL --num-tasks N]\n"
        "  data list | fetch NAME | verify [NAME] | path [NAME]  [--data-root DIR]\n\n"
        "`hyperlearning run NAME --help` shows every setting.",
        markup=False,
        highlight=False,
    )


def _list(arguments: Sequence[str], console: Console) -> None:
    _expect_none(arguments)
    table = RichTable("experiment", "presets (first: default)", "claim", box=None)
    for name, experiment in EXPERIMENTS.items():
        table.add_row(name, ", ".join(experiment.presets), experiment.claim)
    console.print(table)


def _run(arguments: Sequence[str], console: Console) -> None:
    if not arguments:
        _usage(f"run NAME [PRESET] ..., with NAME among {', '.join(EXPERIMENTS)}")
    name = _known(arguments[0], EXPERIMENTS, "experiment")
    experiment = EXPERIMENTS[name]
    preset, rest = next(iter(experiment.presets)), list(arguments[1:])
    if rest and not rest[0].startswith("-"):
        preset = _known(rest.pop(0), experiment.presets, "preset")
    wanted = tyro.cli(_run_arguments(experiment, preset), args=rest, prog=f"hyperlearning run {name} {preset}")
    experiment.check(wanted.config)
    record = RunRecord.create(
        wanted.root,
        name,
        wanted.name or preset,
        wanted.config,
        preset=preset,
        command=shlex.join(["hyperlearning", "run", *arguments]),
        overwrite=wanted.overwrite,
    )
    _finish(experiment, wanted.config, record, console)


def _run_arguments(experiment: Experiment, preset: str) -> Any:
    default = experiment.presets[preset]

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class RunArguments:
        config: tyro.conf.OmitArgPrefixes[type(default)] = default  # pyright: ignore[reportInvalidTypeForm]
        root: Path = Path("runs")
        """Where runs live."""
        name: str = ""
        """Name of the run; the preset's if absent."""
        overwrite: bool = False
        """Replace a run of this name."""

    RunArguments.__doc__ = experiment.claim
    return Annotated[RunArguments, tyro.conf.OmitArgPrefixes]


def _finish(experiment: Experiment, config: Any, record: RunRecord, console: Console) -> None:
    with record.locked():
        experiment.run(config, record, console)
        _publish(experiment, record, console)
        record.note(finished=True)


def _resume(arguments: Sequence[str], console: Console) -> None:
    record = RunRecord(_one(arguments, "resume RUN"))
    experiment, config = trained.experiment_of(record, EXPERIMENTS)
    if record.manifest.get("finished"):
        console.print(f"{record.path} has finished. Its report is {record.path / 'report.html'}.", soft_wrap=True)
        return
    _finish(experiment, config, record, console)


def _report(arguments: Sequence[str], console: Console) -> None:
    if not arguments:
        _usage("report RUN ...")
    for path in arguments:
        record = RunRecord(path)
        experiment, _ = trained.experiment_of(record, EXPERIMENTS)
        _publish(experiment, record, console)


def _publish(experiment: Experiment, record: RunRecord, console: Console) -> None:
    page = experiment.report(record)
    target = publish(page, record)
    for section in page.sections:
        for table in section.tables[:1]:
            _show_table(table, console)
    console.print(f"Report: {target}", highlight=False, soft_wrap=True)


def _show_table(table: Table, console: Console) -> None:
    shown = RichTable(*table.header, title=table.title, title_justify="left", box=None)
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)


def _compare(arguments: Sequence[str], console: Console) -> None:
    if len(arguments) != 2:
        _usage("compare A B")
    _show_table(trained.compare(RunRecord(arguments[0]), RunRecord(arguments[1])), console)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _EvaluateArguments:
    """Deploys a finished run on functions, or lives of images, that it has not met."""

    run: tyro.conf.Positional[Path]
    """The run's directory."""
    num_functions: int = 256
    """How many functions; for runs of class-incremental, how many lives."""
    seed: int = 1
    """What they are drawn from."""
    json: bool = False
    """Print JSON."""


def _evaluate(arguments: Sequence[str], console: Console) -> None:
    wanted = tyro.cli(_EvaluateArguments, args=arguments, prog="hyperlearning evaluate")
    record = RunRecord(wanted.run)
    if record.config["experiment"] == image_runs.NAME:
        scores = image_runs.evaluate_classifier(record, num_lives=wanted.num_functions, seed=wanted.seed)
    else:
        scores = trained.evaluate(record, num_functions=wanted.num_functions, seed=wanted.seed)
    if wanted.json:
        print(json.dumps({name: {"mean": e.mean, "ci95": e.ci95} for name, e in scores.items()}))
        return
    rows = tuple((name.replace("_", " "), str(value)) for name, value in scores.items())
    title = f"{wanted.num_functions} of seed {wanted.seed}"
    _show_table(Table(title=title, header=("score", "mean ± 95 %"), rows=rows), console)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _DeployArguments:
    """Learns a measured series piece by piece with a finished run's phenotype."""

    run: tyro.conf.Positional[Path]
    """The run's directory."""
    file: tyro.conf.Positional[Path]
    """A CSV file with a header line."""
    x: str = ""
    """Column of positions; the first if absent."""
    y: str = ""
    """Column of measurements; the second if absent."""
    num_tasks: int = 5
    """Pieces that the series is learned in."""
    updates_per_task: int = 100
    """Updates in each piece."""
    out: Path | None = None
    """Where results go; a folder beside the file, named after it, if absent."""


def _deploy(arguments: Sequence[str], console: Console) -> None:
    wanted = tyro.cli(_DeployArguments, args=arguments, prog="hyperlearning deploy")
    file: Path = wanted.file
    out = wanted.out or (file.with_suffix("") if file.suffix else file.with_name(f"{file.name}-learned"))
    table = series.deploy_csv(
        RunRecord(wanted.run),
        wanted.file,
        x=wanted.x or None,
        y=wanted.y or None,
        num_tasks=wanted.num_tasks,
        updates_per_task=wanted.updates_per_task,
        out=out,
    )
    _show_table(table, console)
    console.print(f"Predictions, error matrix and picture: {out}", highlight=False, soft_wrap=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _DataArguments:
    """Lists, fetches and verifies data sets, or says where they lie."""

    verb: tyro.conf.Positional[Literal["list", "fetch", "verify", "path"]]
    """What to do."""
    name: tyro.conf.Positional[str] = ""
    """The data set."""
    data_root: Path | None = None
    """Where data lie; HYPERLEARNING_DATA, or the user's cache, if absent."""


def _data(arguments: Sequence[str], console: Console) -> None:
    wanted = tyro.cli(_DataArguments, args=arguments, prog="hyperlearning data")
    if wanted.verb == "fetch" and not wanted.name:
        _usage(f"data fetch NAME, with NAME among {', '.join(CATALOGUE)}")
    known = _known(wanted.name.replace("-", "_"), CATALOGUE, "data set") if wanted.name else ""
    chosen = [CATALOGUE[known]] if known else list(CATALOGUE.values())
    if wanted.verb == "path":
        print(prepared.data_root(wanted.data_root) / known)
        return
    if wanted.verb == "list":
        _show_table(Table(title="", header=inventory.HEADER, rows=inventory.rows(chosen, wanted.data_root)), console)
        return
    if wanted.verb == "fetch":
        fetch(chosen[0], root=wanted.data_root, console=console)
    findings = inventory.findings(chosen, wanted.data_root, quickly=wanted.verb == "fetch", with_absent=bool(known))
    parts = tuple((finding.name, finding.part, finding.state) for finding in findings)
    _show_table(Table(title="", header=("data set", "part", "state"), rows=parts), console)
    inventory.check(findings, wanted.data_root)


def _known(name: str, known: Any, kind: str) -> str:
    """Returns a known name, or exits naming the nearest."""
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return _usage(f"a {kind} among {', '.join(known)}, but got '{name}'. Did you mean '{near[0]}'?")


def _expect_none(arguments: Sequence[str]) -> None:
    if arguments:
        _usage(f"no further arguments, but got {' '.join(arguments)}")


def _one(arguments: Sequence[str], usage: str) -> str:
    if len(arguments) != 1:
        _usage(usage)
    return arguments[0]


def _usage(expected: str) -> NoReturn:
    print(f"Error: Expected {expected}", file=sys.stderr)
    raise SystemExit(2)
