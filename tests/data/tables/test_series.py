"""A user's table is read rightly, or refused with the line, what was expected and the remedy; no row is lost in silence."""

import csv
import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyperlearning.data.errors import DataError
from hyperlearning.data.tables import MeasuredSeries, read_series, series_csv, unique_names

Text = str | bytes
ROOT = os.environ.get("HYPERLEARNING_DATA", "")


def read(tmp_path: Path, content: Text, *, name: str = "series.csv", **options: object) -> MeasuredSeries:
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_series(file, **options)  # pyright: ignore[reportArgumentType]


def said(series: MeasuredSeries) -> str:
    return " ".join(series.said)


def test_a_plain_table_is_read_as_it_stands(tmp_path: Path):
    series = read(tmp_path, "t,v\n0,1.5\n2,-3e-2\n1,+4\n")
    np.testing.assert_array_equal(series.x, [0, 2, 1])
    np.testing.assert_array_equal(series.y, [[1.5], [-0.03], [4]])
    assert (series.x_name, series.y_names, series.lines.tolist()) == ("t", ("v",), [2, 3, 4])
    assert not series.is_time


def test_a_quote_that_never_closes_is_named_with_its_line_and_the_remedy(tmp_path: Path):
    rows = [f"{i},{i % 7},{'fine' if i != 10 else chr(34) + 'started'}" for i in range(1, 1001)]
    with pytest.raises(DataError, match=r"line 11") as refused:
        read(tmp_path, "t,v,note\n" + "\n".join(rows) + "\n")
    assert "quote" in str(refused.value)


def test_rows_longer_than_the_header_are_refused_and_a_decimal_comma_suggested(tmp_path: Path):
    with pytest.raises(DataError, match="line 2") as refused:
        read(tmp_path, "x,y\n0,5,1,25\n1,5,2,25\n")
    assert "4" in str(refused.value)
    assert "decimal" in str(refused.value)


def test_rows_shorter_than_the_header_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="line 3"):
        read(tmp_path, "x,y,z\n0,5,1\n1,5\n")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("t;v\n0,5;1,25\n1,5;2,25\n", ("';'", "decimal mark")),
        ("t\tv\n0.5\t1.25\n1.5\t2.25\n", ("tab",)),
        ("# made by a logger\n# second line\nt,v\n0.5,1.25\n1.5,2.25\n", ("comment",)),
        ("temp °C,v\n0.5,1.25\n1.5,2.25\n".encode("latin-1"), ("--encoding",)),
        ("temp °C,v\n0.5,1.25\n1.5,2.25\n".encode("utf-16"), ("utf-16",)),
        ("\ufefft,v\r\n0.5,1.25\r\n1.5,2.25\r\n", ()),
    ],
    ids=["decimal commas", "tabs", "comments", "Latin-1", "UTF-16", "byte order mark"],
)
def test_what_is_recognised_is_read_and_said(tmp_path: Path, content: Text, words: tuple[str, ...]):
    series = read(tmp_path, content)
    np.testing.assert_array_equal(series.x, [0.5, 1.5])
    np.testing.assert_array_equal(series.y[:, 0], [1.25, 2.25])
    for word in words:
        assert word.lower() in said(series).lower()


@pytest.mark.parametrize(
    ("stamps", "seconds"),
    [
        (("2024-03-31", "2024-04-01", "2024-04-03"), (0, 86400, 3 * 86400)),
        (("2024-03-31T23:59:30", "2024-04-01 00:00:30", "2024-04-01T00:00:30.5"), (0, 60, 60.5)),
        (("2024-03-31T10:00:00+02:00", "2024-03-31T09:00:00Z", "2024-03-31T10:00:00Z"), (0, 3600, 7200)),
    ],
    ids=["days", "times", "zones"],
)
def test_iso_dates_are_read_as_time(tmp_path: Path, stamps: tuple[str, ...], seconds: tuple[float, ...]):
    series = read(tmp_path, "when,v\n" + "".join(f"{stamp},{i}\n" for i, stamp in enumerate(stamps)))
    assert series.is_time
    np.testing.assert_allclose(series.x, seconds)
    assert series.x_text == stamps
    assert "time" in said(series)


@pytest.mark.parametrize("cell", ["", "NA", "NaN", "nan", "inf", "-inf", "null"])
def test_missing_cells_are_counted_and_named_or_dropped_and_said(tmp_path: Path, cell: str):
    content = "t,v\n" + "".join(f"{i},{cell if i in (3, 5) else i}\n" for i in range(10))
    with pytest.raises(DataError, match="--missing drop") as refused:
        read(tmp_path, content)
    assert "2 in 'v'" in str(refused.value)
    assert "lines 5, 7" in str(refused.value)
    series = read(tmp_path, content, missing="drop")
    assert len(series.x) == 8
    assert series.dropped.tolist() == [5, 7]
    assert "Dropped 2 of 10" in said(series)


def test_thousands_marks_are_read_with_the_option_that_the_error_names(tmp_path: Path):
    content = 't,v\n1,"20,257.6"\n2,"1,000.5"\n3,12.0\n'
    with pytest.raises(DataError, match="--thousands"):
        read(tmp_path, content)
    np.testing.assert_array_equal(read(tmp_path, content, thousands=",").y[:, 0], [20257.6, 1000.5, 12])


def test_positions_read_back_to_the_last_digit(tmp_path: Path):
    cells = [str(1700000001 + i) for i in range(5)]
    series = read(tmp_path, "t,dan\n" + "".join(f"{cell},{i}\n" for i, cell in enumerate(cells)))
    rows = list(csv.reader(io.StringIO(series_csv(series, {"dan": series.y[:, 0]}).decode())))
    assert rows[0] == ["t", "dan", "dan 2"]
    assert [row[0] for row in rows[1:]] == cells
    np.testing.assert_array_equal(series.x - series.x[0], np.arange(5))


def test_nanoseconds_since_1970_are_told_apart(tmp_path: Path):
    cells = [str(1_700_000_000_000_000_000 + i) for i in range(4)]
    series = read(tmp_path, "t,v\n" + "".join(f"{cell},{i}\n" for i, cell in enumerate(cells)))
    np.testing.assert_array_equal(series.x, np.arange(4))
    assert series.x_text == tuple(cells)


def test_names_that_need_quotes_read_back(tmp_path: Path):
    series = read(tmp_path, '"distance, km","h ""m"""\n0,1\n1,2\n')
    assert (series.x_name, series.y_names) == ("distance, km", ('h "m"',))
    header = next(csv.reader(io.StringIO(series_csv(series, {}).decode())))
    assert header == ["distance, km", 'h "m"']


def test_several_columns_are_read_at_once_in_the_order_asked(tmp_path: Path):
    series = read(tmp_path, "t,a,note,b\n0,1,x,3\n1,2,y,4\n", y=("b", "a"))
    assert series.y_names == ("b", "a")
    np.testing.assert_array_equal(series.y, [[3, 1], [4, 2]])


def test_standard_input_is_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    reading, writing = os.pipe()
    os.write(writing, b"t,v\n0,1\n1,2\n")
    os.close(writing)
    with os.fdopen(reading, "r") as piped:
        monkeypatch.setattr(sys, "stdin", piped)
        assert read_series("-").x.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("t,v\n", "rows below"),
        ("t\n1\n2\n", "columns"),
        ("a,a\n1,2\n2,3\n", "one column 'a'"),
        ("t,v\n1,2\n2,oops\n", "'oops' in line 3"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "text"),
    ],
    ids=["empty", "no rows", "one column", "one name twice", "words", "a picture"],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: Text, message: str):
    with pytest.raises(DataError, match=message):
        read(tmp_path, content)


def test_an_absent_file_and_a_folder_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="does not exist"):
        read_series(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match=r"folder|directory"):
        read_series(tmp_path)


def test_a_missing_column_names_those_there_are(tmp_path: Path):
    with pytest.raises(DataError, match=r"among \['t', 'v'\]"):
        read(tmp_path, "t,v\n0,1\n1,2\n", y=("w",))


@pytest.mark.parametrize("option", [{"delimiter": "::"}, {"decimal": ";"}, {"thousands": "1"}, {"missing": "keep"}])
def test_an_option_that_is_none_is_refused(tmp_path: Path, option: dict[str, str]):
    with pytest.raises(ValueError, match=f"`{next(iter(option))}`"):
        read(tmp_path, "t,v\n0,1\n1,2\n", **option)


def test_names_are_made_unique():
    assert unique_names(("a", "a", "a 2")) == ("a", "a 2", "a 2 2")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_bytes_are_answered_or_refused_by_name(tmp_path: Path, content: bytes):
    try:
        series = read(tmp_path, content)
    except DataError as refused:
        assert str(refused)  # noqa: PT017 (Either outcome is right; a traceback of another library is not.)
    else:
        assert np.isfinite(series.x).all()
        assert np.isfinite(series.y).all()


_CELLS = st.sampled_from(["1", "2.5", "-3e4", "", "NA", "x", '"7"', "inf", "1,5", " 4 "])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(_CELLS, _CELLS), min_size=1, max_size=12), delimiter=st.sampled_from([",", ";", "\t"]))
def test_rows_read_and_rows_dropped_are_all_rows(tmp_path: Path, rows: list[tuple[str, str]], delimiter: str):
    content = f"t{delimiter}v\n" + "".join(f"{a}{delimiter}{b}\n" for a, b in rows)
    try:
        series = read(tmp_path, content, missing="drop")
    except DataError as refused:
        assert str(refused)  # noqa: PT017
    else:
        assert len(series.x) + len(series.dropped) == len(rows)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=8, unique=True))
def test_what_is_written_reads_back_exactly(tmp_path: Path, values: list[float]):
    series = read(tmp_path, "t,v\n" + "".join(f"{i},{value!r}\n" for i, value in enumerate(values)))
    again = read(tmp_path, series_csv(series, {}), name="again.csv")
    np.testing.assert_array_equal(again.y[:, 0], values)
    assert again.x_text == series.x_text


@pytest.mark.skipif(not (Path(ROOT or "/nowhere") / "series").is_dir(), reason="HYPERLEARNING_DATA holds no series")
def test_the_measured_series_at_hand_are_read():
    files = sorted((Path(ROOT) / "series").glob("*.csv"))
    assert len(files) >= 12
    for file in files:
        series = read_series(file)
        assert len(series.x) == len(file.read_text().splitlines()) - 1
