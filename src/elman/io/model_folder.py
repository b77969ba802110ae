"""A model on disk: a folder of JSON, safetensors and text, written atomically, without pickle.

`save` writes a sibling folder with a hidden name and exchanges it with the old one in a single step, so that a crash
leaves the old model or the new one. `load` checks names, sizes, hashes, shapes and dtypes against config.json before
any tensor is made. docs/file-format.md describes the folder.
"""

import ctypes
import hashlib
import itertools
import json
import math
import os
import re
import shutil
import socket
import stat
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from elman.errors import ModelFileError
from elman.io.atomic_write import write_synced

Kind = Literal["model", "checkpoint"]
_Network = TypeVar("_Network", bound=nn.Module)
_Saved = TypeVar("_Saved", Tensor, str)

VERSION = 1  # of the folder's layout; a reader refuses a higher one
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
ADVICE = "Copy the folder again, whole, or save the model again."
CHECKPOINT = "checkpoint"  # the one sub-folder a model folder may hold: an unfinished training run

_CONFIG_LIMIT = 64 << 20  # bytes: a vocabulary lives in its own file, so a config of more than this is not ours
_HEADER_LIMIT = 100 << 20  # bytes: safetensors' own limit
_FILE_LIMIT = 1 << 30  # bytes, for files other than the weights
_TEXT = frozenset({".json", ".md", ".txt"})  # these come back as str, all others as bytes
_DTYPES = {  # safetensors' name, bytes of one value
    torch.float64: ("F64", 8),
    torch.float32: ("F32", 4),
    torch.float16: ("F16", 2),
    torch.bfloat16: ("BF16", 2),
    torch.int64: ("I64", 8),
    torch.int32: ("I32", 4),
    torch.int16: ("I16", 2),
    torch.int8: ("I8", 1),
    torch.uint8: ("U8", 1),
    torch.bool: ("BOOL", 1),
}
_BYTES = dict(_DTYPES.values())
_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})  # what file managers put into every folder
_count = itertools.count()


# ---------------------------------------------------------------------------------------------------------------- save


def save(
    folder: str | os.PathLike[str],
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    files: Mapping[str, str | bytes] | None = None,
    *,
    kind: Kind = "model",
    keep_checkpoint: bool = False,
) -> None:
    """Write a model folder, or replace one, so that a crash at any moment leaves the old model or the new one.

    `config` is anything JSON can hold (no NaN). `tensors` go to model.safetensors, from any device; `files` are further
    files by name, text as UTF-8. A folder `checkpoint` inside the old model is dropped unless `keep_checkpoint`.

    Raises ModelFileError where `folder` exists and is not a model (nothing of it is touched), holds files that the
    model did not put there, or cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     save(f"{place}/model", {"hidden": 2}, {"bias": torch.zeros(2)}, {"notes.txt": "tiny"})
    ...     load(f"{place}/model")
    ({'hidden': 2}, {'bias': tensor([0., 0.])}, {'notes.txt': 'tiny'})
    """
    target = Path(os.path.realpath(named(folder)))  # a link stays a link: the folder behind it is replaced
    _check_outside(target, kind)
    contents = _contents(target, config, tensors, files or {}, kind)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _clean(target)
        check_replaceable(target, kind)
        new = _beside(target, "new")
        new.mkdir()
        try:
            for name, content in contents.items():
                write_synced(new / name, content)
            _sync_folder(new)
            if keep_checkpoint and (target / CHECKPOINT).is_dir():
                shutil.copytree(target / CHECKPOINT, new / CHECKPOINT)
            _put(new, target)
        finally:
            shutil.rmtree(new, ignore_errors=True)  # after an exchange this is the former model
    except ModelFileError:
        raise
    except OSError as error:
        raise ModelFileError(
            f"cannot write the {kind} folder {target}: {error}. What was there before is unchanged; "
            "mend the cause or choose another folder."
        ) from error


def _check_outside(target: Path, kind: Kind) -> None:
    """Refuse a target within a model folder, where any extra file would make the model unusable."""
    for parent in target.parents:
        if is_model(parent) and not (kind == "checkpoint" and target == parent / CHECKPOINT):
            raise ModelFileError(f"{target} lies within the model {parent}. Choose a place outside it.")


def is_model(folder: Path) -> bool:
    """Whether a folder holds a model, or claims to."""
    try:
        with (folder / CONFIG).open("rb") as opened:
            return b'"elman model"' in opened.read(200)
    except OSError:
        return False


def _contents(
    target: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, str | bytes], kind: Kind
) -> dict[str, bytes]:
    """Every file as bytes, config.json last; checks all arguments before anything is written."""
    contents = {WEIGHTS: _pack(target, tensors)}
    for name, content in files.items():
        if not _plain(name) or name in (CONFIG, WEIGHTS, CHECKPOINT):
            raise ModelFileError(
                f"a {kind} cannot hold a file named {name!r}. Use a plain name without folders that does not begin "
                f"with a dot and is not {CONFIG}, {WEIGHTS} or {CHECKPOINT}."
            )
        try:
            contents[name] = content.encode() if isinstance(content, str) else bytes(content)
        except UnicodeEncodeError as error:
            raise ModelFileError(f"{name} cannot be written as UTF-8: {error}. Use whole characters.") from error
    if len({name.casefold() for name in contents}) < len(contents):
        raise ModelFileError(f"file names differ only in case: {', '.join(sorted(contents))}. Rename one.")
    record = {
        "format": f"elman {kind}",
        "version": VERSION,
        "written_by": {"elman": _elman_version(), "torch": torch.__version__},
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in contents.items()
        },
        "tensors": {name: {"shape": list(t.shape), "dtype": _DTYPES[t.dtype][0]} for name, t in tensors.items()},
        "config": dict(config),
    }
    try:
        record["sha256"] = _seal(record)
        text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
        contents[CONFIG] = f"{text}\n".encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(
            f"the {kind}'s config cannot be written as JSON: {error}. "
            "Use str, int, finite float, bool, None, list and dict."
        ) from error
    if json.loads(text)["config"] != record["config"]:
        # Tuples, integer keys and the like would come back as something else.
        raise ModelFileError(
            f"the {kind}'s config changes on its way through JSON. Use lists, not tuples, and dicts with str keys only."
        )
    return contents


def _pack(target: Path, tensors: Mapping[str, Tensor]) -> bytes:
    for name, tensor in tensors.items():
        if tensor.dtype not in _DTYPES or tensor.layout is not torch.strided or tensor.is_meta:
            raise ModelFileError(
                f"tensor {name!r} of dtype {tensor.dtype}, {tensor.layout} on {tensor.device} cannot be stored in "
                f"{target}. Convert it to a dense tensor of one of: {', '.join(map(str, _DTYPES))}."
            )
        if name == "__metadata__":
            raise ModelFileError("a tensor cannot be named '__metadata__': safetensors keeps that name. Rename it.")
    # Copies, since safetensors refuses tensors that share memory, as tied weights do.
    copies = {name: t.detach().to("cpu", copy=True).contiguous() for name, t in tensors.items()}
    return safetensors.torch.save(copies)


def _seal(record: Mapping[str, Any]) -> str:
    """A hash of config.json's content, apart from this hash itself, that white space does not change."""
    content = {key: value for key, value in record.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _elman_version() -> str:
    try:
        return metadata.version("elman")
    except metadata.PackageNotFoundError:  # used from a source tree
        return "unknown"


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _put(new: Path, target: Path) -> None:
    """Let `new` take the place of `target`. Afterwards `new` is the former model, or gone."""
    fresh = not target.exists()
    if fresh:
        try:
            new.rename(target)
        except OSError:
            if not target.exists():
                raise
            fresh = False  # another process was faster
    if not fresh:
        shutil.copymode(target, new)
        if not _exchange(new, target):
            # For a moment neither exists under the name; load then reads the one set aside, and _clean puts it back.
            aside = _beside(target, "old")
            target.rename(aside)
            try:
                new.rename(target)
            except BaseException:
                aside.rename(target)
                raise
            shutil.rmtree(aside, ignore_errors=True)
    _sync_folder(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step where the system can; False, with nothing done, where it cannot."""
    a, b = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform.startswith("linux"):
            return bool(ctypes.CDLL(None).renameat2(-100, a, -100, b, 2) == 0)  # AT_FDCWD, RENAME_EXCHANGE
        if sys.platform == "darwin":
            return bool(ctypes.CDLL(None).renamex_np(a, b, 2) == 0)  # RENAME_SWAP
    except (AttributeError, OSError):  # an old C library
        pass
    return False


# A folder beside the target is named .model-8c736521.elman-new-host-pid-n: whose it is, what it is, who is writing it.


def _stem(target: Path) -> str:
    return f".{target.name[:24]}-{zlib.crc32(os.fsencode(target.name)):08x}.elman-"


def _host() -> str:
    """Where process ids mean the same: a machine, or one of the containers on it, which may share its name."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux
        space = ""
    return f"{zlib.crc32(f'{socket.gethostname()} {space}'.encode()):08x}"


def _beside(target: Path, what: str) -> Path:
    return target.with_name(f"{_stem(target)}{what}-{_host()}-{os.getpid()}-{next(_count)}")


def _left_beside(target: Path, what: str) -> list[Path]:
    stem = f"{_stem(target)}{what}-"
    try:
        with os.scandir(target.parent) as entries:
            return sorted(Path(e.path) for e in entries if e.name.startswith(stem) and e.is_dir(follow_symlinks=False))
    except OSError:
        return []


def _abandoned(path: Path) -> bool:
    """True where the process that wrote this folder no longer runs; a writer elsewhere is left alone for a day."""
    host, process, _ = path.name.rsplit("-", 3)[1:]
    if host != _host() or os.name != "posix":  # on Windows there is no harmless way to ask
        return time.time() - path.stat().st_mtime > 86400
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, ValueError, OverflowError):
        return False
    return False


def _clean(target: Path) -> None:
    """Clean up what a crash of an earlier save left beside the target."""
    for aside in _left_beside(target, "old"):
        if _abandoned(aside):
            if target.exists():
                shutil.rmtree(aside, ignore_errors=True)
            else:
                aside.rename(target)
    for new in _left_beside(target, "new"):
        if _abandoned(new):
            shutil.rmtree(new, ignore_errors=True)


def check_replaceable(target: Path, kind: Kind = "model") -> None:
    """Refuse to replace a folder with files that are not the model's: an overwritten folder is lost."""
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise ModelFileError(f"{target} exists and is a file, not a {kind} folder. Choose another name or remove it.")
    if target == Path(os.path.realpath(os.curdir)):
        raise ModelFileError(
            f"{target} is the current folder, which cannot be replaced. Name a folder inside it, such as ./{kind}."
        )
    names = {entry.name for entry in os.scandir(target)}
    ours = set()
    if CONFIG in names:
        ours = {CONFIG, *_listed(target, _record(target, kind))}
    if kind == "model" and CHECKPOINT in names:
        check_replaceable(target / CHECKPOINT, "checkpoint")
        ours.add(CHECKPOINT)
    # What an interrupted save of a checkpoint left inside is no one's; everything else may be somebody's work.
    if foreign := sorted(n for n in names - ours - _LITTER if ".elman-" not in n):
        what = "holds files that the model did not put there" if ours else f"exists and is not a {kind} folder"
        raise ModelFileError(
            f"{target} {what}: {_few(foreign)}. Saving replaces the whole folder, so nothing was written. "
            "Move them away or choose another folder."
        )


# ---------------------------------------------------------------------------------------------------------------- load


def load(
    folder: str | os.PathLike[str], *, kind: Kind = "model"
) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Any]]:
    """Read a model folder back: the config, the tensors (on the CPU) and the other files by name.

    Files ending in .json, .md and .txt come as str, others as bytes. While another process replaces the folder, either
    the old model or the new one is read, never a mixture.

    Raises ModelFileError, naming the file, where the folder is missing, not a model, written by a newer format, or
    holds a file that is missing, altered, cut short, foreign, a link, or larger than it says.
    """
    path = named(folder)
    for attempt in itertools.count():
        before = _identity(path)
        place = path
        if before is None and (aside := _left_beside(Path(os.path.realpath(path)), "old")):
            place = aside[-1]  # the moment between two renames, or a crash in it
        try:
            return _read(place, kind)
        except ModelFileError:
            if attempt >= 20 or (place == path and _identity(path) == before):
                raise  # nobody replaced the folder meanwhile: the fault is real
            time.sleep(0.01)
    raise AssertionError


def network(make: Callable[[], _Network], tensors: Mapping[str, Tensor], folder: str | os.PathLike[str]) -> _Network:
    """The network of `make` with the saved tensors under "network." as its parameters, in evaluation mode.

    Raises ``ModelFileError`` for tensors that do not fit; sizes are checked before memory is allocated.
    """
    with torch.device("meta"):
        made = make()
    weights = under("network.", tensors)
    check_tensors(folder, weights, made.state_dict())
    made.load_state_dict(weights, assign=True)
    return made.eval()


def check_tensors(
    folder: str | os.PathLike[str], tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    """Refuse tensors whose names, shapes or dtypes differ from those a model needs (such as `model.state_dict()`), and
    NaN and infinities.

    >>> try:
    ...     check_tensors("model", {"bias": torch.zeros(3)}, {"bias": torch.zeros(2)})
    ... except ModelFileError as error:
    ...     print(str(error)[:71])
    model/model.safetensors: bias has shape [3], but config.json needs [2].
    """
    where = Path(folder) / WEIGHTS
    if missing := sorted(expected.keys() - tensors.keys()):
        refuse(where, f"lacks {_few(missing)}, which the model in {CONFIG} needs")
    if extra := sorted(tensors.keys() - expected.keys()):
        refuse(where, f"holds {_few(extra)}, which the model in {CONFIG} does not have")
    for name, want in expected.items():
        got = tensors[name]
        if got.shape != want.shape:
            refuse(where, f"{name} has shape {list(got.shape)}, but {CONFIG} needs {list(want.shape)}")
        if got.dtype != want.dtype:
            refuse(where, f"{name} has dtype {got.dtype}, but {CONFIG} needs {want.dtype}")
        if name.endswith("variance") and bool((got < 0).any()):  # of a normalisation, which takes its root
            refuse(where, f"{name} holds numbers below 0")
    check_finite(folder, tensors)


def check_finite(folder: str | os.PathLike[str], tensors: Mapping[str, Tensor]) -> None:
    """Refuse NaN and infinities in any tensor of a model.

    >>> check_finite("model", {"bias": torch.zeros(2)})
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            refuse(Path(folder) / WEIGHTS, f"{name} holds numbers that are not finite")


def under(prefix: str, tensors: Mapping[str, _Saved]) -> dict[str, _Saved]:
    """The tensors or files whose names begin with a prefix, without it.

    >>> list(under("head.", {"head.bias": torch.zeros(2), "pool.bias": torch.zeros(1)}))
    ['bias']
    """
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _identity(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _read(folder: Path, kind: Kind) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Any]]:
    try:
        if not folder.is_dir():
            what = "is a file, not a folder" if folder.exists() else "does not exist"
            raise ModelFileError(f"{folder} {what}. Give the folder that a {kind} was saved to.")
        record = _record(folder, kind)
        listed = _listed(folder, record)
        if WEIGHTS not in listed:
            refuse(folder / CONFIG, f"does not list {WEIGHTS}")
        _check_names(folder, listed, kind)
        for name, entry in listed.items():
            if (size := _regular(folder / name)) != entry["bytes"]:
                what = f"holds {size} bytes, but {CONFIG} says {entry['bytes']}: it was altered or cut short"
                refuse(folder / name, what)
        _check_header(folder / WEIGHTS, listed[WEIGHTS]["bytes"], _tensor_table(folder, record))
        contents = {name: _hashed(folder / name, entry) for name, entry in listed.items()}
        tensors = safetensors.torch.load(contents.pop(WEIGHTS))
        files = {name: _decoded(folder / name, content) for name, content in contents.items()}
    except ModelFileError:
        raise
    except safetensors.SafetensorError as error:
        refuse(folder / WEIGHTS, f"is not a usable safetensors file ({error})")
    except OSError as error:
        raise ModelFileError(
            f"cannot read the {kind} folder {folder}: {error}. Mend the cause and try again."
        ) from error
    return record["config"], dict(sorted(tensors.items())), files


def _record(folder: Path, kind: Kind) -> dict[str, Any]:
    """The content of config.json, with its format and version checked."""
    path = folder / CONFIG
    if not os.path.lexists(path):
        if kind == "model" and os.path.lexists(folder / CHECKPOINT / CONFIG):
            raise ModelFileError(
                f"{folder} is an unfinished run, not a model yet: it holds {CHECKPOINT}/ and no {CONFIG}. Go on: "
                f"elman fit ... --out {folder} --resume, or fit(..., out={str(folder)!r}, resume=True)."
            )
        raise ModelFileError(
            f"{folder} has no {CONFIG}, so it is not a {kind} folder. Give the folder that a {kind} was saved to."
        )
    size = _regular(path)
    if size > _CONFIG_LIMIT:
        refuse(path, f"holds {size} bytes, more than the {_CONFIG_LIMIT} a config may have")
    record = _parsed(path, path.read_bytes())
    if not isinstance(record, dict) or record.get("format") not in ("elman model", "elman checkpoint"):
        found = record.get("format") if isinstance(record, dict) else type(record).__name__
        raise ModelFileError(
            f"{path} was not written by elman: format is {found!r}, not 'elman {kind}'. Give the folder of a {kind}."
        )
    if record["format"] != f"elman {kind}":
        raise ModelFileError(
            f"{path} describes an {record['format']}, not an elman {kind}. Give the folder of a {kind}."
        )
    version = record.get("version")
    if type(version) is not int or version < 1:
        refuse(path, f"has version {version!r}, not a number from 1 to {VERSION}")
    if version > VERSION:
        writer = record.get("written_by")
        by = f", written by elman {writer['elman']}" if isinstance(writer, dict) and "elman" in writer else ""
        raise ModelFileError(
            f"{path} has format version {version}{by}; this elman {_elman_version()} reads up to {VERSION}. "
            "Upgrade: pip install -U elman."
        )
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        refuse(path, "holds half of a surrogate pair, which no text does")
    if record.get("sha256") != _seal(record):
        refuse(path, "was altered: its own sha256 does not fit its content")
    if not isinstance(record.get("config"), dict):
        refuse(path, f"has a config of type {type(record.get('config')).__name__}, not an object")
    return record


def _listed(folder: Path, record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The files that config.json lists, each with its size and hash; the list itself is checked."""
    path, listed = folder / CONFIG, _entries(folder, record, "files")
    for name, entry in listed.items():
        if not _plain(name) or name in (CONFIG, CHECKPOINT):
            refuse(path, f"lists a file named {name!r}; only plain names inside the folder are allowed")
        size, digest = _fields(entry, "bytes", "sha256")
        if type(size) is not int or size < 0 or not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            refuse(path, f"lists {name} with bytes = {size!r} and sha256 = {digest!r}, which cannot be")
        if name != WEIGHTS and size > _FILE_LIMIT:
            refuse(path, f"lists {name} with {size} bytes; beside the weights {_FILE_LIMIT} are the most")
    return listed


def _tensor_table(folder: Path, record: Mapping[str, Any]) -> dict[str, tuple[str, list[int]]]:
    checked = {}
    for name, entry in _entries(folder, record, "tensors").items():
        dtype, shape = _fields(entry, "dtype", "shape")
        good = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
        if not (good and isinstance(dtype, str) and dtype in _BYTES):
            what = f"lists tensor {name} with dtype = {dtype!r} and shape = {shape!r}, which cannot be"
            refuse(folder / CONFIG, what)
        checked[name] = (dtype, shape)
    return checked


def _entries(folder: Path, record: Mapping[str, Any], key: str) -> dict[str, Any]:
    entries = record.get(key)
    if not isinstance(entries, dict):
        refuse(folder / CONFIG, f"has a list of {key} of type {type(entries).__name__}, not an object")
    return entries


def _fields(entry: Any, *names: str) -> list[Any]:
    return [entry.get(name) if isinstance(entry, dict) else None for name in names]


def _check_names(folder: Path, listed: Mapping[str, Any], kind: Kind) -> None:
    with os.scandir(folder) as entries:
        found = {entry.name for entry in entries}
    if missing := sorted(listed.keys() - found):
        refuse(folder, f"lacks {_few(missing)}, which {CONFIG} lists")
    unlisted = found - listed.keys() - _LITTER - {CONFIG, CHECKPOINT}
    if foreign := sorted(n for n in unlisted if not n.startswith(".")):  # .git and the like are never read
        raise ModelFileError(
            f"{folder} holds {_few(foreign)}, which {CONFIG} does not list. Move away what is no part of the {kind}."
        )


def _check_header(path: Path, size: int, table: Mapping[str, tuple[str, list[int]]]) -> None:
    """Compare safetensors' own table with config.json's and the file's size, before memory is taken for any tensor."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _HEADER_LIMIT):
            refuse(path, f"claims a header of {length} bytes in a file of {size}: it was altered or cut short")
        header = _parsed(path, file.read(length))
    if not isinstance(header, dict):
        refuse(path, f"has a header of type {type(header).__name__}, not an object")
    header.pop("__metadata__", None)
    if extra := sorted(header.keys() - table.keys()):
        refuse(path, f"holds tensors that {CONFIG} does not list: {_few(extra)}")
    if missing := sorted(table.keys() - header.keys()):
        refuse(path, f"lacks tensors that {CONFIG} lists: {_few(missing)}")
    for name, (dtype, shape) in table.items():
        got = _fields(header[name], "dtype", "shape")
        if got != [dtype, shape]:
            refuse(path, f"{name} is {got[0]} of shape {got[1]}, but {CONFIG} says {dtype} of shape {shape}")
    needed = sum(_BYTES[dtype] * math.prod(shape) for dtype, shape in table.values())
    if needed != size - 8 - length:
        refuse(path, f"has {size - 8 - length} bytes of tensors, but their shapes need {needed}: it was altered")


def _hashed(path: Path, entry: Mapping[str, Any]) -> bytes:
    with path.open("rb") as file:
        content = file.read(entry["bytes"] + 1)  # never more than promised, should the file grow meanwhile
    digest = hashlib.sha256(content).hexdigest()
    if digest != entry["sha256"]:
        refuse(path, f"was altered: its SHA-256 is {digest[:12]}…, but {CONFIG} says {entry['sha256'][:12]}…")
    return content


def _decoded(path: Path, content: bytes) -> str | bytes:
    if path.suffix not in _TEXT:
        return content
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        refuse(path, f"is not UTF-8 at byte {error.start}")


def _parsed(path: Path, content: bytes) -> Any:
    try:
        return json.loads(content.decode(), parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        refuse(path, f"does not hold readable JSON ({error})")


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    """A number of a JSON text; 1e999 would be read as infinity, which JSON lacks."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:40]} is too large for a number")
    return number


def _regular(path: Path) -> int:
    """The size of a plain file. Links, folders, pipes, devices are refused: reading could leave the folder, or hang."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder"}
        what = kinds.get(stat.S_IFMT(status.st_mode), "a device or pipe")
        raise ModelFileError(f"{path} is {what}; a model folder holds plain files only. Copy the real file there.")
    return status.st_size


def named(folder: str | os.PathLike[str]) -> Path:
    """A name of a folder as a path. Raises ``ModelFileError`` for what no file system takes for one.

    >>> named("model").name
    'model'
    """
    path = Path(folder)
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise ModelFileError(f"{str(path)!r} holds half a character, which no file name can. Choose another.") from None
    if "\0" in str(path):
        raise ModelFileError(f"{str(path)!r} holds a null character, which no file name can. Choose another name.")
    return path


def _plain(name: str) -> bool:
    try:
        length = len(os.fsencode(name))
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return (
        0 < length <= 255
        and not name.startswith(".")
        and not any(c in '/\\:*?"<>|' or ord(c) < 32 for c in name)  # what some file system takes for more than a name
        and name == name.strip(" .")
    )


def _few(names: list[str], most: int = 5) -> str:
    shown = [n if n.isprintable() and len(n) < 100 else ascii(n[:100]) for n in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")


def refuse(path: Path, what: str) -> NoReturn:
    """Raises ``ModelFileError``: what is wrong with a file of the folder, and the next move."""
    raise ModelFileError(f"{path}: {what}. ", ADVICE)
