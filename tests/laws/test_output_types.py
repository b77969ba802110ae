"""Every type of a column is written to each kind of file, or refused with a sentence before any row is answered."""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import gzip
import io
import lzma
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import elman
from elman.cli import main as cli
from elman.errors import DataError
from elman.io import tables as files
from elman.io.tables import check_columns, read_table, write_table
from elman.tasks import Classifier
from elman.tasks.classify.table import ClassifyTable

DAY, MOMENT = dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, 12)
COLUMNS: dict[str, pl.Series] = {
    "true or false": pl.Series([True, None]),
    "int8": pl.Series([1, None], dtype=pl.Int8),
    "int64": pl.Series([1, None]),
    "int128": pl.Series([1, None], dtype=pl.Int128),
    "uint64": pl.Series([2**64 - 1, None], dtype=pl.UInt64),
    "float32": pl.Series([1.5, None], dtype=pl.Float32),
    "float64": pl.Series([1.5, float("nan")]),
    "decimal": pl.Series([decimal.Decimal("1.5"), None]),
    "text": pl.Series(["a", None]),
    "day": pl.Series([DAY, None]),
    "moment": pl.Series([MOMENT, None]),
    "moment with a zone": pl.Series([MOMENT, None]).dt.replace_time_zone("Europe/Berlin"),
    "time": pl.Series([dt.time(1), None]),
    "duration": pl.Series([dt.timedelta(1), None]),
    "bytes": pl.Series([b"\xff", None]),
    "category": pl.Series(["a", None], dtype=pl.Categorical),
    "enumeration": pl.Series(["a", None], dtype=pl.Enum(["a"])),
    "null": pl.Series([None, None]),
    "list": pl.Series([[1], None]),
    "list of nothing": pl.Series([[None], []]),
    "list of lists": pl.Series([[["a"]], None]),
    "list of bytes": pl.Series([[b"a"], None]),
    "list of durations": pl.Series([[dt.timedelta(1)], None]),
    "array": pl.Series([[1, 2], None], dtype=pl.Array(pl.Int64, 2)),
    "array of nothing": pl.Series([[], []], dtype=pl.Array(pl.Int64, 0)),
    "array of bytes": pl.Series([[b"a"], None], dtype=pl.Array(pl.Binary, 1)),
    "object": pl.Series([{"a": 1}, None]),
    "object with bytes": pl.Series([{"a": {"b": b"1"}}, None]),
    "object with a duration": pl.Series([{"a": dt.timedelta(1)}, None]),
    "object without a key": pl.Series([{}, {}], dtype=pl.Struct([])),
    "list of objects without a key": pl.Series([[{}], None], dtype=pl.List(pl.Struct([]))),
    "object with one without a key": pl.Series([{"a": {}}, None], dtype=pl.Struct({"a": pl.Struct([])})),
    "anything": pl.Series([object(), None], dtype=pl.Object),
}
KINDS = ["csv", "tsv", "jsonl", "parquet"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "m"
    clf = Classifier(hidden=2, epochs=1, embed=2, ngrams=0, verbose=False)
    clf.fit(pl.DataFrame({"text": ["good", "bad"]}), ["+", "-"])
    clf.data_["target"] = "label"
    clf.save(folder)
    return folder


def told(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.main(argv)
    out, err = capsys.readouterr()
    return code, out, err


def refusal(frame: pl.DataFrame, path: str | Path) -> str:
    """What is said of a column that a file cannot hold."""
    try:
        check_columns(frame, path)
    except DataError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_written_or_refused_before(name: str, kind: str, tmp_path: Path) -> None:
    frame, path = pl.DataFrame({"x": COLUMNS[name], "y": ["a", "b"]}), tmp_path / f"t.{kind}"
    if told := refusal(frame, path):
        assert told.startswith(f"t.{kind}: ")
        assert "leave the column out" in told
        with pytest.raises(DataError, match="has no place for the column 'x'"):
            write_table(frame, path)
        assert not path.exists()
    else:
        write_table(frame, path)
        assert read_table(path).frame.height == 2


@pytest.mark.parametrize("name", COLUMNS)
def test_the_advice_is_a_kind_that_holds_the_column(name: str) -> None:
    frame = pl.DataFrame({"x": COLUMNS[name]})
    for kind in KINDS:
        told = refusal(frame, f"t.{kind}")
        for other in KINDS:
            if f"Use .{other}" in told and name != "anything":
                assert not refusal(frame, f"t.{other}")


@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "anything"])
def test_predict_refuses_before_it_answers(
    name: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        pl.DataFrame({"text": ["good", "bad"], "x": COLUMNS[name]}).write_parquet(tmp_path / "t.parquet")
    except pl.exceptions.PolarsError:
        return
    asked: list[int] = []
    answer = ClassifyTable.answer_table
    monkeypatch.setattr(
        ClassifyTable, "answer_table", lambda self, *a: asked.append(a[0].frame.height) or answer(self, *a)
    )
    for more in (["--out", "a.csv"], ["--out", "a.jsonl"], ["--out", "a.parquet"], ["--json"], []):
        asked.clear()
        more = [str(tmp_path / part) if part[0] == "a" else part for part in more]
        code, _, err = told(["predict", str(model), str(tmp_path / "t.parquet"), *more], capsys)
        assert code in (0, 2), err
        assert asked == ([1, 2] if code == 0 else [])
        assert err.count("\n") == (code == 2)


def test_an_answer_that_the_file_cannot_hold_is_refused_at_the_first_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = [["a", "b"], ["b"]]
    made = elman.Tagger(hidden=2, epochs=1, embed=2, verbose=False).fit(
        pl.DataFrame({"t": tokens}), [["x", "y"], ["y"]]
    )
    made.data_["target"] = "label"
    made.save(tmp_path / "m")
    pl.DataFrame({"id": [1, 2], "t": tokens}).write_parquet(tmp_path / "t.parquet")
    code, _, err = told(["predict", str(tmp_path / "m"), str(tmp_path / "t.parquet"), "--out", str(tmp_path / "a.csv")],
                        capsys)  # fmt: skip
    assert (code, "has no place for the column" in err) == (2, True)


class Panic(BaseException):
    """As pyo3's, which is no Exception."""


def test_what_is_no_exception_is_a_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def panics(*_: Any) -> None:
        raise Panic("called `Option::unwrap()` on a `None` value")

    monkeypatch.setattr(cli, "info", panics)
    monkeypatch.setattr(cli, "_application", lambda _: lambda *_, **__: panics())
    code, _, err = told(["info"], capsys)
    assert code == 1
    assert err.count("\n") == 1
    assert "a fault in elman itself (Panic: called" in err


def test_the_interpreter_may_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_application", lambda _: lambda *_, **__: sys.exit(7))
    with pytest.raises(SystemExit):
        cli.main(["info"])


def test_a_panic_of_polars_is_a_data_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def panics(*_: Any, **__: Any) -> None:
        raise pl.exceptions.PanicException("a bug in polars")

    frame = pl.DataFrame({"a": [1]})
    for method, kind in (("write_csv", "csv"), ("write_ndjson", "jsonl"), ("write_parquet", "parquet")):
        monkeypatch.setattr(pl.DataFrame, method, panics)
        with pytest.raises(DataError, match="cannot be written: a bug in polars"):
            write_table(frame, tmp_path / f"t.{kind}")
    (tmp_path / "t.csv").write_text("a\n1\n")
    monkeypatch.setattr(pl, "read_csv", panics)
    with pytest.raises(DataError, match="cannot be read: a bug in polars"):
        read_table(tmp_path / "t.csv")


# ---- what is read


@pytest.mark.parametrize("packing", [".gz", ".xz"])
def test_a_packed_file_that_grows_without_end(packing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PACKED", (1 << 20, 100))
    pack = gzip.compress if packing == ".gz" else lzma.compress
    path = tmp_path / f"t.csv{packing}"
    path.write_bytes(pack(b"a,b\n" + b"1,1\n" * (1 << 22)))
    with pytest.raises(
        DataError, match=r"over 100 times as many\. If that is meant, unpack it first .* without \.[gx]z"
    ):
        read_table(path)
    path.write_bytes(pack(b"a,b\n" + b"1,1\n" * 1000))
    assert read_table(path).frame.height == 1000


@pytest.mark.parametrize("packing", [".gz", ".xz"])
def test_packed_files(packing: str, tmp_path: Path) -> None:
    """Of several streams behind each other, cut short, altered, or none at all."""
    pack: Any = gzip.compress if packing == ".gz" else lzma.compress
    path, whole = tmp_path / f"t.csv{packing}", pack(b"a\n1\n")
    path.write_bytes(whole + pack(b"2\n"))
    assert read_table(path).frame["a"].to_list() == ["1", "2"]
    for wrong in (whole[:-3], whole[:9], b"no such thing", whole[:12] + b"\xff" * 9 + whole[21:]):
        path.write_bytes(wrong)
        with pytest.raises(DataError, match=rf"cut short or is no {packing} file"):
            read_table(path)


def test_xz_with_a_dictionary_of_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.xz"
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    packed = bytearray(lzma.compress(b"a\n1\n", filters=filters))
    assert read_table_of(path, bytes(packed)).height == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_DICTIONARY", 1 << 18)
        with pytest.raises(DataError, match=r"no \.xz file: Memory usage limit"):
            read_table_of(path, bytes(packed))


def read_table_of(path: Path, data: bytes) -> pl.DataFrame:
    path.write_bytes(data)
    return read_table(path).frame


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_one_name_twice(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{kind}"
    path.write_text("a,b,a\n1,2,3\n" if kind == "csv" else '{"a": "1", "b": "2", "a": "3"}\n')
    with pytest.raises(DataError, match=r"line 1 of t\..*'a' stands (there )?twice.*Rename one"):
        read_table(path)
    path.write_text('a,b\n1,"{}"\n' if kind == "csv" else '{"a": [{"b": 1, "b": 2}]}\n')
    if kind == "jsonl":
        with pytest.raises(DataError, match=r"line 1 of t\.jsonl: 'b' stands twice"):
            read_table(path)


def test_many_columns_with_one_name_twice(tmp_path: Path) -> None:
    """Took minutes where each name was counted among all."""
    names = [f"c{i}" for i in range(200_000)]
    with pytest.raises(DataError, match="'c0' stands there twice"):
        read_table_of(tmp_path / "t.csv", ",".join([*names, "c0"]).encode() + b"\n")


@pytest.mark.parametrize(
    "text", ["a,b\n\ufeff1,2\n", "\ufeffa,b\n\ufeff1,2\n", 'a,b\n\ufeff"1",2\n', "a,b\n\ufeff,2\n"]
)
def test_a_byte_order_mark_within_the_table_stays(text: str, tmp_path: Path) -> None:
    first = read_table_of(tmp_path / "t.csv", text.encode())["a"][0]
    assert first[0] == "\ufeff"
    assert read_table_of(tmp_path / "t.tsv", b"a\tb\n\xef\xbb\xbfx\t2\n")["a"][0] == "\ufeffx"


def test_without_a_header_a_mark_at_the_beginning_goes(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("\ufeff1,2\n".encode())
    assert read_table(path, header=False).frame.rows() == [("1", "2")]


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ('{"x": 9007199254740993}\n{"x": 2.5}\n', 1),
        ('{"x": 2.5}\n{"x": -9007199254740993}\n', 2),
        ('{"x": [9007199254740993, 2.5]}\n', 1),
        ('{"x": [1]}\n{"x": [2.5]}\n{"x": [9007199254740993]}\n', 3),
        ('{"x": {"y": 9007199254740993}}\n{"x": {"y": 2.5}}\n', 1),
        ('{"x": [[1' + "0" * 400 + ", 2.5]]}\n", 1),
    ],
)
def test_whole_numbers_that_would_be_rounded(lines: str, place: int, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(lines)
    with pytest.raises(
        DataError, match=f"line {place} of t.jsonl: x holds .*would be rounded|cannot be read|too large"
    ):
        read_table(path)


def test_whole_numbers_that_stay(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"x": 9007199254740992, "y": 9007199254740993}\n{"x": 2.5, "y": 1}\n')
    assert read_table(path).frame.rows() == [(2.0**53, 2**53 + 1), (2.5, 1)]


def test_bytes_of_a_parquet_file_cut_short_or_altered(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pl.DataFrame({"a": ["x"] * 100, "b": range(100)}).write_parquet(buffer)
    whole = buffer.getvalue()
    for place in range(4, len(whole) - 4, max(1, len(whole) // 40)):
        altered = whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :]
        with contextlib.suppress(DataError):
            read_table_of(tmp_path / "t.parquet", altered)


def test_a_parquet_file_of_few_bytes_and_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_CELLS", 1 << 20)
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": pl.repeat(1, 1 << 20, eager=True)}).write_parquet(path)
    with pytest.raises(DataError, match=r"becomes 1,048,576 rows of 1 columns, which take over 100 times as many"):
        read_table(path)
    pl.DataFrame({"a": pl.repeat(1, 1 << 10, eager=True)}).write_parquet(path)
    assert read_table(path).frame.height == 1 << 10
