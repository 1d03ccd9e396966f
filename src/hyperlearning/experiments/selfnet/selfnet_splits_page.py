"""The page of `selfnet-splits`, from its record alone."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

from hyperlearning.engine.run_record import RunRecord
from hyperlearning.evaluation.intervals import Estimate, estimate, paired_difference
from hyperlearning.experiments.publish import footer_of
from hyperlearning.experiments.selfnet.selfnet_splits import CutsLine, NetworksLine, StoresLine, title_of
from hyperlearning.reports import Curve, Page, Section, Table, curves_figure, percent, picture, short_estimate
from hyperlearning.systems.selfnet.split_lines import PiecesLine, SharedLine, TaughtLine
from hyperlearning.systems.selfnet.split_networks import COLOUR, ROWS

_CLAIMED = 0.997
"""The cosine at which the text ends training."""
_FINEST = 1e-6
"""The smallest distance that a logarithmic picture shows."""

_IN_TABLES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""Iterations that tables show, and the last."""

Lines = Mapping[str, Sequence[PiecesLine]]


def report(record: RunRecord) -> Page:
    """Makes the page from the record."""
    cuts, stores = _by(record.last(CutsLine).lines, title_of), record.last(StoresLine).lines
    networks = record.last(NetworksLine).repetitions
    return Page(
        title="Networks in pieces",
        lead=f"An autoencoder learns a network of {_size(networks[0], COLOUR):,} weights whole; smaller ones learn its "
        "pieces, with as many numbers in all their codes. Then one autoencoder takes in networks of several architectures. "
        f"{len(networks)} repetitions, each with networks and autoencoders of its own, paired.",
        facts={
            f"{title}, a cosine of {_CLAIMED}": _said(lines, _seconds_to, " s")
            for title, lines in list(cuts.items())[:3]
        },
        sections=(
            _glance(cuts),
            _iterations_section(cuts),
            _accuracy_section(cuts),
            _costs_section(cuts),
            _stores_section(stores, networks),
            _networks_section(stores, networks),
        ),
        command=record.manifest["command"],
        footer=footer_of(record),
    )


def _by(lines: Iterable[PiecesLine], key: Callable[[PiecesLine], str]) -> dict[str, list[PiecesLine]]:
    found: dict[str, list[PiecesLine]] = {}
    for line in lines:
        found.setdefault(key(line), []).append(line)
    return found


def _size(line: TaughtLine, name: str) -> int:
    return line.sizes[line.names.index(name)]


def _iterations_to(line: PiecesLine, cosine: float = _CLAIMED) -> int | None:
    """Iterations until the network's cosine is reached, if it is."""
    return next((number for number, near in enumerate(line.cosines, start=1) if near >= cosine), None)


def _seconds_to(line: PiecesLine) -> float | None:
    iterations = _iterations_to(line)
    return None if iterations is None else line.seconds[iterations - 1]


def _multiplications_to(line: PiecesLine) -> float | None:
    """In thousand millions."""
    iterations = _iterations_to(line)
    return None if iterations is None else iterations * line.multiplications / 1e9


def _said(lines: Sequence[PiecesLine], value: Callable[[PiecesLine], float | int | None], unit: str = "") -> str:
    """A mean with its interval where every repetition has a value, else how many have."""
    values = [found for line in lines if (found := value(line)) is not None]
    if len(values) < len(lines):
        return f"{len(values)} of {len(lines)} get there"
    return f"{short_estimate(estimate(values))}{unit}"


def _less_than_whole(
    lines: Sequence[PiecesLine], whole: Sequence[PiecesLine], value: Callable[[PiecesLine], float | int | None]
) -> str:
    """The paired difference to the network as a whole, where both have values throughout."""
    own, other = [value(line) for line in lines], [value(line) for line in whole]
    if None in own or None in other or lines is whole:
        return ""
    return short_estimate(paired_difference(own, other))  # pyright: ignore[reportArgumentType]


def _distance(cosine: float) -> float:
    return max(1 - cosine, _FINEST)


def _course(lines: Sequence[PiecesLine]) -> list[Estimate]:
    """One minus the cosine after every iteration, over repetitions."""
    return [
        estimate([_distance(near) for near in after]) for after in zip(*(line.cosines for line in lines), strict=True)
    ]


def _curve(x: Sequence[float] | Sequence[int], values: Sequence[Estimate]) -> Curve:
    return Curve(list(x), [value.mean for value in values], [value.ci95 for value in values])


def _glance(cuts: Lines) -> Section:
    curves = {
        title: _curve([fmean(after) for after in zip(*(line.seconds for line in lines), strict=True)], _course(lines))
        for title, lines in cuts.items()
    }
    figure = curves_figure(
        curves,
        xlabel="seconds of the processor",
        ylabel="1 - cosine",
        log_x=True,
        log_y=True,
        references={"text's end": 1 - _CLAIMED},
    )
    whole, *_ = cuts.values()
    rows = tuple(
        (
            title,
            f"{lines[0].num_parameters:,}",
            _said(lines, _iterations_to),
            _said(lines, _seconds_to),
            _less_than_whole(lines, whole, _seconds_to),
            percent(estimate([line.accuracies[-1] - line.undisturbed for line in lines])),
        )
        for title, lines in cuts.items()
    )
    title = "How near the recollected network is"
    return Section(
        title="At a glance",
        pictures=(
            picture(title, "Means over repetitions, with 95 % intervals; lower and farther left is better.", figure),
        ),
        tables=(
            Table(
                title=f"To a cosine of {_CLAIMED}",
                caption="Means and 95 % intervals over repetitions; seconds of the processor; paired differences to the whole. "
                "The last column: accuracy of the network recollected after the last iteration, less that of the trained one, in "
                "points.",
                header=(
                    "network",
                    "parameters",
                    "iterations",
                    "seconds",
                    "seconds less the whole's",
                    "points in the end",
                ),
                rows=rows,
            ),
        ),
    )


def _iterations_section(cuts: Lines) -> Section:
    near = {title: _curve(range(1, len(lines[0].cosines) + 1), _course(lines)) for title, lines in cuts.items()}
    whole, *_ = cuts.values()
    looks = list(_shown(whole))
    rows = tuple(
        (title, *(f"{fmean(line.cosines[look - 1] for line in lines):.4f}" for look in looks))
        for title, lines in cuts.items()
    )
    differences = tuple(
        (title, *(_less_than_whole(lines, whole, _cosine_after(look)) for look in looks))
        for title, lines in cuts.items()
        if lines is not whole
    )
    header = ("network", *map(str, looks))
    return Section(
        title="Cosine against iterations",
        pictures=(
            picture(
                "Cosine against iterations",
                "Means over repetitions, with 95 % intervals. The text's figure has the whole and three pieces.",
                curves_figure(near, xlabel="iterations", ylabel="1 - cosine", log_x=True, log_y=True),
            ),
        ),
        tables=(
            Table(
                title="Cosine",
                caption="Means over repetitions, by the iteration; an iteration shows every piece once.",
                header=header,
                rows=rows,
            ),
            Table(
                title="Cosine, less that of the whole",
                caption="Paired over repetitions, with 95 % intervals.",
                header=header,
                rows=differences,
            ),
        ),
    )


def _accuracy_section(cuts: Lines) -> Section:
    whole, *_ = cuts.values()
    shown = _shown(whole)
    curves = {
        title: Curve(
            list(lines[0].looks),
            [
                fmean(100 * (score - line.undisturbed) for line, score in zip(lines, after, strict=True))
                for after in zip(*(line.accuracies for line in lines), strict=True)
            ],
        )
        for title, lines in cuts.items()
    }
    rows = tuple(
        (title, *(f"{100 * fmean(line.accuracies[place] for line in lines):.1f}" for place in shown.values()))
        for title, lines in cuts.items()
    )
    trained = percent(estimate([line.undisturbed for line in whole]))
    title = "Accuracy against iterations"
    return Section(
        title=title,
        paragraphs=(f"As they were trained, networks are right on {trained} percent of test images.",),
        pictures=(
            picture(
                title,
                "Of the recollected network, less the trained one's, means over repetitions.",
                curves_figure(curves, xlabel="iterations", ylabel="points of accuracy", log_x=True),
            ),
        ),
        tables=(
            Table(
                title="Accuracy, percent",
                caption="Means over repetitions, by the iteration.",
                header=("network", *map(str, shown)),
                rows=rows,
            ),
        ),
    )


def _shown(lines: Sequence[PiecesLine]) -> dict[int, int]:
    """Iterations that tables show, and their places among looks."""
    looks = lines[0].looks
    return {look: place for place, look in enumerate(looks) if look in _IN_TABLES or look == looks[-1]}


def _cosine_after(iteration: int) -> Callable[[PiecesLine], float]:
    return lambda line: line.cosines[iteration - 1]


def _costs_section(cuts: Lines) -> Section:
    whole, *_ = cuts.values()
    curves = {
        title: _curve(
            [number * lines[0].multiplications / 1e9 for number in range(1, len(lines[0].cosines) + 1)], _course(lines)
        )
        for title, lines in cuts.items()
    }
    rows = tuple(
        (
            title,
            f"{lines[0].size:,}",
            str(lines[0].code_size),
            f"{lines[0].num_bytes:,}",
            f"{lines[0].multiplications / 1e9:.3g}",
            f"{lines[0].written / 1e6:,.1f}",
            short_estimate(estimate([line.seconds[-1] / len(line.seconds) for line in lines])),
            _said(lines, _multiplications_to),
            _less_than_whole(lines, whole, _multiplications_to),
        )
        for title, lines in cuts.items()
    )
    return Section(
        title="Bytes, operations and seconds",
        paragraphs=(
            "An iteration's layers multiply as often for pieces as for the whole. What differs is what the optimizer writes: all "
            "pieces at once, a fraction of the weights; one by one, as many weights in several updates that see one another.",
        ),
        pictures=(
            picture(
                "Cosine against multiplications",
                "Of matrix products, in thousand millions.",
                curves_figure(
                    curves, xlabel="thousand million multiplications", ylabel="1 - cosine", log_x=True, log_y=True
                ),
            ),
        ),
        tables=(
            Table(
                title="An iteration, and all it takes",
                caption=f"Bytes: the whole autoencoder with its codes; one network in float32 takes {4 * whole[0].size:,}. "
                "Multiplications of an iteration in thousand millions, weights that Adam writes in one in millions, and "
                f"the processor's seconds; multiplications until a cosine of {_CLAIMED}, and the paired difference to the "
                "whole's.",
                header=(
                    "network",
                    "inputs",
                    "code",
                    "bytes",
                    "multiplications",
                    "written",
                    "seconds",
                    f"multiplications to {_CLAIMED}",
                    "less the whole's",
                ),
                rows=rows,
            ),
        ),
    )


def _kinds(line: TaughtLine) -> dict[str, list[int]]:
    """Networks by what they are, as places."""
    own = {"digits, mean of five": [i for i, name in enumerate(line.names) if name not in (COLOUR, ROWS)]}
    return own | {line.titles[i]: [i] for i, name in enumerate(line.names) if name in (COLOUR, ROWS)}


def _scores(lines: Sequence[SharedLine], look: int, places: Sequence[int]) -> list[float]:
    """Accuracy after a look, one value a repetition."""
    return [fmean(line.accuracies[look][place] for place in places) for line in lines]


def _stores_section(stores: Sequence[SharedLine], networks: Sequence[TaughtLine]) -> Section:
    kinds = _kinds(networks[0])
    trained = {
        kind: [fmean(line.accuracies[place] for place in places) for line in networks] for kind, places in kinds.items()
    }
    by_store = {
        name: [line for line in stores if line.store == name] for name in dict.fromkeys(own.store for own in stores)
    }
    own = next(lines for lines in by_store.values() if lines[0].looks != (0,))
    curves = {
        kind: Curve(
            list(own[0].looks),
            [100 * (fmean(_scores(own, look, places)) - fmean(trained[kind])) for look in range(len(own[0].looks))],
        )
        for kind, places in kinds.items()
    }
    originals = ("separate networks", *(percent(estimate(trained[kind])) for kind in kinds), f"{own[0].unit:,}", "1.0")
    rows = tuple(
        (
            lines[0].title,
            *(percent(estimate(_scores(lines, -1, places))) for places in kinds.values()),
            f"{fmean(line.num_bytes for line in lines):,.0f}",
            f"{lines[0].unit / fmean(line.num_bytes for line in lines):.3g}",
        )
        for lines in by_store.values()
    )
    lost = tuple(
        (
            lines[0].title,
            *(percent(paired_difference(_scores(lines, -1, places), trained[kind])) for kind, places in kinds.items()),
        )
        for lines in by_store.values()
    )
    title = "Recollected networks approach the trained ones"
    return Section(
        title="Several architectures in one store",
        paragraphs=(
            "Five networks for digits, one for colour images and one of a user's, with batch norm and an LSTM, go into one "
            "store, cut into pieces of as many numbers as a network for digits has.",
        ),
        pictures=(
            picture(
                title,
                "Self-Net: points of accuracy, recollected less trained, means over repetitions.",
                curves_figure(curves, xlabel="iterations", ylabel="points of accuracy", log_x=True),
            ),
        ),
        tables=(
            Table(
                title="Stores of the same networks",
                caption="Percent of test images right, means and 95 % intervals over repetitions; bytes of everything that a "
                "store keeps, and how many times fewer than those of separate networks.",
                header=("store", *kinds, "bytes", "compression"),
                rows=(originals, *rows),
            ),
            Table(
                title="Points lost",
                caption="Recollected less trained, paired over repetitions.",
                header=("store", *kinds),
                rows=lost,
            ),
        ),
    )


def _networks_section(stores: Sequence[SharedLine], networks: Sequence[TaughtLine]) -> Section:
    first = networks[0]
    own = {line.store: [other for other in stores if other.store == line.store] for line in stores}
    rows = tuple(
        (
            title,
            f"{first.sizes[place]:,}",
            percent(estimate([line.accuracies[place] for line in networks])),
            *(f"{fmean(line.cosines[-1][place] for line in lines):.4f}" for lines in own.values()),
        )
        for place, title in enumerate(first.titles)
    )
    return Section(
        title="Networks",
        tables=(
            Table(
                title="Networks as they were trained, and cosines of recollected ones to them",
                caption="Means over repetitions.",
                header=("network", "numbers", "accuracy", *(lines[0].title for lines in own.values())),
                rows=rows,
            ),
        ),
    )
