"""Figures, tables and one self-contained page, from the plain numbers of a run record alone."""

from hyperlearning.reports.activations import activation_figure
from hyperlearning.reports.animation import life_animation
from hyperlearning.reports.bars import Share, shares_figure
from hyperlearning.reports.charts import Curve, curves_figure, methods_figure
from hyperlearning.reports.contact_sheet import sheet_figure
from hyperlearning.reports.error_matrix import error_matrix_figure
from hyperlearning.reports.lives import comparison_lives_figure, lives_figure, series_figure
from hyperlearning.reports.markdown import picture_files, to_markdown
from hyperlearning.reports.numbers import Column, column, percent, short_estimate, short_number
from hyperlearning.reports.page import Page, Picture, Section, Table, render_page
from hyperlearning.reports.pictures import picture
from hyperlearning.reports.reconstructions import reconstruction_animation, reconstruction_figure
from hyperlearning.reports.style import png_bytes

__all__ = [
    "Column",
    "Curve",
    "Page",
    "Picture",
    "Section",
    "Share",
    "Table",
    "activation_figure",
    "column",
    "comparison_lives_figure",
    "curves_figure",
    "error_matrix_figure",
    "life_animation",
    "lives_figure",
    "methods_figure",
    "percent",
    "picture",
    "picture_files",
    "png_bytes",
    "reconstruction_animation",
    "reconstruction_figure",
    "render_page",
    "series_figure",
    "shares_figure",
    "sheet_figure",
    "short_estimate",
    "short_number",
    "to_markdown",
]
