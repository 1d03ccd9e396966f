"""A user's table: read rightly, or refused by line, column and remedy; no row is lost without a word."""

import csv
import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperlearning.data.errors import DataError
from hyperlearning.data.tables import MeasuredSeries, read_series, series_csv, unique_names, write_series


def _read(folder: Path, content: bytes | str, **options: object) -> MeasuredSeries:
    path = folder / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_series(path, **options)


_NOTES = [f"{i},{i / 2}," for i in range(1000)]


def _notes(**changed: str) -> str:
    """A thousand rows `t,v,note`, some of which are other ones."""
    rows = list(_NOTES)
    for place, row in changed.items():
        rows[int(place.removeprefix("row"))] = row
    return "\n".join(["t,v,note", *rows]) + "\n"


_STARTED = '9,4.5,"started'


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (_notes(row9=_STARTED), r"closed in line 11 of .*table.csv, but got \"started, .* line 1001\. Close the quote"),
        (_notes(row9=_STARTED, row500='500,1,"finished'), "closed in line 11 "),
        (
            _notes(row9='9,4.5,"', row500='500,1,"'),
            "closed in line 11 .* runs on to line 502, over lines that look like rows",
        ),
        (_notes(row9=_STARTED) + "0,0,\n" * 90_000, "closed in line 11 "),
        ('t,v,n\n0,1,"a\n1,2,b"\n2,3,c\n', "closed in line 2 .* runs on to line 3, over lines that look like rows"),
        ('"t,v\n0,1\n1,2\n', 'closed in line 1 of .*, but got "t,v, which runs on to line 3'),
        ('t,v,n\n0,1,a\n1,2,"b', "closed in line 3 "),
        ("t;v;n\n" + "0;0,5;a\n" * 9 + '9;0,5;"b\n' + "1;0,5;c\n" * 99, "closed in line 11 of .* runs on to line 110"),
        (
            "t\tv\tn\n" + "0\t1\ta\n" * 9 + '9\t1\t"b\n' + "1\t1\tc\n" * 99,
            "closed in line 11 of .* runs on to line 110",
        ),
        ("t,v,n\n0,1," + "a" * 200_000 + "\n", "at most 131,072 characters in line 2"),
        ('t,v,n\n0,1,"a"b\n', "after a closing quote in line 2 of .*, but got '0,1,\"a\"b'"),
        ("x,y\n0,5,1,25\n", "2 cells in line 2 of .*, but got 4: 0,5,1,25. If a comma is a decimal comma, write ;"),
        ("x,y\n" + "1,2\n" * 300 + "1,2,3\n", "2 cells in line 302 of .* but got 3"),
        ("x,y\n1,2\n3\n", "2 cells in line 3 of .* but got 1.*--missing drop"),
        ("Logger XY\nt,v\n0,1\n1,2\n", "'Logger XY' is a note above the header, begin it with #"),
        (
            "Logger A, serial 5, Berlin\nt,v\n0,1\n",
            "'Logger A,serial 5,Berlin' is a note above the header, begin it with #",
        ),
        ("t,v\ns,degC\n0,1\n1,2\n", "got 's' in line 2. If line 2 holds units, .* begin it with #"),
        ("t,v\n0,1\n1,2\nsum,3\n", "got 'sum' in line 4. If line 4 is no row, begin it with #"),
        ("t,v\n0,1\n1,2\nrows: 2\n", "2 cells in line 4 of .* but got 1: rows: 2. If it is no row, begin it with #"),
        ("% one\n% two\nt,v\n0,1\n", "--comment %"),
        ("t,v\n2024-01-01T00:00Z,1\n2024-01-02T00:00,2\n", "all have a zone or all have none .* in line 3"),
        ("t,v\n2024-01-01,1\n2024-02-30,2\n", "ISO dates in column 't' of .* but got '2024-02-30' in line 3"),
        ("t,v\n31.01.2024,1\n", "got '31.01.2024' in line 2.* such as 2024-03-31"),
        ("t,v\n0,\n1,NA\n2,inf\n3,4\nNaN,5\n", r"1 in 't' \(line 6\), 3 in 'v' \(lines 2, 3, 4\)\. `--missing drop`"),
        ("t,v\n0,1e999\n1,1\n", r"1 in 'v' \(line 2\)"),
        ('t,v\n0,"20,257.6"\n', "column 'v' .* got '20,257.6' in line 2.*--thousands ','"),
        ('t,v\n0,"20,257"\n', "--thousands ',.*--decimal ,"),
        ("t;v\n0;20 257,6\n", "--thousands space"),
        ("t;v\n0;20\u202f257,6\n", r"got '20\\u202f257,6'.*--thousands space"),
        ("t,v\n0,20'257.6\n", '--thousands "\'"'),
        ("t;v\n0;1.234,5\n1;0,5\n", "got '1.234,5' in line 2.*--thousands '.'"),
        ("t;v;w\n0;0,5;0.5\n", "one decimal mark in .* got '0,5' and '0.5'"),
        ("t,v,v\n0,1,2\n", r"one column 'v' in .* 2 have that name \(columns 2, 3\)"),
        ("t,v\n", "rows below the header"),
        ("# a\n", "comments only"),
        ("\n \n", "blanks only"),
        ("", "is empty"),
        ("".encode("utf-16"), "is empty"),
        ("0,1,a\n1,2,b\n", "names of columns in line 1 .*--x 0"),
        ("t,v\n0,1\n1,2\u200b\n", r"got '2\\u200b' in line 3"),
        ("t,v\n0,1\n1,missing\n2,error\n", "Column 'v' has 'missing' in line 3"),
        ("t,v\n0,10%\n1,20%\n", "Column 'v' has '10%' in line 2"),
        (",".join(f"c{i}" for i in range(100)) + "\n" + "a," * 99 + "a\n", r"'c19'\] and 80 more"),
        ("t,v\n0,1\n1,abc\n", "numbers in column 'v' of .* but got 'abc' in line 3"),
        ("t,v\n0,a\n1,b\n", "a column of numbers beside 't' .* Column 'v' has 'a' in line 2"),
        ("n,t,v\na,0,1\n", "column 'n' of .* got 'a' in line 2.*`--x` picks"),
        ("v\n1\n2\n", "two columns or more .*--delimiter"),
        ("t,v\n0,1_0\n1,2\n", "got '1_0' in line 2"),
        ('[{"t": 0, "v": 1}]\n', "looks like JSON"),
        ("<html><body>Not found</body></html>\n", "looks like a web page"),
        ("t,v\n0,1\n".encode("utf-16")[:-1], "encoding 'utf-16' in .* the bytes 0a in line"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is a PNG picture"),
        (b"PK\x03\x04\x14\0\x06\0", "a spreadsheet"),
        (b"t,v\n0,1\n\0\0\0\0\n1,2\n", "binary or damaged .* line 3"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(tmp_path: Path, content: bytes | str, expected: str):
    with pytest.raises(DataError, match=expected):
        _read(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "options", "x", "y", "said"),
    [
        ("t;v\n0,5;1,25\n1,5;2,5\n", {}, [0.5, 1.5], [1.25, 2.5], "separated by ';'. The decimal mark is ','"),
        ('t,v\n"0,5","1,25"\n', {}, [0.5], [1.25], "The decimal mark is ','"),
        ("t\tv\r\n0.5\t1\r\n", {}, [0.5], [1], "tab"),
        ("t\tv\n0,5\t1,25\n", {}, [0.5], [1.25], "The decimal mark is ','"),
        ("t  v\n 0.5   1\n", {}, [0.5], [1], "space"),
        ("t|v\r0|1\r", {}, [0], [1], "'|'"),
        ("sep=;\nt;v\n0;1\n", {}, [0], [1], "';'"),
        ("time, s;value, V\n0,5;1,5\n", {}, [0.5], [1.5], "';'"),
        ("t,temp °C\n0,1\n".encode("latin-1"), {}, [0], [1], "Windows-1252"),
        ("t,temp °C\n0,1\n".encode("utf-16"), {}, [0], [1], "UTF-16, by its byte order mark"),
        ("t,v\n0,1\n".encode("utf-16-be"), {}, [0], [1], "UTF-16-BE, by its zeros"),
        ("t,temp °C\n0,1\n".encode("utf-8-sig"), {}, [0], [1], ""),
        (b"\xef\xbb\xbf" + "t;v\n0;1\n".encode("utf-8-sig"), {}, [0], [1], "';'"),
        ("sep=;\nt;v\n0;1\n".encode("utf-16"), {}, [0], [1], "';'"),
        ("t,v\r\n0,1\n1,2\r2,3\n\r\x1a", {}, [0, 1, 2], [1, 2, 3], ""),
        ('"t\n(s)",v\n0,1\n1,2\n', {"x": "t (s)"}, [0, 1], [1, 2], ""),
        ("t,日期\n0,1\n".encode("gb18030"), {"encoding": "gb18030"}, [0], [1], ""),
        ("# a\n# b, c\nt,v\n0,1\n#mid\n1,2\n", {}, [0, 1], [1, 2], "Skipped 3 lines of comment: 1, 2, 5."),
        ("% a\nt,v\n0,1\n", {"comment": "%"}, [0], [1], "1 line of comment"),
        ("# t v\n0.0 1.0\n", {}, [0], [1], "the comment above line 2"),
        ("0,1\n1,2\n", {}, [0, 1], [1, 2], "no header: line 1 is read as numbers"),
        ("0,1,a\n1,2,b\n", {"x": "0"}, [1], [2], ""),
        (
            "t,v\n0,\n1,NA\n2,inf\n3,4\nNaN,5\n",
            {"missing": "drop"},
            [3],
            [4],
            "Dropped 4 of 5 rows with missing cells (lines",
        ),
        ("x,y\n1,2\n3\n", {"missing": "drop"}, [1], [2], "Dropped 1 of 2 rows with missing cells (line 3)"),
        ('t,v\n0,"20,257.6"\n1,"1,234,567"\n', {"thousands": ","}, [0, 1], [20257.6, 1234567], ""),
        ("t;v\n0;1.234,5\n", {"thousands": "."}, [0], [1234.5], "The decimal mark is ','"),
        (
            "t;v\n0;20\xa0257,6\n1;1 000\n2;5,25\n",
            {"thousands": "space"},
            [0, 1, 2],
            [20257.6, 1000, 5.25],
            "mark is ','",
        ),
        ("t,v\n0,20'257.6\n", {"thousands": "'"}, [0], [20257.6], ""),
        ('t,v\n0,"20,257"\n', {"decimal": ","}, [0], [20.257], ""),
        ('t,v,note\n0,1.5,"1,2"\n1,2.5,low\n2,3.5,\n3,4.5,high\n', {}, [0, 1, 2, 3], [1.5, 2.5, 3.5, 4.5], "x is 't'"),
        ('t,v,version\n0,1.5,"1,2"\n', {"y": "v"}, [0], [1.5], ""),
        ('t,v,"n;"\n0,1,2\n', {}, [0], [1], "','"),
        ('t;v;"n,"\n0;1;2\n', {}, [0], [1], "';'"),
        ("a/b\n0/1\n", {"delimiter": "/"}, [0], [1], ""),
        ("t v\n0\t1\n".replace(" ", "\t"), {"delimiter": "tab"}, [0], [1], ""),
        ("t,v,\n0,1,\n1,2\n", {}, [0, 1], [1, 2], ""),
        ("t,v\n0,1\n,,\n1,2\n", {}, [0, 1], [1, 2], "Skipped 1 row in which all cells are empty"),
        ('t,v,note\n0,1,"a\nb"\n1,2,c\n', {}, [0, 1], [1, 2], ""),
        ("t,name,v\n0,a,1\n1,b,2\n", {}, [0, 1], [1, 2], "x is 't', y is 'v'"),
        ("t,v,n,n\n0,1,2,3\n", {}, [0], [1], ""),
        ("t,v\n20240131,1\n", {}, [20240131], [1], "plain numbers; if they are dates"),
    ],
)
def test_what_is_recognised_is_read_and_said(
    tmp_path: Path, content: bytes | str, options: dict[str, str], x: list[float], y: list[float], said: str
):
    series = _read(tmp_path, content, **options)
    assert (series.x.tolist(), series.y[:, 0].tolist()) == (x, y)
    assert said in " ".join(series.said)


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": ",,"},
        {"delimiter": '"'},
        {"decimal": ";"},
        {"thousands": "5"},
        {"missing": "fill"},
        {"encoding": "zlib"},
    ],
)
def test_an_option_that_means_nothing_is_refused(tmp_path: Path, options: dict[str, str]):
    with pytest.raises(ValueError, match=r"Expected .* but got"):
        _read(tmp_path, "t,v\n0,1\n", **options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"y": "w"}, "but got 'w'"),
        ({"x": "w"}, "`--x` to be among"),
        ({"y": ("t",)}, "none of them x"),
        ({"y": ("v", "v")}, "different"),
    ],
)
def test_columns_that_are_not_there_are_refused(tmp_path: Path, options: dict[str, str], expected: str):
    with pytest.raises(DataError, match=expected):
        _read(tmp_path, "t,v\n0,1\n", x=options.pop("x", "t"), **options)


@pytest.mark.parametrize(
    ("name", "expected"), [("absent.csv", "does not exist"), ("", "is a folder"), ("no.parquet", "does not exist")]
)
def test_what_is_no_file_is_refused(tmp_path: Path, name: str, expected: str):
    with pytest.raises(DataError, match=expected):
        read_series(tmp_path / name)


def test_several_columns_come_in_the_order_of_their_names(tmp_path: Path):
    series = _read(tmp_path, "t,a,b\n0,1,2\n1,3,4\n", y=("b", "a"))
    assert (series.y.tolist(), series.y_names) == ([[2, 1], [4, 3]], ("b", "a"))


@pytest.mark.parametrize(
    ("first", "second", "seconds"),
    [
        ("2024-01-01", "2024-01-02", 86400),
        ("2024-03-31T01:30:00+01:00", "2024-03-31T03:30:00+02:00", 3600),
        ("2024-01-01 00:00:00", "2024-01-01 00:00:00.25", 0.25),
        ("2024-01-01T00:00:00.000000001Z", "2024-01-01T00:00:00.000000004Z", 3e-9),
        ("1749-01", "1749-02", 31 * 86400),
        ("2024-10-27T02:30+02:00", "2024-10-27T02:30+01:00", 3600),  # The hour that a clock shows twice.
        ("0001-01-01", "9999-12-31", 3652058 * 86400),
        ("2024/01/01 00:00 UTC", "2024/01/01 00:01 UTC", 60),
    ],
)
def test_iso_times_become_seconds_and_keep_their_text(tmp_path: Path, first: str, second: str, seconds: float):
    series = _read(tmp_path, f"t,v\n{first},1\n{second},2\n")
    assert series.x.tolist() == [0, seconds]
    assert (series.is_time, series.x_text, series.x_start) == (True, (first, second), first)


def test_times_are_kept_in_utc(tmp_path: Path):
    series = _read(tmp_path, "t,v\n2024-03-31T01:30:00+01:00,1\n2024-03-31T03:30:00+02:00,2\n")
    assert series.stamps is not None
    assert series.stamps.astype("datetime64[s]").tolist() == [
        pd.Timestamp("2024-03-31T00:30"),
        pd.Timestamp("2024-03-31T01:30"),
    ]


def test_nanoseconds_since_1970_are_told_apart(tmp_path: Path):
    series = _read(tmp_path, "t,v\n1700000000000000001,1\n1700000000000000002,2\n")
    assert (series.x.tolist(), series.x_start) == ([0, 1], "1700000000000000001")


def test_positions_as_large_as_they_can_be_are_read_without_a_warning(tmp_path: Path):
    series = _read(tmp_path, "t,v\n1.7976931348623157e+308,1\n-1.7976931348623157e+308,2\n")
    assert series.x.tolist() == [1.7976931348623157e308, -1.7976931348623157e308]
    assert _read(tmp_path, "t,v\n1.7976931348623157e+308,1\n").x.tolist() == [1.7976931348623157e308]


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"t,v\n0,1\n")))
    assert (series := read_series("-")).source == "standard input"
    assert series.y.tolist() == [[1]]


def test_parquet_is_read_like_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stamps = pd.to_datetime(["2024-01-01T00:00:00Z", "2024-01-01T00:00:01Z", "2024-01-01T00:00:02Z"])
    frame = pd.DataFrame({"t": stamps, "v": [0.1, np.nan, 0.3]})
    monkeypatch.setattr(pd, "read_parquet", lambda path: frame)
    (tmp_path / "a.parquet").touch()
    with pytest.raises(DataError, match=r"1 in 'v' \(row 2\)"):
        read_series(tmp_path / "a.parquet")
    series = read_series(tmp_path / "a.parquet", missing="drop")
    assert (series.x.tolist(), series.y.tolist(), series.lines.tolist()) == ([0, 2], [[0.1], [0.3]], [1, 3])


def test_parquet_without_its_reader_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def absent(path: Path):
        raise ImportError("pyarrow")

    monkeypatch.setattr(pd, "read_parquet", absent)
    (tmp_path / "a.parquet").touch()
    with pytest.raises(DataError, match="pip install pyarrow"):
        read_series(tmp_path / "a.parquet")


def test_epochs_and_long_names_are_read_back_to_the_last_digit(tmp_path: Path):
    series = _read(tmp_path, '"distance, km",dan\n1700000001,0.1\n1700000002,2\n')
    write_series(tmp_path / "out.csv", series, {"dan": np.array([1 / 3, np.nan]), "mlp": np.array([1e-300, 7.0])})
    rows = list(csv.reader(io.StringIO((tmp_path / "out.csv").read_text()), strict=True))
    assert rows[0] == ["distance, km", "dan", "dan 2", "mlp"]
    assert rows[1:] == [["1700000001", "0.1", repr(1 / 3), "1e-300"], ["1700000002", "2.0", "", "7.0"]]
    frame = pd.read_csv(tmp_path / "out.csv")
    assert list(frame.columns) == rows[0]
    assert frame["distance, km"].tolist() == [1700000001, 1700000002]


_NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=8).map(
    lambda name: f"n{name.strip()}"
)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.lists(_NAMES, min_size=2, max_size=2, unique=True),
    _NAMES,
    st.lists(st.tuples(st.integers(), _FLOATS), min_size=1, max_size=9),
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], output: str, rows: list[tuple[int, float]]
):
    folder = tmp_path_factory.mktemp("written")
    stream = io.StringIO()
    csv.writer(stream).writerows([names, *rows])
    series = _read(folder, stream.getvalue(), delimiter=",", missing="drop")
    content = series_csv(series, {output: series.y[:, 0]})
    (folder / "again.csv").write_bytes(content)
    header, *cells = csv.reader(io.StringIO(content.decode()), strict=True)
    again = read_series(folder / "again.csv", y=header[1:])
    assert header == [names[0], *unique_names((names[1], output), names[:1])]
    assert [row[0] for row in cells] == list(series.x_text) == list(again.x_text)
    np.testing.assert_array_equal(again.y, np.repeat(series.y, 2, axis=1))
    np.testing.assert_array_equal(again.x, series.x)


@given(
    st.lists(
        st.tuples(st.integers(-(10**6), 10**6), _FLOATS, st.sampled_from(["", "NA", "inf", "-Infinity", "1", "2"])),
        min_size=1,
    ),
    st.sampled_from([(";", ","), ("\t", ","), (";", "."), (",", "."), ("|", ".")]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_every_row_is_read_or_dropped_and_named(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, float, str]],
    marks: tuple[str, str],
    encoding: str,
    end: str,
):
    delimiter, decimal = marks
    lines = [delimiter.join((str(t), repr(v).replace(".", decimal), w)) for t, v, w in rows]
    content = end.join([delimiter.join(("t", "v", "w")), *lines]).encode(encoding)
    options = {"decimal": decimal, "y": ("v", "w"), "missing": "drop"}
    folder = tmp_path_factory.mktemp("rows")
    kept = [row for row in rows if row[2] in ("1", "2")]
    if not kept:
        with pytest.raises(DataError, match="Expected rows with values"):
            _read(folder, content, **options)
        return
    series = _read(folder, content, **options)
    assert series.x.tolist() == [t for t, _, _ in kept]
    assert series.y.tolist() == [[v, float(w)] for _, v, w in kept]
    assert sorted([*series.lines.tolist(), *series.dropped.tolist()]) == list(range(2, len(rows) + 2))


_REMARKS = st.sampled_from(
    ["", "a", 'say "hi"', "a\nb", "x;y", "1,2", "0.5", "it's", "#no", "é日", "  sp ", "-", "2024-01-01"]
)


@given(
    st.lists(st.tuples(_FLOATS, st.integers(-(10**6), 10**6).map(lambda n: n / 8), _REMARKS, _REMARKS), min_size=1),
    st.sampled_from([(",", "."), (",", ","), (";", "."), (";", ","), ("\t", ","), ("|", ".")]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from(["note", "a;b", "c,d", 'q"q', "n\nm"]),
)
def test_what_csv_writers_write_is_read_whatever_stands_beside_numbers(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[float, float, str, str]],
    marks: tuple[str, str],
    quoting: Literal[0, 1, 2],
    encoding: str,
    name: str,
):
    delimiter, decimal = marks
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, quoting=quoting, lineterminator="\n")
    writer.writerow(["t", "v", name, "remark"])
    writer.writerows(
        [repr(t).replace(".", decimal), repr(v).replace(".", decimal), *remarks] for t, v, *remarks in rows
    )
    folder = tmp_path_factory.mktemp("written")
    try:
        series = _read(folder, stream.getvalue().encode(encoding), y="v")
    except DataError as error:
        # A remark over two lines may look like rows, and 1,125 may be a thousand: neither is guessed.
        assert re.search(r"over lines that look like rows|--thousands ','` or `--decimal ,", str(error))  # noqa: PT017
        return
    assert [float(text.replace(",", ".")) for text in series.x_text] == [t for t, *_ in rows]
    assert series.y[:, 0].tolist() == [v for _, v, *_ in rows]


_PLAIN_CELLS = st.sampled_from(
    [
        "0",
        "1",
        "2.5",
        "-3e5",
        "1,234",
        "0,5",
        "NA",
        "",
        "inf",
        " ",
        "x",
        "2024-01-01",
        "1 000",
        "'",
        "-",
        "1e999",
        "日",
        "\ufeff",
    ]
)
_LINES = st.lists(st.lists(_PLAIN_CELLS, min_size=1, max_size=4), min_size=1, max_size=12)


@given(
    _LINES,
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", "# c", "t,v"]),
    st.sampled_from([None, ",", "space", "'"]),
)
def test_no_line_is_lost_whatever_its_cells_are(
    tmp_path_factory: pytest.TempPathFactory,
    cells: list[list[str]],
    delimiter: str,
    end: str,
    first: str,
    thousands: str | None,
):
    lines = [*([first.replace(",", delimiter)] if first else []), *(delimiter.join(row) for row in cells)]
    content = end.join(lines).encode()
    try:
        series = _read(
            tmp_path_factory.mktemp("lines"), content, delimiter=delimiter, missing="drop", thousands=thousands
        )
    except DataError as error:
        assert str(error).startswith("Expected ")  # noqa: PT017 - either outcome is right
        return
    told = sorted([*series.lines.tolist(), *series.dropped.tolist()])
    filled = [number for number, line in enumerate(lines, start=1) if line.strip(f"{delimiter} \ufeff")]
    rows = [number for number in filled if not lines[number - 1].startswith("#")]
    assert set(told) <= set(range(1, len(lines) + 1))
    assert len(set(told)) == len(told)
    assert set(rows) - set(told) <= {rows[0]}  # The header.
    assert np.isfinite(series.x).all()
    assert np.isfinite(series.y).all()


_CELLS = st.sampled_from(
    [
        "0",
        "1",
        "2,5",
        "0.5",
        "1,234",
        "NA",
        "",
        '"',
        '"a',
        'b"',
        "#",
        "2024-01-01",
        "x",
        " ",
        "\n",
        "\r",
        ",",
        ";",
        "\t",
    ]
)


@given(
    st.one_of(st.binary(max_size=200), st.lists(_CELLS, max_size=60).map(lambda cells: "".join(cells).encode())),
    st.sampled_from(["refuse", "drop"]),
)
def test_any_bytes_give_an_answer_or_a_named_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, missing: str
):
    start = time.perf_counter()
    try:
        series = _read(tmp_path_factory.mktemp("bytes"), content, missing=missing)
    except DataError as error:
        assert str(error).startswith("Expected ")  # noqa: PT017 - either outcome is right
    else:
        assert np.isfinite(series.x).all()
        assert np.isfinite(series.y).all()
        assert len(series.x) == len(series.y) == len(series.x_text) == len(series.lines) > 0
    assert time.perf_counter() - start < 1


def test_ten_thousand_rows_take_well_under_a_second(tmp_path: Path):
    content = "t,v\n" + "".join(f"{1700000000 + i},{i / 7!r}\n" for i in range(10_000))
    start = time.perf_counter()
    assert len(_read(tmp_path, content).x) == 10_000
    assert time.perf_counter() - start < 1


def test_importing_the_library_loads_no_pandas():
    code = "import sys, hyperlearning, hyperlearning.data.tables; print('pandas' in sys.modules)"
    environment = os.environ | {"HYPERLEARNING_UNCHECKED": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "False"


@pytest.mark.skipif("HYPERLEARNING_DATA" not in os.environ, reason="the measured series are not here")
def test_measured_series_are_read_whole():
    paths = sorted((Path(os.environ["HYPERLEARNING_DATA"]) / "series").glob("*.csv"))
    read = [read_series(path) for path in paths]
    assert len(read) == 18
    for path, series in zip(paths, read, strict=True):
        frame = pd.read_csv(path, dtype=str)
        assert series.x_text == tuple(frame["x"])
        np.testing.assert_array_equal(series.y[:, 0], [float(cell) for cell in frame["y"]])
        assert (np.diff(series.x) > 0).all()
