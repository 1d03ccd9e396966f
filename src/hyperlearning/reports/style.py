"""One look for every figure: palette, text sizes, saving.

Figures are built on their own canvas and inside a local style context, so neither a user's settings nor other figures
are touched, and a record gives the same picture on every machine (matplotlib brings its own fonts).
"""

import functools
import io
import textwrap
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

INK = "#17212b"
MUTED = "#5f6c79"
FAINT = "#dde3e9"
ACCENT = "#0b7f95"
WARM = "#d55e00"
LEARNED = "#c62839"  # Red and brown are the dissertation's (figure 6.12).
DERIVATIVE = "#8c5a3c"

# After Okabe and Ito: neighbours stay apart under every common colour blindness.
CYCLE = ("#0b7f95", "#d55e00", "#5b4b9a", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#4a5560")

FULL_WIDTH = 10.0
"""Inches of a figure as wide as the page's text; others are narrower, never scaled, so that text is of one size."""

_PAGE_DPI = 150

_MOST_CHARACTERS = 40
"""Of a user's own name beside an axis: the height of half a page."""

_STYLE: Mapping[str, Any] = MappingProxyType(
    {
        "font.family": ["DejaVu Sans"],
        "font.size": 9.5,
        "text.color": INK,
        "text.parse_math": False,  # A user's column may be called "price ($)".
        "axes.edgecolor": "#a9b4be",
        "axes.labelcolor": MUTED,
        "axes.labelsize": 9.5,
        "axes.linewidth": 0.8,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 9.5,
        "axes.titleweight": "bold",
        "axes.axisbelow": True,
        "axes.unicode_minus": True,
        "figure.titlesize": 11.5,
        "figure.titleweight": "bold",
        "figure.constrained_layout.h_pad": 0.07,
        "figure.constrained_layout.w_pad": 0.07,
        "figure.constrained_layout.hspace": 0.04,
        "figure.constrained_layout.wspace": 0.03,
        "grid.color": FAINT,
        "grid.linewidth": 0.7,
        "legend.frameon": False,
        "legend.fontsize": 9,
        "lines.solid_capstyle": "round",
        "xtick.color": "#a9b4be",
        "ytick.color": "#a9b4be",
        "xtick.labelcolor": MUTED,
        "ytick.labelcolor": MUTED,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "xtick.major.size": 3,
        "ytick.major.size": 3,
        "xtick.minor.size": 0,
        "ytick.minor.size": 0,
    }
)


def styled(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Runs a function in the house style and gives the caller's settings back afterwards."""

    @functools.wraps(function)
    def inside(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with matplotlib.style.context(dict(_STYLE), after_reset=True):
            return function(*args, **kwargs)

    return inside


def new_figure(width: float, height: float, *, title: str = "") -> Figure:
    """Opens an empty figure on a canvas of its own.

    Args:
        width: Inches, at most `FULL_WIDTH`.
        height: Inches, without the title.
        title: Left-aligned above everything; none if empty.
    """
    lines = wrapped(title, round(10 * width)) if title else ""
    above = 0.15 + 0.2 * len(lines.splitlines()) if title else 0.0
    figure = Figure(figsize=(width, height + above), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(lines, x=0.01, ha="left")
    return figure


@styled
def png_bytes(figure: Figure, *, dpi: int = _PAGE_DPI) -> bytes:
    """Draws a figure.

    Args:
        figure: What to draw.
        dpi: Pixels per inch.

    Returns:
        A PNG file's content, without a time stamp: equal figures give equal bytes.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def stage_colours(count: int) -> list[str]:
    """Colours of successive tasks, from dark to light cyan as in the paper's figure 3.

    Raises:
        ValueError: If `count` is below 1.
    """
    if count < 1:
        raise ValueError(f"Expected `count` to be positive, but got {count}.")
    # Not lighter: the last is what a life ends with, and has to stand out on white paper.
    ramp = LinearSegmentedColormap.from_list("stages", ["#06303b", "#0a6478", "#139ab2", "#4ed3e6"])
    return [to_hex(ramp(position)) for position in np.linspace(0, 1, max(count, 2))[-count:]]


def error_colours() -> Colormap:
    """Colours from a small error (near white) to a large one (deep blue-green); grey where there is no number."""
    colours = ["#f4fafb", "#bfe6ec", "#62bccb", "#16839a", "#0a4a59", "#041f27"]
    ramp = LinearSegmentedColormap.from_list("errors", colours)
    return ramp.with_extremes(bad="#eceff2")


def drawable(name: str, instead: str) -> str:
    """Returns a user's own name for a figure, or other words where the figures' font lacks its characters.

    Args:
        name: Any text; the end of a long one is left out. In the figures' style none of it is read as mathematics: dollar
            signs stay dollar signs.
        instead: Words that every font has.
    """
    font = get_font(findfont("DejaVu Sans"))
    has_all = all(font.get_char_index(ord(character)) for character in name if character.isprintable())
    if not has_all or not name.isprintable():
        return instead
    return name if len(name) <= _MOST_CHARACTERS else f"{name[: _MOST_CHARACTERS - 1]}…"


def even_columns(count: int) -> int:
    """How many panels to set in a row: up to four, and three where four would leave a ragged last row."""
    return count if count <= 4 else 4 if count % 4 == 0 else 3


def wrapped(text: str, width: int) -> str:
    """Breaks a label into lines of at most `width` characters, between words where it can."""
    return "\n".join(textwrap.wrap(text, width)) or text


def plain_log_ticks(axes: Axes, axis: str) -> None:
    """Writes a logarithmic axis's ticks as plain numbers, on the decades and, if there are few, between them."""
    getattr(axes, f"set_{axis}scale")("log")
    ruler = axes.xaxis if axis == "x" else axes.yaxis
    low, high = sorted(ruler.get_view_interval())
    few_decades = low > 0 and high / low < 200
    ruler.set_major_locator(LogLocator(subs=(1, 2, 5) if few_decades else (1,)))
    ruler.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    ruler.set_minor_formatter(NullFormatter())
