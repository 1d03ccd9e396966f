"""A user's series: every life meets the same points in the same order, and what goes wrong is said before anything is learned."""

import numpy as np
import pytest
import torch

from hyperlearning.experiments.shipped import SERIES, shipped
from hyperlearning.systems.regression.series import LearnedSeries, SeriesSettings, learn_series, series_stream
from hyperlearning.systems.regression.series_lives import series_lives
from hyperlearning.systems.regression.series_page import SeriesWords, lives_table, series_page, verdict
from hyperlearning.systems.regression.trained import TrainedRun, load_run


@pytest.fixture(scope="module")
def trained() -> TrainedRun:
    return load_run(shipped(SERIES))


def noisy_sine(num_points: int = 200) -> tuple[np.ndarray, np.ndarray]:
    x = np.linspace(0, 30, num_points)
    return x, 20 + 5 * np.sin(0.4 * x) + 0.2 * np.random.default_rng(0).standard_normal(num_points)


def learn(trained: TrainedRun, x: np.ndarray, y: np.ndarray, **more: object) -> LearnedSeries:
    return learn_series(trained, x, y, settings=SeriesSettings(updates_per_task=20, **more))  # pyright: ignore[reportArgumentType]


def test_recursive_least_squares_reaches_the_noise(trained: TrainedRun):
    learned = learn_series(trained, *noisy_sine())
    assert learned["rls"].after < 1.2 * 0.2
    assert learned.best.before == min(life.before for life in learned.lives if life.before is not None)
    assert learned.lives[-1].before is None  # A bound, not a life.


def test_the_same_settings_give_the_same_numbers(trained: TrainedRun):
    first, second = (learn(trained, *noisy_sine(60)) for _ in range(2))
    for one, two in zip(first.lives, second.lives, strict=True):
        assert np.array_equal(one.predictions, two.predictions)


def test_predictions_stand_where_the_users_points_do(trained: TrainedRun):
    x, y = noisy_sine(60)
    order = np.random.default_rng(1).permutation(60)
    straight, mixed = learn(trained, x, y), learn(trained, x[order], y[order])
    np.testing.assert_array_equal(straight["rls"].predictions[:, order], mixed["rls"].predictions)


def test_every_point_is_met_in_its_own_piece_alone_and_once_before_it_comes_again():
    x, y = noisy_sine(53)
    stream = series_stream(x, y, SeriesSettings(hold_out=0.2), at_least=30)
    for piece, (picks, firsts) in enumerate(zip(stream.picks, stream.is_first, strict=True)):
        low, high = stream.bounds[piece], stream.bounds[piece + 1]
        assert ((picks >= low) & (picks < high)).all()
        own = np.flatnonzero(~stream.is_held_out[low:high]) + low
        assert sorted(picks[: len(own)]) == own.tolist()
        assert firsts[: len(own)].all()
        assert not firsts[len(own) :].any()
    assert not stream.is_held_out[stream.picks].any()


def test_positions_at_epoch_scale_that_repeat_are_learned(trained: TrainedRun):
    x = 1.7e9 + np.repeat(np.arange(40.0), 2)
    learned = learn(trained, x, np.sin(x / 7))
    page = series_page(x, np.sin(x / 7), learned, SeriesWords(title="t", x_name="x", y_name="y"))
    assert page.sections[0].pictures[0].content.startswith(b"\x89PNG")


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_measurements_of_any_size_are_scaled_first(trained: TrainedRun, size: float):
    x, y = noisy_sine(60)
    plain, scaled = learn(trained, x, y), learn(trained, x, y * size)
    for one, two in zip(plain.lives, scaled.lives, strict=True):
        assert two.after / size == pytest.approx(one.after, rel=1e-3)


def test_an_outlier_is_warned_of_with_its_place_and_the_remedy(trained: TrainedRun):
    x, y = noisy_sine(100)
    y[40] = 1e6
    squeezed = learn(trained, x, y)
    (warning,) = (said for said in squeezed.said if "Warning" in said)
    assert warning.startswith("Warning: 1 of 100 measurements lies ")
    assert f"1e+06 at {x[40]:.17g}" in warning
    assert "--scale robust" in warning
    settings = SeriesSettings(updates_per_task=20)
    named = learn_series(trained, x, y, places=[f"line {i + 2}" for i in range(100)], settings=settings)
    assert "1e+06 at line 42" in next(said for said in named.said if "Warning" in said)
    robust = learn(trained, x, y, scale="robust")
    assert not any("Warning" in said for said in robust.said)
    others = np.arange(100) != 40
    errors = np.abs(robust["rls"].predictions[-1] - y)[others & (np.abs(x - x[40]) > 8)]
    assert np.median(errors) < 2


def test_a_daily_rhythm_is_learned_where_x_is_time(trained: TrainedRun):
    seconds = 3600.0 * np.arange(24 * 20)
    y = 10 + 3 * np.sin(2 * np.pi * seconds / 86_400) + 0.1 * np.random.default_rng(0).standard_normal(len(seconds))
    as_time = learn_series(trained, seconds, y, is_time=True, settings=SeriesSettings(updates_per_task=100))
    assert as_time.best.name == "rls_seasonal"
    assert as_time.best.after < 0.15
    assert any("a day" in said for said in as_time.said)
    as_number = learn(trained, seconds, y)
    assert all(life.name != "rls_seasonal" for life in as_number.lives)
    told = learn(trained, seconds, y, periods=(86_400.0,))
    assert told["rls_seasonal"].after < 0.5


def test_points_that_too_few_updates_never_meet_are_counted(trained: TrainedRun):
    said = learn(trained, *noisy_sine(200)).said
    assert any(sentence.startswith("100 points were never met") for sentence in said)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 2, 3], [1, 2], "as many"),
        ([1, 2, 3], [1, 2, 3], "a point for each of 5 pieces"),
        ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, float("nan")], "finite"),
        ([1, 1, 1, 1, 1, 1], [1, 2, 3, 4, 5, 6], "positions that vary"),
        ([1, 2, 3, 4, 5, 6], [7, 7, 7, 7, 7, 7], "measurements that vary, but all of them are 7"),
        ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 1.2e308], "larger unit"),
        ([1, 2, 3, 4, 5, 1.2e308], [1, 2, 3, 4, 5, 6], "larger unit"),
    ],
)
def test_what_cannot_be_learned_is_refused(trained: TrainedRun, x: list[float], y: list[float], message: str):
    with pytest.raises(ValueError, match=message):
        learn_series(trained, x, y)


def test_every_life_begins_anew_and_says_what_it_keeps(trained: TrainedRun):
    lives = series_lives(trained, periods=(2.0,))
    assert len({life.name for life in lives}) == len(lives)
    for life in lives:
        first, second = life.begin(), life.begin()
        x, y = torch.linspace(-1, 1, 6)[:, None], torch.linspace(0, 1, 6)[:, None]
        torch.testing.assert_close(first.observe_each(x, y), second.observe_each(x, y))
        assert first.num_stored > 0
        assert first.predict(x).shape == (6, 1)


def test_the_page_names_the_best_life_and_what_each_keeps(trained: TrainedRun):
    learned = learn(trained, *noisy_sine(60), hold_out=0.2)
    table = lives_table(learned, "degrees")
    assert table.rows[0][0] == learned.best.title
    assert "at the end, points never met" in table.header
    assert learned.best.title[1:] in verdict(learned)
    assert f"{learned['dan'].num_stored:,}" in verdict(learned)
