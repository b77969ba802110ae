"""A model folder is whole or not there, and a folder that is not what it says is refused."""

import hashlib
import json
import math
import os
import shutil
import struct
import threading
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch

from elman.errors import ModelFileError
from elman.io import model_folder as store

CONFIG = {"task": "classify", "hidden": 4, "labels": ["好", "坏"], "rate": 0.1, "none": None}
TENSORS = {"weight": torch.arange(6.0).view(2, 3), "index": torch.tensor([1, 2]), "flag": torch.tensor(True)}
FILES = {"tokenizer.json": '{"a": 1}\n', "README.md": "# model\r\n读我\n", "curve.png": b"\x89PNG\x00\xff"}


@pytest.fixture
def model(tmp_path):
    store.save(tmp_path / "model", CONFIG, TENSORS, FILES)
    return tmp_path / "model"


def version(number):
    """A model whose parts all tell its number, so that a mixture of two would be seen."""
    return {"number": number}, {"number": torch.full((500,), number)}, {"number.txt": str(number)}


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def number_in(folder):
    config, tensors, files = store.load(folder)
    assert {config["number"], *tensors["number"].tolist(), int(files["number.txt"])} == {config["number"]}
    return config["number"]


def alter(folder, change, *, sealed=True):
    """Change config.json as an attacker would, with its own hash made to fit."""
    path = folder / "config.json"
    record = json.loads(path.read_text("utf-8"))
    change(record)
    if sealed:
        record["sha256"] = store._seal(record)
    path.write_text(json.dumps(record), "utf-8")


def put_file(folder, name, content):
    """Replace a file and make config.json agree."""
    (folder / name).write_bytes(content)
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    alter(folder, lambda record: record["files"].update({name: entry}))


def refused(folder, *words, kind="model"):
    with pytest.raises(ModelFileError) as caught:
        store.load(folder, kind=kind)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert message.endswith("."), message


# ---- what is saved comes back


def test_round_trip(model):
    config, tensors, files = store.load(model)
    assert config == CONFIG
    assert files == FILES
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)
    tensors["weight"].add_(1)  # the memory is the reader's own


@pytest.mark.parametrize("dtype", list(store._DTYPES), ids=str)
def test_every_dtype_and_empty_and_strange_tensors(tmp_path, dtype):
    tied = torch.ones(4, 4, dtype=dtype)
    tensors = {"empty": torch.zeros(0, 3, dtype=dtype), "one": tied, "two": tied, "turned": tied.T[::2], "": tied[0, 0]}
    store.save(tmp_path / "m", {}, tensors)
    back = store.load(tmp_path / "m")[1]
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)


def test_nothing_at_all_can_be_saved(tmp_path):
    store.save(str(tmp_path / "deep" / "er" / "m"), {}, {})
    assert store.load(str(tmp_path / "deep" / "er" / "m")) == ({}, {}, {})


def test_the_same_model_gives_the_same_bytes(tmp_path, model):
    store.save(tmp_path / "again", CONFIG, TENSORS, FILES)
    for path in model.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_saving_again_replaces_and_leaves_nothing_beside(tmp_path, model):
    store.save(model, *version(2))
    assert number_in(model) == 2
    assert names_in(tmp_path) == ["model"]
    assert names_in(model) == ["config.json", "model.safetensors", "number.txt"]


def test_a_link_to_a_folder_stays_a_link(tmp_path, model):
    (tmp_path / "latest").symlink_to(model)
    store.save(tmp_path / "latest", *version(2))
    assert (tmp_path / "latest").is_symlink()
    assert number_in(tmp_path / "latest") == number_in(model) == 2


def test_an_empty_folder_may_be_used(tmp_path):
    (tmp_path / "m").mkdir()
    store.save(tmp_path / "m", *version(1))
    assert number_in(tmp_path / "m") == 1


# ---- what cannot be saved


@pytest.mark.parametrize(
    ("config", "tensors", "files", "word"),
    [
        ({"a": float("nan")}, {}, {}, "JSON"),
        ({"a": {1, 2}}, {}, {}, "JSON"),
        ({"a": torch.ones(1)}, {}, {}, "JSON"),
        ({"a": (1, 2)}, {}, {}, "lists, not tuples"),
        ({"a": {1: 2}}, {}, {}, "str keys"),
        ({"a": "\ud800"}, {}, {}, "JSON"),
        ({}, {"z": torch.ones(1, dtype=torch.complex64)}, {}, "complex64"),
        ({}, {"z": torch.ones(2, 2).to_sparse()}, {}, "sparse"),
        ({}, {"z": torch.ones(1, device="meta")}, {}, "meta"),
        ({}, {"__metadata__": torch.ones(1)}, {}, "__metadata__"),
        ({}, {}, {"../evil": ""}, "'../evil'"),
        ({}, {}, {"config.json": ""}, "'config.json'"),
        ({}, {}, {"model.safetensors": b""}, "'model.safetensors'"),
        ({}, {}, {"checkpoint": b""}, "'checkpoint'"),
        ({}, {}, {".hidden": b""}, "'.hidden'"),
        ({}, {}, {"": b""}, "''"),
        ({}, {}, {"a.txt": "", "A.txt": ""}, "only in case"),
    ],
)
def test_refused_content_touches_nothing(tmp_path, model, config, tensors, files, word):
    with pytest.raises(ModelFileError, match=word):
        store.save(model, config, tensors, files)
    assert store.load(model)[0] == CONFIG
    assert names_in(tmp_path) == ["model"]


def test_what_is_not_a_model_is_not_replaced(tmp_path, model, monkeypatch):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("cat")
    (tmp_path / "file").write_text("text")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"format": "something else"}')
    (model / "my notes.txt").write_text("notes")
    for name, word in [
        ("photos", "cat.jpg"),
        ("file", "is a file"),
        ("other", "'something else'"),
        ("model", "did not put there: my notes"),
        ("file/inside", "cannot write"),
    ]:
        with pytest.raises(ModelFileError, match=word):
            store.save(tmp_path / name, *version(2))
    assert (tmp_path / "photos" / "cat.jpg").read_text() == "cat"
    assert (tmp_path / "file").read_text() == "text"
    assert (model / "my notes.txt").read_text() == "notes"
    assert names_in(tmp_path) == ["file", "model", "other", "photos"]
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ModelFileError, match="current folder"):
        store.save(".", *version(2))


# ---- a checkpoint inside


def test_a_checkpoint_lives_in_a_model_folder(tmp_path):
    folder = tmp_path / "m"
    store.save(folder / "checkpoint", {"epoch": 1}, {}, kind="checkpoint")
    refused(folder, "no config.json")
    refused(folder / "checkpoint", "elman checkpoint")
    store.save(folder, *version(1), keep_checkpoint=True)
    assert number_in(folder) == 1
    assert store.load(folder / "checkpoint", kind="checkpoint")[0] == {"epoch": 1}
    store.save(folder / "checkpoint", {"epoch": 2}, {}, kind="checkpoint")
    assert number_in(folder) == 1
    store.save(folder, *version(2))
    assert not (folder / "checkpoint").exists()


def test_a_foreign_folder_named_checkpoint_is_not_dropped(tmp_path, model):
    (model / "checkpoint").mkdir()
    (model / "checkpoint" / "mine").write_text("x")
    with pytest.raises(ModelFileError, match="mine"):
        store.save(model, *version(2))
    assert (model / "checkpoint" / "mine").exists()


# ---- crashes


class Killed(BaseException):
    """Stands for the power cut: nothing after it runs, not even the clean-up."""


def kill_at(monkeypatch, call, *, cleanup):
    """Let the process die at the given call of anything that changes the disk; the number of calls seen is returned."""
    seen = [0]

    def dying(function):
        def wrapper(*arguments, **options):
            if seen[0] >= call and not cleanup:
                raise Killed  # the dead do nothing any more
            seen[0] += 1
            if seen[0] == call + 1:
                raise Killed
            return function(*arguments, **options)

        return wrapper

    monkeypatch.setattr(os, "fsync", dying(os.fsync))
    monkeypatch.setattr(Path, "rename", dying(Path.rename))
    monkeypatch.setattr(Path, "mkdir", dying(Path.mkdir))
    monkeypatch.setattr(Path, "open", dying(Path.open))
    monkeypatch.setattr(store, "_exchange", dying(store._exchange))
    if not cleanup:
        monkeypatch.setattr(shutil, "rmtree", dying(shutil.rmtree))
    return seen


def crashes(monkeypatch, save, check, *, cleanup, can_exchange):
    """Run `save` again and again, each time dying one call later, until it succeeds; `check` after each."""
    for call in range(100):
        with monkeypatch.context() as patch:
            if not can_exchange:
                patch.setattr(store, "_exchange", lambda one, other: False)
            kill_at(patch, call, cleanup=cleanup)
            try:
                save()
                finished = True
            except Killed:
                finished = False
        check(finished)
        if finished:
            return call
    raise AssertionError("never finished")


@pytest.mark.parametrize("can_exchange", [True, False])
@pytest.mark.parametrize("cleanup", [True, False], ids=["raised", "killed"])
def test_a_crash_at_any_step_leaves_the_old_or_the_new(tmp_path, monkeypatch, can_exchange, cleanup):
    folder = tmp_path / "model"
    store.save(folder, *version(1))

    def check(finished):
        assert number_in(folder) == 2 if finished else number_in(folder) in (1, 2)
        if finished or cleanup:
            assert names_in(tmp_path) == ["model"]
        else:
            # The killed process is no more; the next save puts everything right.
            with monkeypatch.context() as patch:
                patch.setattr(store, "_abandoned", lambda path: True)
                store.save(folder, *version(1))
            assert names_in(tmp_path) == ["model"]
            assert number_in(folder) == 1

    steps = crashes(
        monkeypatch, lambda: store.save(folder, *version(2)), check, cleanup=cleanup, can_exchange=can_exchange
    )
    assert steps > 8


@pytest.mark.parametrize("cleanup", [True, False], ids=["raised", "killed"])
def test_a_crash_of_the_first_save_leaves_nothing_or_all(tmp_path, monkeypatch, cleanup):
    folder = tmp_path / "model"

    def check(finished):
        if folder.exists():
            assert number_in(folder) == 1
        else:
            assert not finished
            refused(folder, "does not exist")
        if cleanup and not finished:
            assert names_in(tmp_path) in ([], ["model"])
        shutil.rmtree(folder, ignore_errors=True)

    crashes(monkeypatch, lambda: store.save(folder, *version(1)), check, cleanup=cleanup, can_exchange=True)


def test_left_overs_of_the_living_are_not_touched(tmp_path, model):
    mine = store._beside(model, "new")
    mine.mkdir()  # this process runs, so another thread may be writing here
    dead = mine.with_name(mine.name.replace(f"-{os.getpid()}-", "-999999999-"))
    dead.mkdir()
    elsewhere = mine.with_name(mine.name.replace(store._host(), "00000000"))
    elsewhere.mkdir()
    store.save(model, *version(2))
    assert mine.exists()
    assert elsewhere.exists()
    assert not dead.exists()


def test_a_full_disk_is_a_clear_error(tmp_path, model, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelFileError, match=r"No space left on device.*unchanged"):
        store.save(model, *version(2))
    assert store.load(model)[0] == CONFIG
    assert names_in(tmp_path) == ["model"]


@pytest.mark.parametrize("can_exchange", [True, False])
def test_readers_see_the_old_or_the_new(tmp_path, monkeypatch, can_exchange):
    folder = tmp_path / "model"
    store.save(folder, *version(0))
    if not can_exchange:
        monkeypatch.setattr(store, "_exchange", lambda one, other: False)
    failures, seen, done = [], [], threading.Event()

    def read():
        while not done.is_set():
            try:
                seen.append(number_in(folder))
            except Exception as error:
                failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1, 40):
        store.save(folder, *version(number))
        before = len(seen)
        while len(seen) == before and not failures:  # somebody reads each of them
            time.sleep(0.001)
    done.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert len(set(seen)) > 1
    assert number_in(folder) == 39


def test_two_writers_at_once(tmp_path):
    folder, failures = tmp_path / "model", []

    def write(number):
        try:
            for _ in range(10):
                store.save(folder, *version(number))
        except Exception as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(n,)) for n in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failures
    assert number_in(folder) in (1, 2)
    assert names_in(tmp_path) == ["model"]


# ---- what is refused on loading


def test_names_that_cannot_be(tmp_path):
    refused(tmp_path / "a\0b", "null character")
    for name in ("a\0b", "x" * 300):
        with pytest.raises(ModelFileError, match=r"Choose another name|choose another folder"):
            store.save(tmp_path / name, *version(1))
    assert names_in(tmp_path) == []


def test_missing_things(tmp_path, model):
    refused(tmp_path / "nowhere", "nowhere does not exist")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", "is a file")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no config.json")
    (model / "tokenizer.json").unlink()
    refused(model, "lacks tokenizer.json")


@pytest.mark.parametrize("name", [*FILES, "model.safetensors", "config.json"])
@pytest.mark.parametrize("place", [0, 3, -1])
def test_one_altered_byte_in_any_file(model, name, place):
    content = bytearray((model / name).read_bytes())
    content[place] ^= 1
    (model / name).write_bytes(content)
    refused(model, name)


@pytest.mark.parametrize("name", [*FILES, "model.safetensors", "config.json"])
def test_every_file_cut_short_or_longer(model, name):
    content = (model / name).read_bytes()
    (model / name).write_bytes(content[:-2])
    refused(model, name)
    (model / name).write_bytes(content + b"x")
    refused(model, name)
    (model / name).write_bytes(b"")
    refused(model, name)


def test_an_edited_config_is_noticed(model):
    alter(model, lambda record: record["config"].update(hidden=5), sealed=False)
    refused(model, "config.json", "altered")


def test_white_space_in_the_config_does_not_matter(model):
    path = model / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")), indent=4), "utf-8")
    assert store.load(model)[0] == CONFIG


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"not json", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"[" * 100000, "JSON"),
        (b'{"format": NaN}', "NaN"),
        (b"9" * 10000, "JSON"),
        (b"[]", "list"),
        (b"{}", "None"),
        (b'{"format": ["x"]}', "['x']"),
        (b'{"format": "elman model"}', "version None"),
        (b'{"format": "elman model", "version": true}', "version True"),
        (b'{"format": "elman model", "version": "1"}', "version '1'"),
        (b'{"format": "elman model", "version": 2, "written_by": {"elman": "9.9"}}', "written by elman 9.9"),
        (b'{"format": "elman model", "version": 2, "written_by": 3}', "pip install -U elman"),
    ],
)
def test_a_config_that_is_none(model, content, word):
    (model / "config.json").write_bytes(content)
    refused(model, "config.json", word)


def test_a_huge_config_is_not_read(model):
    with (model / "config.json").open("wb") as file:
        file.truncate(1 << 40)  # a hole: no disk is used
    refused(model, "1099511627776 bytes")


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("files", [], "list"),
        ("files", {}, "does not list model.safetensors"),
        ("files", {"../x": {"bytes": 1, "sha256": "0" * 64}}, "'../x'"),
        ("files", {"/etc/passwd": {"bytes": 1, "sha256": "0" * 64}}, "'/etc/passwd'"),
        ("files", {"a\\b": {"bytes": 1, "sha256": "0" * 64}}, "plain names"),
        ("files", {"c:x": {"bytes": 1, "sha256": "0" * 64}}, "'c:x'"),
        ("files", {"a\0": {"bytes": 1, "sha256": "0" * 64}}, "plain names"),
        ("files", {"..": {"bytes": 1, "sha256": "0" * 64}}, "'..'"),
        ("files", {"x": 3}, "lists x with bytes = None"),
        ("files", {"x": {"bytes": -1, "sha256": "0" * 64}}, "-1"),
        ("files", {"x": {"bytes": 1, "sha256": 7}}, "sha256 = 7"),
        ("files", {"x": {"bytes": 1 << 50, "sha256": "0" * 64}}, "the most"),
        ("tensors", 5, "int"),
        ("tensors", {"weight": {"dtype": ["F32"], "shape": [1]}}, "cannot be"),
        ("tensors", {"weight": {"dtype": "F32", "shape": [-1]}}, "[-1]"),
        ("tensors", {"weight": {"dtype": "F32", "shape": "2"}}, "cannot be"),
        ("tensors", {"weight": None}, "cannot be"),
        ("tensors", {}, "does not list: flag, index, weight"),
        ("config", [], "list"),
        ("config", None, "NoneType"),
    ],
)
def test_a_hostile_table(model, key, value, word):
    alter(model, lambda record: record.update({key: value}))
    refused(model, word)


def test_tensors_that_config_does_not_describe(model):
    def changed(**changes):
        put_file(model, "model.safetensors", safetensors.torch.save({**TENSORS, **changes}))

    changed(extra=torch.ones(1))
    refused(model, "does not list: extra")
    changed(weight=torch.ones(3, 2))
    refused(model, "weight is F32 of shape [3, 2]", "[2, 3]")
    changed(weight=torch.ones(2, 3, dtype=torch.float16))
    refused(model, "F16", "F32")
    put_file(model, "model.safetensors", safetensors.torch.save({"weight": TENSORS["weight"]}))
    refused(model, "lacks tensors", "flag, index")


@pytest.mark.parametrize("length", [1 << 62, 200 << 20, 10000])
def test_a_header_that_claims_to_be_huge(model, length):
    content = (model / "model.safetensors").read_bytes()
    put_file(model, "model.safetensors", struct.pack("<Q", length) + content[8:])
    refused(model, "model.safetensors", str(length))


def test_offsets_that_lie(model):
    content = (model / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    for old, new in [(b"[0,16]", b"[0,99]"), (b"[0,16]", b"[8,16]")]:
        header = content[8 : 8 + length]
        assert old in header
        put_file(model, "model.safetensors", content[:8] + header.replace(old, new) + content[8 + length :])
        refused(model, "model.safetensors")


def test_a_tensor_of_absurd_size_takes_no_memory(model):
    shape = [1 << 20, 1 << 20, 1 << 20]
    header = json.dumps({"weight": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 << 60]}}).encode()
    put_file(model, "model.safetensors", struct.pack("<Q", len(header)) + header)
    alter(model, lambda record: record.update(tensors={"weight": {"dtype": "F32", "shape": shape}}))
    refused(model, "their shapes need 4611686018427387904")


def test_foreign_files_and_links(model, tmp_path):
    (model / ".gitattributes").write_text("hidden files are no one's business")
    (model / "Thumbs.db").write_text("")
    store.load(model)
    (model / "evil.py").write_text("")
    refused(model, "evil.py")
    (model / "evil.py").unlink()
    for name in ("tokenizer.json", "config.json"):
        (model / name).rename(tmp_path / name)
        (model / name).symlink_to(tmp_path / name)
        refused(model, name, "is a link")
        (model / name).unlink()
        (model / name).mkdir()
        refused(model, name, "is a folder")
        (model / name).rmdir()
        os.mkfifo(model / name)
        refused(model, name, "a device or pipe")
        (model / name).unlink()
        (tmp_path / name).rename(model / name)
    store.load(model)


def test_text_that_is_not_text(model):
    put_file(model, "README.md", b"\xff")
    refused(model, "README.md", "UTF-8 at byte 0")


def test_a_model_is_no_checkpoint(model):
    refused(model, "elman model", kind="checkpoint")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(model):
    (model / "tokenizer.json").chmod(0)
    refused(model, "Permission denied")


def test_check_tensors():
    expected = {"a": torch.zeros(2), "b": torch.zeros(3)}
    store.check_tensors("m", {"a": torch.ones(2), "b": torch.ones(3)}, expected)
    for tensors, word in [
        ({"a": torch.ones(2)}, "lacks b"),
        ({**expected, "c": torch.ones(1)}, "holds c"),
        ({**expected, "b": torch.ones(4)}, r"b has shape \[4\], but config.json needs \[3\]"),
        ({**expected, "b": torch.ones(3, dtype=torch.float64)}, "float64.*float32"),
    ]:
        with pytest.raises(ModelFileError, match=word):
            store.check_tensors("m", tensors, expected)


# ---- names, numbers, places


def test_a_file_named_by_half_a_character(model):
    entry = {"bytes": 0, "sha256": "0" * 64}
    alter(model, lambda record: record["files"].update({"\ud800": entry}))
    refused(model, "config.json", "half of a surrogate pair")
    with pytest.raises(ModelFileError, match="cannot hold a file named"):
        store.save(model, {}, {}, {"\ud800": "text"})


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1e9999999999", "NaN", "Infinity"])
def test_a_number_that_json_has_not(model, number):
    path = model / "config.json"
    path.write_text(path.read_text("utf-8").replace('"version": 1', f'"version": {number}'), "utf-8")
    refused(model, "config.json", "does not hold readable JSON")


@pytest.mark.parametrize("inside", ["sub", "sub/deeper", "checkpoint"])
def test_nothing_is_saved_into_a_model(model, inside):
    before = names_in(model)
    with pytest.raises(ModelFileError, match="lies within the model"):
        store.save(model / inside, *version(2))
    assert names_in(model) == before
    store.load(model)
    store.save(model / "checkpoint", *version(2), kind="checkpoint")
    store.load(model)


def test_a_writer_in_another_container_is_left_alone(model, monkeypatch):
    """Whose process ids are others, though the machine has the same name."""
    mine = store._beside(model, "new").name
    monkeypatch.setattr(Path, "readlink", lambda _: "pid:[1]")
    theirs = store._beside(model, "new")
    assert theirs.name.rsplit("-", 2)[0] != mine.rsplit("-", 2)[0]
    theirs = theirs.with_name(theirs.name.replace(f"-{os.getpid()}-", "-99999999-"))
    theirs.mkdir()
    monkeypatch.undo()
    store.save(model, *version(2))
    assert theirs.is_dir()


def test_an_infinite_number_in_any_tensor(model):
    for value in (math.nan, math.inf):
        with pytest.raises(ModelFileError, match=r"model\.safetensors: scale holds numbers that are not finite"):
            store.check_finite("m", {"whole": torch.ones(2, dtype=torch.int64), "scale": torch.tensor([1.0, value])})
