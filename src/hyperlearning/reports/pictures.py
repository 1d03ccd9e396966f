"""A figure as a picture of a page."""

from matplotlib.figure import Figure

from hyperlearning.reports.page import Picture
from hyperlearning.reports.style import png_bytes


def picture(title: str, caption: str, figure: Figure) -> Picture:
    """Draws a figure for a page; its title says what it shows to those who cannot see it."""
    return Picture(title=title, caption=caption, content=png_bytes(figure), kind="png", alt=title)
