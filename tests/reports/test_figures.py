"""Figures: what is drawn, asserted on artists rather than pixels."""

import io
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from hyperlearning.evaluation.intervals import Estimate
from hyperlearning.reports import (
    Curve,
    activation_figure,
    comparison_lives_figure,
    curves_figure,
    error_matrix_figure,
    lives_figure,
    methods_figure,
    png_bytes,
    series_figure,
    short_estimate,
    short_number,
)
from hyperlearning.reports.style import ACCENT, drawable, stage_colours, styled

NUM_TASKS = 5
GRID = np.linspace(-5, 5, 60)
FUNCTIONS = np.stack([np.sin(GRID + shift) for shift in range(4)])
PREDICTIONS = np.stack([FUNCTIONS * share for share in np.linspace(0, 1, NUM_TASKS + 1)])
MATRIX = np.arange(1, 31, dtype=float).reshape(6, 5) / 1000


def lines_named(axes: Axes, start: str) -> list[str]:
    return [str(line.get_label()) for line in axes.get_lines() if str(line.get_label()).startswith(start)]


def legend_of(figure: Figure) -> set[str]:
    return {text.get_text() for text in figure.legends[0].get_texts()}


def texts_of(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_life_has_a_panel_per_function_and_a_line_per_task() -> None:
    figure = lives_figure(GRID, FUNCTIONS, PREDICTIONS, num_tasks=NUM_TASKS)
    expected = [f"after task {task}" for task in range(1, 6)]
    assert [lines_named(axes, "after task") for axes in figure.axes] == [expected] * 4


def test_a_bold_line_ends_where_its_task_ends() -> None:
    axes = lives_figure(GRID, FUNCTIONS, PREDICTIONS, num_tasks=NUM_TASKS).axes[0]
    ends = [np.max(line.get_xdata()) for line in axes.get_lines() if str(line.get_label()).startswith("after task")]
    assert np.allclose(ends, [-3, -1, 1, 3, 5], atol=10 / 59)


def test_task_boundaries_follow_the_given_edges() -> None:
    edges = [-5.0, -4.0, 0.0, 1.0, 2.0, 5.0]
    axes = lives_figure(GRID, FUNCTIONS, PREDICTIONS, num_tasks=NUM_TASKS, edges=edges).axes[0]
    assert [line.get_xdata()[0] for line in axes.get_lines() if len(line.get_xdata()) == 2][:4] == edges[1:-1]


def test_the_legend_of_lives_names_every_task_and_the_truth() -> None:
    names = legend_of(lives_figure(GRID, FUNCTIONS, PREDICTIONS, num_tasks=NUM_TASKS))
    assert names == {"true function", "windows still ahead", *(f"after task {task}" for task in range(1, 6))}


def test_a_legend_in_two_rows_still_reads_from_left_to_right() -> None:
    figure = lives_figure(GRID, FUNCTIONS, PREDICTIONS, num_tasks=NUM_TASKS, columns=2)
    figure.draw_without_rendering()
    place = {text.get_text(): text.get_window_extent() for text in figure.legends[0].get_texts()}
    rows: dict[int, list[tuple[float, str]]] = {}
    for name, box in place.items():
        rows.setdefault(round(-box.y0 / 5), []).append((box.x0, name))
    read = [name for _, row in sorted(rows.items()) for _, name in sorted(row)]
    assert read == ["true function", *(f"after task {task}" for task in range(1, 6)), "windows still ahead"]


def test_stage_colours_run_from_dark_to_light() -> None:
    brightness = [sum(int(colour[start : start + 2], 16) for start in (1, 3, 5)) for colour in stage_colours(6)]
    assert brightness == sorted(brightness)
    assert len(set(brightness)) == 6


def test_methods_are_compared_on_one_scale_under_their_names() -> None:
    methods = {"DAN network": PREDICTIONS[:, 0], "plain MLP": PREDICTIONS[:, 1] * 2}
    figure = comparison_lives_figure(GRID, FUNCTIONS[0], methods, num_tasks=NUM_TASKS)
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(methods)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


def test_a_panel_says_the_error_it_ends_with() -> None:
    figure = comparison_lives_figure(GRID, FUNCTIONS[0], {"off by .1": PREDICTIONS[:, 0] + 0.1}, num_tasks=NUM_TASKS)
    assert texts_of(figure.axes[0]) == ["final error 0.010"]


def test_a_diverged_method_leaves_the_others_readable() -> None:
    methods = {
        "fine": PREDICTIONS[:, 0],
        "diverged": np.full_like(PREDICTIONS[:, 0], np.nan),
        "wild": PREDICTIONS[:, 0] * 1e9,
    }
    figure = comparison_lives_figure(GRID, FUNCTIONS[0], methods, num_tasks=NUM_TASKS)
    low, high = figure.axes[0].get_ylim()
    assert -3 < low < -1
    assert 1 < high < 3
    assert texts_of(figure.axes[1]) == ["final error –"]


@pytest.mark.parametrize(
    ("functions", "predictions"),
    [
        (FUNCTIONS[:, :-1], PREDICTIONS),
        (FUNCTIONS, PREDICTIONS[1:]),
        (FUNCTIONS[:3], PREDICTIONS),
        (FUNCTIONS[0], PREDICTIONS),
    ],
    ids=["points", "stages", "functions", "axes"],
)
def test_lives_of_other_shapes_are_refused(functions: np.ndarray, predictions: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"Expected `(functions|predictions)` of shape .*, but got"):
        lives_figure(GRID, functions, predictions, num_tasks=NUM_TASKS)


def test_a_grid_that_does_not_increase_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected `grid` to be 2 or more finite, increasing numbers, but got 60"):
        lives_figure(GRID[::-1], FUNCTIONS, PREDICTIONS, num_tasks=NUM_TASKS)


def test_ragged_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="Expected `matrix` to be numbers"):
        error_matrix_figure([[1.0, 2.0], [1.0]])


def test_edges_for_another_number_of_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected `edges` of shape \(6,\), but got \(4,\)"):
        lives_figure(GRID, FUNCTIONS, PREDICTIONS, num_tasks=NUM_TASKS, edges=[-5, 0, 1, 5])


def test_no_methods_to_compare_are_refused() -> None:
    with pytest.raises(ValueError, match="Expected predictions of at least one method, but got none"):
        comparison_lives_figure(GRID, FUNCTIONS[0], {}, num_tasks=NUM_TASKS)


def test_a_series_has_its_points_in_both_panels_under_the_users_labels() -> None:
    figure = series_figure(
        GRID,
        FUNCTIONS[0],
        PREDICTIONS[:, 0],
        PREDICTIONS[:, 1],
        num_tasks=NUM_TASKS,
        xlabel="t ($_x$)",
        ylabel="CO₂ (ppm)",
    )
    measured = [[line for line in axes.get_lines() if line.get_marker() == "o"] for axes in figure.axes]
    assert [len(lines[0].get_xdata()) for lines in measured] == [len(GRID)] * 2
    assert [axes.get_ylabel() for axes in figure.axes] == ["CO₂ (ppm)"] * 2
    assert figure.axes[1].get_xlabel() == "t ($_x$)"
    assert [text.get_text() for text in figure.axes[0].texts] == [f"piece {number}" for number in range(1, 6)]
    assert png_bytes(figure)


def test_an_error_matrix_writes_every_number_and_names_every_stage() -> None:
    axes = error_matrix_figure(MATRIX).axes[0]
    assert texts_of(axes) == [short_number(value) for value in MATRIX.ravel()]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "before",
        *(f"after task {task}" for task in range(1, 6)),
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == [f"task {task}" for task in range(1, 6)]


def test_an_error_matrix_has_a_logarithmic_scale() -> None:
    norm = error_matrix_figure(MATRIX).axes[0].images[0].norm
    assert float(norm(np.sqrt(MATRIX.min() * MATRIX.max()))) == pytest.approx(0.5)


def test_an_error_matrix_shows_what_has_no_logarithm() -> None:
    matrix = MATRIX.copy()
    matrix[0, :3] = [np.nan, 0.0, np.inf]
    assert texts_of(error_matrix_figure(matrix).axes[0])[:3] == ["–", "0", "–"]


def test_an_error_matrix_writes_intervals_below_its_numbers() -> None:
    assert texts_of(error_matrix_figure(MATRIX, ci95=MATRIX / 10).axes[0])[0] == "0.0010\n±0.00010"


def test_a_square_error_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected `matrix` of shape \(6, 5\), but got \(5, 5\)"):
        error_matrix_figure(MATRIX[1:])


def test_few_curves_are_named_at_their_ends_and_many_in_a_legend() -> None:
    few = curves_figure(
        {name: Curve([0, 1], [1.0, 2.0]) for name in "abc"}, xlabel="x", ylabel="y", references={"goal": 0.5}
    )
    many = curves_figure({name: Curve([0, 1], [1.0, 2.0]) for name in "abcdef"}, xlabel="x", ylabel="y")
    assert sorted(texts_of(few.axes[0])) == ["a", "b", "c", "goal"]
    assert not few.legends
    assert legend_of(many) == set("abcdef")
    assert not texts_of(many.axes[0])


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_names_of_curves_never_overlap(ends: list[float]) -> None:
    figure = curves_figure(
        {f"{index}": Curve([0, 1], [0.5, end]) for index, end in enumerate(ends)}, xlabel="x", ylabel="y"
    )
    heights = sorted(text.xy[1] for text in figure.axes[0].texts)  # type: ignore[attr-defined]
    assert (np.diff(heights) >= 0.0649).all()


def test_a_line_below_the_picture_is_named_at_its_bottom() -> None:
    low = Curve([1, 2], [0.5, 0.4])
    figure = curves_figure({"low": low}, xlabel="x", ylabel="y", log_y=True, references={"far below": 1e-3})
    (label,) = (text for text in figure.axes[0].texts if text.get_text() == "far below")
    assert -0.1 < label.xy[1] < 0.1  # pyright: ignore[reportAttributeAccessIssue]


def test_an_interval_is_shaded_around_its_mean() -> None:
    axes = curves_figure({"a": Curve([0, 1, 2], [1.0, 2.0, 3.0], [0.1, 0.2, 0.3])}, xlabel="x", ylabel="y").axes[0]
    corners = axes.collections[0].get_paths()[0].vertices
    assert corners[:, 1].min() == pytest.approx(0.9)
    assert corners[:, 1].max() == pytest.approx(3.3)


def test_an_interval_may_reach_below_zero_on_a_logarithmic_axis() -> None:
    axes = curves_figure({"a": Curve([0, 1], [0.1, 0.01], [0.01, 0.02])}, xlabel="x", ylabel="y", log_y=True).axes[0]
    low, high = axes.get_ylim()
    assert axes.get_yscale() == "log"
    assert 0 < low < 0.01
    assert high > 0.11


def test_named_places_replace_the_numbers_on_the_axis() -> None:
    curves = {"a": Curve([0, 1, 2], [1.0, 2.0, 3.0])}
    axes = curves_figure(curves, xlabel="x", ylabel="y", ticks={0: "before", 1: "1", 2: "2"}).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["before", "1", "2"]


def test_ordered_curves_share_one_ramp() -> None:
    axes = curves_figure(
        {name: Curve([0, 1], [1.0, 2.0]) for name in "abcd"}, xlabel="x", ylabel="y", ordered=True
    ).axes[0]
    assert [to_hex(str(line.get_color())) for line in axes.get_lines()] == stage_colours(4)


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        ({}, "Expected at least one curve, but got none"),
        ({"a": Curve([0, 1], [1.0])}, r"Expected `mean of a` of shape \(2,\), but got \(1,\)"),
        ({"a": Curve([0, 1], [1.0, 2.0], [0.1])}, r"Expected `ci95 of a` of shape \(2,\), but got \(1,\)"),
        ({"a": Curve([0, 1], [1.0, float("nan")])}, "Expected finite values for a, but got some that are not"),
        ({"a": Curve([0, 1], [1.0, -2.0])}, "Expected positive values for a on a logarithmic axis, but got -2"),
    ],
    ids=["none", "mean", "ci95", "nan", "negative"],
)
def test_curves_that_cannot_be_drawn_are_refused(curves: dict[str, Curve], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        curves_figure(curves, xlabel="x", ylabel="y", log_y=True)


ESTIMATES = {"middle": Estimate(0.1, 0.01, 9), "best": Estimate(0.01, 0.02, 9), "worst": Estimate(1.0, 0.1, 9)}


@pytest.mark.parametrize(
    ("lower_is_better", "order"), [(True, ["best", "middle", "worst"]), (False, ["worst", "middle", "best"])]
)
def test_methods_are_sorted_best_first(lower_is_better: bool, order: list[str]) -> None:
    axes = methods_figure(ESTIMATES, xlabel="error", lower_is_better=lower_is_better).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == order
    assert axes.yaxis_inverted()


def test_methods_show_means_intervals_and_numbers() -> None:
    axes = methods_figure(ESTIMATES, xlabel="error", log=True).axes[0]
    bars = [line for line in axes.get_lines() if line.get_marker() == "|"]
    dots = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert [dot.get_xdata()[0] for dot in dots] == [0.01, 0.1, 1.0]
    assert [bar.get_xdata()[1] for bar in bars] == pytest.approx([0.03, 0.11, 1.1])
    assert {short_estimate(one) for one in ESTIMATES.values()} <= set(texts_of(axes))


def test_a_highlighted_method_stands_out() -> None:
    axes = methods_figure(ESTIMATES, xlabel="error", highlight=["middle"]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels() if label.get_color() == ACCENT] == ["middle"]


def test_an_unknown_highlight_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected `highlight` to name methods .* but got \['other'\]"):
        methods_figure(ESTIMATES, xlabel="error", highlight=["other"])


def test_a_negative_mean_is_refused_on_a_logarithmic_scale() -> None:
    with pytest.raises(
        ValueError, match=r"Expected positive values for forgetting on a logarithmic axis, but got -0\.1"
    ):
        methods_figure({"a": Estimate(-0.1, 0.0, 1)}, xlabel="forgetting", log=True)


def test_activations_show_function_and_derivative_in_red_and_brown() -> None:
    functions = {"tanh": (np.tanh(GRID), 1 - np.tanh(GRID) ** 2), "ReLU": (np.maximum(GRID, 0), (GRID > 0) * 1.0)}
    figure = activation_figure(GRID, functions)
    curves = [[line for line in axes.get_lines() if len(line.get_xdata()) == len(GRID)] for axes in figure.axes]
    assert [[str(line.get_color()) for line in lines] for lines in curves] == [["#c62839", "#8c5a3c"]] * 2
    assert legend_of(figure) == {"function", "derivative"}


def test_an_activation_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected `derivatives of tanh` of shape \(60,\), but got \(59,\)"):
        activation_figure(GRID, {"tanh": (np.tanh(GRID), GRID[1:])})


def test_figures_leave_the_users_settings_alone() -> None:
    before = dict(matplotlib.rcParams)
    png_bytes(error_matrix_figure(MATRIX))
    assert dict(matplotlib.rcParams) == before


def test_figures_ignore_the_users_settings() -> None:
    plain = png_bytes(error_matrix_figure(MATRIX))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert png_bytes(error_matrix_figure(MATRIX)) == plain


def test_a_png_has_the_asked_resolution() -> None:
    figure = error_matrix_figure(MATRIX)
    width, height = Image.open(io.BytesIO(png_bytes(figure, dpi=100))).size
    assert (width, height) == tuple(int(inches * 100) for inches in figure.get_size_inches())


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0031, "0.0031"),
        (0.0996, "0.10"),
        (12.3, "12"),
        (123.4, "123"),
        (-0.5, "−0.50"),
        (3.1e-6, "3.1e−6"),
        (2.5e7, "2.5e7"),
        (0, "0"),
    ],
)
def test_numbers_are_written_to_two_digits(value: float, shown: str) -> None:
    assert short_number(value) == shown


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_number_can_be_written_briefly(value: float) -> None:
    assert 1 <= len(short_number(value)) <= 9


@pytest.mark.parametrize(
    ("mean", "ci95", "shown"),
    [
        (0.004371, 0.000123, "0.00437 ± 0.00012"),
        (123.4, 56.0, "123 ± 56"),
        (0.5, 0.0, "0.50"),
        (-0.0175, 0.0027, "−0.0175 ± 0.0027"),
    ],
)
def test_estimates_are_written_to_their_intervals_second_digit(mean: float, ci95: float, shown: str) -> None:
    assert short_estimate(Estimate(mean, ci95, 9)) == shown


def test_long_names_at_the_ends_of_curves_do_not_overlap():
    names = [f"a method with a name that takes two lines, number {number}" for number in range(4)]
    figure = curves_figure(
        {name: Curve([1, 2], [0.9, 0.5 + 0.001 * place]) for place, name in enumerate(names)}, xlabel="x", ylabel="y"
    )
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = sorted((text.get_window_extent() for text in axes.texts), key=lambda box: box.y0)
    assert len(boxes) == 4
    for below, above in pairwise(boxes):
        assert above.y0 > below.y1 - 1


def test_no_two_of_many_curves_look_alike():
    figure = curves_figure({str(number): Curve([0, 1], [1.0, number]) for number in range(12)}, xlabel="x", ylabel="y")
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].get_lines()}
    assert len(looks) == 12


@pytest.mark.parametrize("name", ["Ba$$in", "price ($) of $x^2$", r"a\b_c"])
def test_a_users_name_is_drawn_as_it_stands(name: str):
    @styled
    def slack(text: str) -> float:
        figure = Figure()
        renderer = FigureCanvasAgg(figure).get_renderer()
        width = figure.text(0, 0, text).get_window_extent(renderer).width
        return sum(figure.text(0, 0, each).get_window_extent(renderer).width for each in text) - width

    assert drawable(name, "other words") == name
    # As wide as its characters, less what pairs of them move together: nothing was taken for markup.
    assert abs(slack(name)) < 1.5 * len(name)


def test_a_name_that_the_font_lacks_gets_other_words():
    assert drawable("日期", "position") == "position"
    assert drawable("a\nb", "position") == "position"
