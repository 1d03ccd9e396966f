"""The `hyperlearning` command. It knows no experiment by name, and imports only what a command needs."""

import dataclasses
import difflib
import errno
import json
import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

from rich.console import Console

from hyperlearning.core.errors import FileError, Interrupted, NonFiniteLossError, RunError
from hyperlearning.experiments import registry

if TYPE_CHECKING:
    from hyperlearning.engine.run_record import RunRecord
    from hyperlearning.reports.page import Table

_EXPECTED_ERRORS = (RunError, FileError, NonFiniteLossError, ValueError)

_COMMANDS = """Usage: hyperlearning COMMAND ...

  list                                    experiments and their presets
  run NAME [PRESET] [--root DIR] [--name RUN] [--overwrite] [--field value ...]
  resume RUN                              go on with an interrupted run
  report RUN ...                          rebuild pictures and pages from records
  compare RUN[:SYSTEM] RUN[:SYSTEM] ...   runs of any experiments on the same held-out lives, paired: a verdict and a page
          [--out DIR] [--json]
  evaluate RUN [--json] ...               deploy a finished run on lives that it has not met
  deploy [RUN] FILE|FOLDER ...            learn data of your own with a finished run, or with what comes with the package
  label FOLDER --budget N [--ask terminal] [--import FILE] ...   label images of your own: which ones, is chosen
  label status DIR | export DIR [--out DIR]  [--json]
  data list | fetch NAME | verify [NAME] | path [NAME]  [--data-root DIR]

`hyperlearning run NAME --help` shows every setting, `hyperlearning evaluate RUN --help` what a run's own options are, and
`hyperlearning deploy FILE --help` or `hyperlearning deploy FOLDER --help` those of learning a table or a folder of images;
`hyperlearning label --help` those of labelling.
`hyperlearning --version` says which version this is."""


def main() -> None:
    """Runs the command line and exits: 0 done, 1 failed, 2 wrongly called, 130 interrupted, 141 no longer read."""
    # Intel's matrix products may round differently from run to run unless told not to, before they are first used: a resumed
    # run would then not end in the same bits.
    os.environ.setdefault("MKL_CBWR", "AUTO")
    # On a machine that does other work too, threads that spin while they wait cost many times what they save.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
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
        "evaluate": lambda arguments, console: _verb("evaluate", arguments, console),
        "deploy": lambda arguments, console: _verb("deploy", arguments, console),
        "label": _label,
        "data": _data,
    }
    try:
        if not arguments or arguments[0] in ("-h", "--help"):
            console.print(_COMMANDS, markup=False, highlight=False)
            return 0
        if arguments[0] == "--version":
            from importlib import metadata

            print(f"hyperlearning {metadata.version('hyperlearning')}")
            return 0
        command = _known(arguments[0], commands, "a command")
        if command not in ("compare", "label", "data") and tuple(arguments[1:]) in (("-h",), ("--help",)):
            console.print(_COMMANDS, markup=False, highlight=False)
            return 0
        commands[command](arguments[1:], console)
    except Interrupted as stop:
        console.print(str(stop), markup=False, highlight=False, soft_wrap=True)
        return 130
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    except BrokenPipeError:  # Whoever read what is printed, such as `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
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


def _list(arguments: Sequence[str], console: Console) -> None:
    if arguments:
        _usage(f"no further arguments, but got {' '.join(arguments)}")
    from rich.table import Table as RichTable

    table = RichTable("experiment", "presets (first: default)", "claim", box=None)
    for name in registry.NAMES:
        claim, presets = registry.summary(name)
        table.add_row(name, ", ".join(presets), claim)
    console.print(table)


def _run(arguments: Sequence[str], console: Console) -> None:
    if not arguments:
        _usage(f"run NAME [PRESET] ..., with NAME among {', '.join(registry.NAMES)}")
    name = _known(arguments[0], registry.NAMES, "an experiment")
    rest, presets = list(arguments[1:]), registry.summary(name).presets
    preset = _known(rest.pop(0), presets, "a preset") if rest and not rest[0].startswith("-") else presets[0]
    import tyro

    from hyperlearning.engine.devices import resolve
    from hyperlearning.engine.run_record import Made, RunRecord

    experiment = registry.experiment(name)
    wanted = tyro.cli(_run_arguments(experiment, preset), args=rest, prog=f"hyperlearning run {name} {preset}")
    device = resolve(wanted.config.device)
    experiment.check(wanted.config)
    command = shlex.join(["hyperlearning", "run", *arguments])
    made = Made(preset=preset, command=command, device=device.type)
    record = RunRecord.create(
        wanted.root, name, wanted.name or preset, wanted.config, made=made, overwrite=wanted.overwrite
    )
    _finish(experiment, wanted.config, record, console)


def _run_arguments(experiment: Any, preset: str) -> Any:
    import tyro

    default = experiment.presets[preset]

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class RunArguments:
        config: tyro.conf.OmitArgPrefixes[type(default)] = default  # pyright: ignore[reportInvalidTypeForm]
        """Settings of the experiment."""
        root: Path = Path("runs")
        """Where runs live."""
        name: str = ""
        """Name of the run; the preset's if absent."""
        overwrite: bool = False
        """Replace a run of this name."""

    RunArguments.__doc__ = experiment.claim
    return Annotated[RunArguments, tyro.conf.OmitArgPrefixes]


def _finish(experiment: Any, config: Any, record: "RunRecord", console: Console) -> None:
    from hyperlearning.engine.devices import computing_on, resolve

    with record.locked(), _news_of_kernels(console), computing_on(resolve(config.device), threads=config.threads):
        experiment.run(config, record, console)
        _publish(experiment, record, console)
        record.note(finished=True)


@contextmanager
def _news_of_kernels(console: Console) -> Iterator[None]:
    """Shows what is logged of kernels, such as that one is being compiled, while the block runs."""
    logger, handler = logging.getLogger("hyperlearning.kernels"), logging.Handler(logging.INFO)
    handler.emit = lambda record: console.print(record.getMessage(), markup=False, highlight=False, soft_wrap=True)
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _resume(arguments: Sequence[str], console: Console) -> None:
    if len(arguments) != 1:
        _usage("resume RUN")
    experiment, config, record = _opened(arguments[0])
    if record.manifest.get("finished"):
        said = f"{record.path} has finished. Its report is {record.path / 'report.html'}."
        console.print(said, markup=False, soft_wrap=True)
        return
    _finish(experiment, config, record, console)


def _report(arguments: Sequence[str], console: Console) -> None:
    if not arguments:
        _usage("report RUN ...")
    for path in arguments:
        experiment, _, record = _opened(path)
        _publish(experiment, record, console)


def _opened(path: str) -> tuple[Any, Any, "RunRecord"]:
    from hyperlearning.engine.run_record import RunRecord

    record = RunRecord(path)
    return *registry.experiment_of(record), record


def _publish(experiment: Any, record: "RunRecord", console: Console) -> None:
    from hyperlearning.experiments.publish import publish

    page = experiment.report(record)
    target = publish(page, record)
    for section in page.sections:
        for table in section.tables[:1]:
            _show(table, console)
    console.print(f"Report: {target}", markup=False, highlight=False, soft_wrap=True)


def _show(table: "Table", console: Console) -> None:
    from rich.markup import escape
    from rich.table import Table as RichTable
    from rich.text import Text

    # Names of a user's own may look like markup.
    shown = RichTable(*map(escape, table.header), title=escape(table.title), title_justify="left", box=None)
    for row in table.rows:
        shown.add_row(*map(Text, row))
    console.print(shown)


def _verb(name: str, arguments: Sequence[str], console: Console) -> None:
    """Does what a run's experiment declares under this name, with the options that it declares."""
    as_json, arguments = "--json" in arguments, [argument for argument in arguments if argument != "--json"]
    if not arguments or (arguments[0].startswith("-") and arguments[0] != "-"):
        first = "[RUN] FILE|FOLDER" if name == "deploy" else "RUN"
        _usage(f"{name} {first} ...; options stand behind, and `hyperlearning {name} {first} --help` shows them")
    import tyro

    from hyperlearning.engine.devices import computing_on, resolve

    given = arguments[0]
    if name == "deploy":
        arguments = _with_a_run(arguments)
    experiment, config, record = _opened(arguments[0])
    if name not in experiment.verbs:
        able = ", ".join(["resume", "report", *experiment.verbs])
        raise RunError(
            f"Expected a run that can {name}, but {record.path} is of {record.experiment}, which can {able}."
        )
    verb, rest = experiment.verbs[name], list(arguments[1:])
    options = tyro.cli(verb.options, args=rest, prog=f"hyperlearning {name} {given} [--json]", description=verb.help)
    with computing_on(resolve(config.device), threads=config.threads):
        answer = verb.act(record, options)
    if as_json:
        print(json.dumps(answer.values))
        return
    _show(answer.table, console)
    if answer.note:
        console.print(answer.note, markup=False, highlight=False, soft_wrap=True)


def _compare(arguments: Sequence[str], console: Console) -> None:
    """Sets systems of several runs against one another and leaves a page; with `--json`, only where it is asked for."""
    if not arguments:
        _usage("compare RUN[:SYSTEM] RUN[:SYSTEM] ...; `hyperlearning compare --help` shows the options")
    import tyro

    from hyperlearning.experiments.comparing import CompareRuns, compare_runs, verdict, write_comparison

    as_json, rest = "--json" in arguments, [argument for argument in arguments if argument != "--json"]
    options = tyro.cli(CompareRuns, args=rest, prog="hyperlearning compare [--json]")
    compared = compare_runs(options)
    if as_json:
        if options.out is not None:
            write_comparison(compared, options.out)
        print(json.dumps(compared.values(), allow_nan=False))
        return
    folder = write_comparison(compared, options.out)
    from hyperlearning.experiments.comparing_page import outcomes_table

    _show(outcomes_table(compared), console)
    first = compared.outcomes[0]
    console.print(f"{first.lives}. {verdict(first)}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"Page: {folder / 'report.html'}", markup=False, highlight=False, soft_wrap=True)


def _with_a_run(arguments: Sequence[str]) -> Sequence[str]:
    """Puts a run that comes with the package in front of what is to be learned from, where no run was given."""
    from hyperlearning.experiments.shipped import shipped_run

    source, options = Path(arguments[0]), arguments[1:]
    # A folder with something else behind it is meant to be a run, also where it is none.
    meant = source.is_dir() and bool(options) and (options[0] == "-" or not options[0].startswith("-"))
    run = None if meant else shipped_run(source)
    return arguments if run is None else [str(run), *arguments]


def _label(arguments: Sequence[str], console: Console) -> None:
    """Labels a folder with a person, says how far that is, or writes out what came of it."""
    as_json, rest = "--json" in arguments, [argument for argument in arguments if argument != "--json"]
    if not rest:
        _usage(
            "label FOLDER --budget N, label status DIR or label export DIR; `hyperlearning label --help` shows the options"
        )
    import tyro

    from hyperlearning.systems.active.labelling.command import (
        ExportLabelling,
        LabelFolder,
        ShowLabelling,
        export,
        label,
        status_of,
    )

    if rest[0] in ("status", "export"):
        prog = f"hyperlearning label {rest[0]} [--json]"
        values = (
            status_of(tyro.cli(ShowLabelling, args=rest[1:], prog=prog))
            if rest[0] == "status"
            else export(tyro.cli(ExportLabelling, args=rest[1:], prog=prog))
        )
    else:
        options = tyro.cli(LabelFolder, args=rest, prog="hyperlearning label [--json]")
        # With --json what is said on the way must not stand in its place.
        said_to = sys.stderr if as_json else sys.stdout
        values = label(options, lambda text: print(text, end="", flush=True, file=said_to))
        if not as_json:
            return
    if as_json:
        print(json.dumps(values, allow_nan=False))
        return
    from hyperlearning.reports.page import Table

    rows = tuple((name.replace("_", " "), _in_words(value)) for name, value in values.items())
    _show(Table(title="", header=("", ""), rows=rows), console)


def _in_words(value: Any) -> str:
    """A JSON value as a cell: objects as names and numbers, lists by their length."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {number}" for name, number in value.items())
    return str(len(value)) if isinstance(value, list) else str(value)


def _data(arguments: Sequence[str], console: Console) -> None:
    import tyro

    from hyperlearning.data import inventory, prepared
    from hyperlearning.data.catalogue import CATALOGUE
    from hyperlearning.data.fetch import fetch
    from hyperlearning.reports.page import Table

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class DataArguments:
        """Lists, fetches and verifies data sets, or says where they lie."""

        verb: tyro.conf.Positional[Literal["list", "fetch", "verify", "path"]]
        """What to do."""
        name: tyro.conf.Positional[str] = ""
        """The data set."""
        data_root: Path | None = None
        """Where data lie; HYPERLEARNING_DATA, or the user's cache, if absent."""

    wanted = tyro.cli(DataArguments, args=arguments, prog="hyperlearning data")
    if wanted.verb == "fetch" and not wanted.name:
        _usage(f"data fetch NAME, with NAME among {', '.join(CATALOGUE)}")
    known = _known(wanted.name.replace("-", "_"), CATALOGUE, "a data set") if wanted.name else ""
    chosen = [CATALOGUE[known]] if known else list(CATALOGUE.values())
    if wanted.verb == "path":
        print(prepared.data_root(wanted.data_root) / known)
        return
    if wanted.verb == "list":
        _show(Table(title="", header=inventory.HEADER, rows=inventory.rows(chosen, wanted.data_root)), console)
        return
    if wanted.verb == "fetch":
        fetch(chosen[0], root=wanted.data_root, console=console)
    findings = inventory.findings(chosen, wanted.data_root, quickly=wanted.verb == "fetch", with_absent=bool(known))
    parts = tuple((finding.name, finding.part, finding.state) for finding in findings)
    _show(Table(title="", header=("data set", "part", "state"), rows=parts), console)
    inventory.check(findings, wanted.data_root)


def _known(name: str, known: Iterable[str], kind: str) -> str:
    """Returns a known name, or exits naming the nearest."""
    names = tuple(known)
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
    return _usage(f"{kind} among {', '.join(names)}, but got '{name}'. Did you mean '{near[0]}'?")


def _usage(expected: str) -> NoReturn:
    print(f"Error: Expected {expected}", file=sys.stderr)
    raise SystemExit(2)
