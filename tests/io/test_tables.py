import contextlib
import gzip
import lzma

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.errors import DataError, OptionError
from elman.io.tables import read_table, write_table


@pytest.fixture
def put(tmp_path):
    """Writes bytes or text under a name and gives the path."""

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.mark.parametrize(
    ("name", "content", "rows", "lines"),
    [
        ("a.csv", "a,b\n1,x\n2,y\n", [("1", "x"), ("2", "y")], [2, 3]),
        ("a.csv", "a,b\n01,1.50\n", [("01", "1.50")], [2]),
        ("a.CSV", "a,b\n1,x", [("1", "x")], [2]),
        ("a.csv", "a,b\r\n1,x\r\n", [("1", "x")], [2]),
        ("a.csv", "a,b\r1,x\r", [("1", "x")], [2]),
        ("a.csv", "\ufeffa,b\n1,x\n", [("1", "x")], [2]),
        ("a.csv", '\ufeff"a","b"\n1,x\n', [("1", "x")], [2]),
        ("a.csv", "a,b\n\n1,x\n\n\n2,y\n\n", [("1", "x"), ("2", "y")], [3, 6]),
        ("a.csv", 'a,b\n1,"x\ny, ""z"""\n2,y\n', [("1", 'x\ny, "z"'), ("2", "y")], [2, 4]),
        ("a.csv", '"a",b\n1,\n2,""\n', [("1", None), ("2", "")], [2, 3]),
        ("a.csv", 'a,b\n1,5" disk\n2,"x, y"\n', [("1", '5" disk'), ("2", "x, y")], [2, 3]),
        ("a.csv", "a,b\n NA,null\n", [(" NA", "null")], [2]),
        ("a.csv", "a,b\n1,x\x00y\n", [("1", "x\x00y")], [2]),
        ("a.csv", 'a,"b\nc"\n1,2\n', [("1", "2")], [3]),
        ("a.csv", "a\n1\n\n2\n", [("1",), ("2",)], [2, 4]),
        ("a.csv", "a,b\n1," + "x" * 3_000_000 + "\n", [("1", "x" * 3_000_000)], [2]),
        ("a.csv", 'a,b\n1,5" ' + "x" * 300_000 + "\n", [("1", '5" ' + "x" * 300_000)], [2]),
        ("a.tsv", 'a\tb\n1\t"x" y\n2\t"z\n', [("1", '"x" y'), ("2", '"z')], [2, 3]),
        ("a.tsv", 'a\tb\n1\t"x\ty\n"\n', [("1", "x\ty\n")], [2]),
        ("a.tsv", 'a\tb\n1\t"x\n2\ty"\n', [("1", '"x'), ("2", 'y"')], [2, 3]),
        ("a.jsonl", '{"a": 1, "b": "x"}\n\n{"b": null, "a": 2}\n', [(1, "x"), (2, None)], [1, 3]),
        ("a.ndjson", '{"a": [1, 2], "b": "中"}\n', [([1, 2], "中")], [1]),
        ("a.jsonl", '{"a": 1}\n{"a": 2.5}', [(1.0,), (2.5,)], [1, 2]),
        ("a.jsonl", '{"a": [1, 2.5]}\n{"a": [0, null, 3]}', [([1.0, 2.5],), ([0.0, None, 3.0],)], [1, 2]),
        ("a.jsonl", '{"a": [[1, 2], [3, 4.5]]}', [([[1.0, 2.0], [3.0, 4.5]],)], [1]),
    ],
)
def test_tables_and_their_lines(put, name, content, rows, lines):
    table = read_table(put(name, content))
    assert table.frame.rows() == rows
    assert [table.line(i) for i in range(len(rows))] == lines


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_packed_files(put, suffix, pack):
    data = pack(b"a,b\n1,x\n")
    assert read_table(put("t.csv" + suffix, data)).frame.rows() == [("1", "x")]
    for bad in (data[:-5], b"no such thing", data[:20]):
        with pytest.raises(DataError, match=rf"t\.csv\{suffix} is cut short or is no \{suffix} file"):
            read_table(put("t.csv" + suffix, bad))


def test_without_header(put):
    table = read_table(put("a.tsv", "ham\tGo\nspam\tFree\n"), header=False)
    assert table.frame.columns == ["column_1", "column_2"]
    assert table.frame.rows() == [("ham", "Go"), ("spam", "Free")]
    assert table.line(0) == 1
    assert read_table(put("a.csv", ",b\n1,2\n")).frame.columns == ["column_1", "b"]
    assert read_table(put("b.csv", 'x,5" y\n'), header=False).frame.columns == ["column_1", "column_2"]


def test_columns_are_chosen_in_order(put):
    table = read_table(put("a.csv", "a,b,c\n1,2,3\n"), columns=["c", "a", "c"])
    assert table.frame.columns == ["c", "a"]
    rows = '{"a": 1, "b": 1}\n{"a": 2, "c": 5}\n'
    assert read_table(put("a.jsonl", rows), columns=["a"]).frame.rows() == [(1,), (2,)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", r"a\.csv is empty"),
        ("a.csv", "\n\n", r"a\.csv is empty"),
        ("a.csv", "\ufeff", r"a\.csv is empty"),
        ("a.csv", "a,b\n", "has a header and no rows"),
        ("a.csv", "a,b", "has a header and no rows"),
        ("a.csv", "a,b\n1,2\n3\n", r"line 3 of a\.csv: 1 cell, but the header has 2"),
        ("a.csv", 'a,b\n1,"x\ny"\n1,2,3\n', r"line 4 of a\.csv: 3 cells, but the header has 2"),
        ("a.csv", 'a,b\n1,5" x\n1,2,3\n', r"line 3 of a\.csv: 3 cells, but the header has 2"),
        ("a.tsv", "a\tb\n1\n", r"line 2 of a\.tsv: 1 cell, but the header has 2"),
        ("a.csv", b"a,b\n1,x\n2,caf\xe9\n", r"line 3 of a\.csv: byte 6 of the line, 0xe9, is not UTF-8"),
        ("a.csv", "a,b\n1,2\n".encode("utf-16"), "is UTF-16"),
        ("a.csv", 'a,b\n1,x\n2,"y\n3,z\n', r"line 3 of a\.csv: a quotation mark is opened and never closed"),
        ("a.csv", 'a,b\n1,x\n2,"y"z\n', r"line 3 of a\.csv: quotation marks"),
        ("a.csv", "a;b\n1,5;2\n", r"line 1 of a\.csv: the header 'a;b' is one cell. Write commas"),
        ("a.csv", "a,b,a\n1,2,3\n", r"line 1 of a\.csv: the column 'a' stands there twice"),
        ("a.csv", "column_2,\n1,2\n", "the column 'column_2' stands there twice"),
        ("a.jsonl", '{"a": 1}\n{"a": \n', r"line 2 of a\.jsonl: Expecting value at character 7"),
        ("a.jsonl", '{"a": 1}\n[1]\n', "line 2 of .*expected an object"),
        ("a.jsonl", '{"a": 1}\n{}\n', "line 2 of .*object is empty"),
        ("a.jsonl", '{"a": 1}\n\n{"b": 1}\n', "line 3 of .*has no 'a', but line 1 has"),
        ("a.jsonl", '{"a": 1}\n{"a": 1, "b": 1}\n', "line 2 of .*has 'b', but line 1 has not"),
        ("a.jsonl", '{"a": null}\n{"a": "x"}\n{"a": 1}\n', "line 3 of .*a is a number, but on line 2 it is text"),
        ("a.jsonl", '{"a": NaN}\n', "line 1 of .*NaN is not JSON"),
        ("a.jsonl", '{"a": "\\ud83d"}\n', "line 1 of .*surrogate"),
        ("a.jsonl", '{"a": ' + "[" * 100_000 + "\n", "line 1 of "),
        ("a.jsonl", '{"a": ' + "9" * 10_000 + "}\n", "line 1 of "),
        ("a.jsonl", '{"a": 1}\n{"a": 99999999999999999999999999999999999999999999}\n', r"a\.jsonl"),
        ("a.jsonl", '{"a": []}\n{"a": [1]}\n{"a": []}\n{"a": ["x"]}\n', "line 4 of .*list of text, but on line 2"),
        ("a.jsonl", '{"a": [1, "x"]}\n', "line 1 of .*different kinds"),
        ("a.jsonl", '{"a": [[1], ["x"]]}\n', "line 1 of .*different kinds"),
        ("a.parquet", "a,b\n1,2\n", "is cut short or is no Parquet file"),
        ("a.parquet", b"PAR1" + b"x" * 50 + b"PAR1", "is damaged"),
        ("a.text", "a", r"the suffix \.text is no table"),
        ("a", "a", r"the suffix \(none\) is no table"),
        ("a.json", "[]", r"the suffix \.json is no table"),
        ("a.gz", "a", r"the suffix \.gz is no table"),
        ("a.parquet.gz", "a", r"the suffix \.parquet\.gz is no table"),
    ],
)
def test_faults_name_the_place_in_one_line(put, name, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read_table(put(name, content))
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders(put, tmp_path):
    put("train.csv", "a\n1\n")
    with pytest.raises(DataError, match=r"no such file: .*trian\.csv\. Did you mean 'train\.csv'\?"):
        read_table(tmp_path / "trian.csv")
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "no" / "train.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path / "folder.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read_table("a\x00b.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_missing_column_is_named_with_its_nearest(put, name):
    path = put(name, "Review,label\nx,1\n" if name == "a.csv" else '{"Review": "x", "label": 1}\n')
    with pytest.raises(DataError, match=r"no column 'reveiw'\. Did you mean 'Review'\? Its columns: Review, label\.$"):
        read_table(path, columns=["reveiw"])
    with pytest.raises(DataError, match=r"no column 'zzz'\. Its columns: Review, label\."):
        read_table(path, columns=["zzz"])


FRAME = pl.DataFrame({"text": ["x, y", 'q"', "two\nlines", "", "tab\t", "中文"], "n": [1, 2, 3, 4, 5, None]})


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t.parquet", "t.csv.gz", "t.tsv.xz", "t.ndjson.xz"])
def test_what_is_written_is_read_back(tmp_path, name):
    write_table(FRAME, tmp_path / name)
    frame = read_table(tmp_path / name).frame
    assert frame.columns == FRAME.columns
    assert frame["text"].to_list() == FRAME["text"].to_list()
    assert frame["n"].cast(pl.Int64).to_list() == FRAME["n"].to_list()
    assert [p.name for p in tmp_path.iterdir()] == [name]


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=6)


@given(
    st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5), st.sampled_from(["csv", "tsv", "jsonl"]), st.booleans()
)
@settings(deadline=None, max_examples=150)
def test_any_table_comes_back(tmp_path_factory, rows, kind, narrow):
    frame = pl.DataFrame(rows, schema=["a", "b"], orient="row")
    frame = frame.select("a") if narrow else frame
    path = tmp_path_factory.mktemp("any") / f"t.{kind}"
    write_table(frame, path)
    assert read_table(path).frame.equals(frame)


@given(
    st.lists(st.sampled_from([*'ab,\t\n\r"', '""', '","', "\n\n", "é"]), max_size=30).map("".join),
    st.sampled_from(["csv", "tsv", "jsonl"]),
    st.booleans(),
)
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_a_table_or_a_data_error(tmp_path_factory, content, kind, header):
    path = tmp_path_factory.mktemp("any") / f"t.{kind}"
    path.write_text(content, encoding="utf-8", newline="")
    try:
        table = read_table(path, header=header)
    except DataError as error:
        table, message = None, str(error)
    if table is None:
        assert "\n" not in message
        return
    assert table.lines is not None
    assert len(table.lines) == table.frame.height > 0
    assert (table.lines[1:] > table.lines[:-1]).all()


def test_damaged_parquet_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    write_table(FRAME, path)
    data = path.read_bytes()
    for at in range(4, len(data) - 4, 37):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        with contextlib.suppress(DataError):  # some bytes may change unseen; nothing else may be raised
            read_table(path)


def test_places_of_rows(put, tmp_path):
    write_table(FRAME, tmp_path / "t.parquet")
    assert str(read_table(tmp_path / "t.parquet").place(1)) == "row 2 of t.parquet"
    assert read_table(tmp_path / "t.parquet").line(1) is None
    assert str(read_table(put("t.csv", 'a\n"1\n2"\n3\n')).place(1)) == "line 4 of t.csv"


def test_standard_output(capsys):
    write_table(FRAME.select("n").head(2))
    assert capsys.readouterr().out == "n\n1\n2\n"
    write_table(FRAME.head(1), kind="jsonl")
    assert capsys.readouterr().out == '{"text":"x, y","n":1}\n'
    with pytest.raises(DataError, match="standard output"):
        write_table(FRAME, kind="parquet")


def test_writing_refuses_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("old")
    with pytest.raises(DataError, match=r"CSV has no place for the column 'a' of List.*\.jsonl"):
        write_table(pl.DataFrame({"a": [[1]]}), path)
    assert path.read_text() == "old"
    with pytest.raises(DataError, match="cannot be written: No such file"):
        write_table(FRAME, tmp_path / "no" / "t.csv")
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        write_table(FRAME, tmp_path / "d.csv")
    with pytest.raises(DataError, match="suffix"):
        write_table(FRAME, tmp_path / "t.xls")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.csv", "t.csv"]


@pytest.mark.parametrize("depth", [65, 400, 900, 3000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"b":', "}")])
def test_json_nested_too_deep_is_refused(put, depth, opening, closing):
    inner = "1" if "{" in opening else ""
    path = put("t.jsonl", '{"a": [1]}\n{"a": ' + opening * depth + inner + closing * depth + "}\n")
    with pytest.raises(DataError, match=r"line 2 of t\.jsonl: lists and objects stand more than 64 deep"):
        read_table(path)


def test_json_nested_as_deep_as_allowed(put):
    path = put("t.jsonl", '{"a": ' + "[" * 63 + "1" + "]" * 63 + "}\n")
    assert read_table(path).frame.height == 1
    path = put("t.jsonl", '{"a": "' + "[" * 1000 + '"}\n')  # brackets in a text are no lists
    assert read_table(path).frame["a"].to_list() == ["[" * 1000]


@pytest.mark.parametrize("columns", ["ab", 3, [1], ["a", None]])
def test_columns_are_a_list_of_names(put, columns):
    path = put("t.csv", "a,b\n1,2\n")
    with pytest.raises(OptionError, match=r"columns = .* must be a list of names"):
        read_table(path, columns=columns)
    assert read_table(path, columns=("b",)).frame.columns == ["b"]


@pytest.mark.parametrize("path", [3, None, b"t.csv"])
def test_a_path_is_a_name(path):
    with pytest.raises(OptionError, match=r"path = .* must be the name of a file"):
        read_table(path)


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(DataError, match=r"cannot be read: it is a folder\. Name a file in it"):
        read_table(tmp_path)
    with pytest.raises(DataError, match=r"cannot be written: it is a folder\. Name a file in it"):
        write_table(FRAME, tmp_path)


@pytest.mark.parametrize("frame", [3, {"a": [1]}, FRAME.lazy()])
def test_only_a_frame_is_written(tmp_path, frame):
    with pytest.raises(OptionError, match=r"frame is a .*writes a polars DataFrame"):
        write_table(frame, tmp_path / "t.csv")


def test_a_carriage_return_in_the_first_line(put):
    with pytest.raises(DataError, match=r"line 1 of t\.csv: new-line character.* stands in quotation marks"):
        read_table(put("t.csv", '\ra\n""'), header=False)
