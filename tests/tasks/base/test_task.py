"""What every task shares: the validation part, folders, checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch

from elman.errors import ModelFileError, OptionError
from elman.io import model_folder as store
from elman.tasks import (
    TASKS,
    Classifier,
    Forecaster,
    Generator,
    Multitask,
    Regressor,
    Tagger,
    Transcriber,
    Translator,
    load,
)
from elman.tasks.base.training_run import held_out

SMALL: dict[str, Any] = {"hidden": 6, "embed": 5, "epochs": 3, "verbose": False}


def reviews() -> tuple[list[str], list[Any]]:
    random = np.random.default_rng(0)
    texts = [" ".join(f"w{n}" for n in random.integers(0, 9, random.integers(0, 9))) for _ in range(60)]
    return texts, [int(" w3" in f" {text}") for text in texts]


# ---- the validation part


def test_held_out_is_a_fair_part() -> None:
    codes = np.repeat([0, 1, 2], [700, 250, 50])
    part = held_out(codes, 1000, 0.1, seed=0)
    assert len(part) == len(set(part.tolist())) == 100
    assert np.all(np.abs(np.bincount(codes[part]) - [70, 25, 5]) <= 1)
    assert part.tolist() == sorted(part.tolist())
    assert part.tolist() == held_out(codes, 1000, 0.1, seed=0).tolist()
    assert part.tolist() != held_out(codes, 1000, 0.1, seed=1).tolist()


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_every_class_stays_in_training(share: float) -> None:
    codes = np.array([0] * 57 + [1] * 2 + [2])
    part = held_out(codes, 60, share, seed=3)
    assert set(np.delete(codes, part)) == {0, 1, 2}
    assert 59 not in part  # the only member of its class


@pytest.mark.parametrize(("sequences", "share"), [(49, 0.5), (1000, 0.0), (0, 0.1)])
def test_nothing_held_out(sequences: int, share: float) -> None:
    assert len(held_out(np.arange(sequences) % 2, sequences, share, seed=0)) == 0


def test_a_class_each() -> None:
    assert len(held_out(np.arange(60), 60, 0.1, seed=0)) == 0
    clf = Classifier(**SMALL).fit([f"a{i}" for i in range(60)], list(range(60)))
    assert clf.metrics_ == {}


# ---- folders


@pytest.mark.parametrize(
    ("X", "y", "options"),
    [
        (*reviews(), {}),
        (*reviews(), {"ngrams": 0, "bidirectional": True, "hidden": (4, 3), "pool": "mean+max"}),
        ([["a", "b"], ["c"], []], ["x", "yy", "z"], {"class_weight": {"x": 2.0}}),
        ([[1.0, 2.0], [3.0]], [True, False], {"cell": "gru"}),
        ([np.ones((3, 2)), np.zeros((1, 2))], np.array([3, -4], dtype=np.int16), {"class_weight": {-4: 2, 3: 1.5}}),
        ([np.ones((5, 2)), np.zeros((1, 2))], ["a", "b"], {"channels": (4, np.int64(3)), "stride": 2}),
        (np.eye(4), [1.0, 2.0, 1.0, 2.0], {"layers": np.int64(2), "epochs": np.int64(1), "dropout": np.float32(0.1)}),
    ],
)
def test_save_and_load(X: Any, y: Any, options: dict[str, Any], tmp_path: Path) -> None:
    clf = Classifier(**{**SMALL, **options}).fit(X, y)
    clf.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert type(again) is Classifier
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    assert again.classes_.dtype == clf.classes_.dtype
    assert again.predict(X).tolist() == clf.predict(X).tolist()
    assert again.history_ == clf.history_
    assert again.metrics_ == clf.metrics_
    assert again.class_weight == clf.class_weight
    assert getattr(again, "n_features_in_", None) == getattr(clf, "n_features_in_", None)
    again.save(tmp_path / "model")  # over itself
    np.testing.assert_array_equal(load(tmp_path / "model").predict_proba(X), clf.predict_proba(X))
    again.fit(X, y)  # options came back as well
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


def test_folder(tmp_path: Path) -> None:
    Classifier(**SMALL).fit(*reviews()).save(tmp_path / "model")
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= names
    card = (tmp_path / "model" / "README.md").read_text("utf-8")
    for part in ("accuracy ngrams", "accuracy recurrent", "One label for each sequence", "text as words"):
        assert part in card
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]


def spoilt(folder: Path, change: Any, into: Path | None = None) -> None:
    """The same model with another config, properly signed."""
    config, tensors, files = store.load(folder)
    change(config, tensors, files)
    store.save(into or folder, config, tensors, files)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model to be spoilt elsewhere. Unspoilt, a copy can be read."""
    folder = tmp_path_factory.mktemp("saved")
    Classifier(**SMALL).fit(*reviews()).save(folder / "model")
    spoilt(folder / "model", lambda *_: None, folder / "copy")
    load(folder / "copy")
    return folder / "model"


def huge(config: Any, *_: Any) -> None:
    config["options"]["hidden"] = 10**9


@pytest.mark.parametrize(
    "change",
    [
        lambda c, t, f: c.update(task="transmute"),
        lambda c, t, f: c.pop("options"),
        lambda c, t, f: c["options"].update(colour="red"),
        lambda c, t, f: c["options"].update(cell="lstmm"),
        lambda c, t, f: c["options"].update(hidden=7),
        lambda c, t, f: c["options"].update(layers=2),
        huge,
        lambda c, t, f: c["options"].update(class_weight={"a": 1}),
        lambda c, t, f: c["feature"].update(kind="smell"),
        lambda c, t, f: c["feature"].update(symbols=3),
        lambda c, t, f: c["classes"]["values"].pop(),
        lambda c, t, f: c["classes"].update(values=[1, 1]),
        lambda c, t, f: c["classes"].update(dtype="O"),
        lambda c, t, f: c["classes"].update(dtype="<U2", values=["pos", "neg"]),
        lambda c, t, f: c["classes"].update(dtype="<U2", values=["0", 1]),
        lambda c, t, f: c["classes"].update(dtype="<U1000000000", values=["0", "1"]),
        lambda c, t, f: c["classes"].update(values="ab"),
        lambda c, t, f: c["history"].update(best=99),
        lambda c, t, f: c.update(metrics=None),
        lambda c, t, f: c.update(data=None),
        lambda c, t, f: c["wide"].update(buckets=2**40),
        lambda c, t, f: c["wide"].update(classes=3),
        lambda c, t, f: c["wide"].update(orders=[]),
        lambda c, t, f: c.update(wide=3),
        lambda c, t, f: t.pop("stacking_weights"),
        lambda c, t, f: t.update(stacking_weights=t["stacking_weights"] * float("nan")),
        lambda c, t, f: t.pop("wide.weight"),
        lambda c, t, f: t.update({"wide.weight": t["wide.weight"][:, :4]}),
        lambda c, t, f: t.pop("network.head.bias"),
        lambda c, t, f: t.update({"network.head.bias": t["network.head.bias"].double()}),
        lambda c, t, f: t.update({"network.more": t["network.head.bias"].clone()}),
        lambda c, t, f: f.pop("tokenizer.json"),
    ],
)
def test_impossible_folders(change: Any, saved: Path, tmp_path: Path) -> None:
    """Signed, but not what any classifier wrote: refused without a crash and without taking the memory it asks for."""
    spoilt(saved, change, tmp_path / "model")
    with pytest.raises(ModelFileError):
        load(tmp_path / "model")


def test_an_option_that_was_not_saved_has_its_default(tmp_path: Path) -> None:
    """Models from before there was an option stay readable; one that the weights contradict is refused."""
    X, y = reviews()
    clf = Classifier(class_weight="balanced", **SMALL).fit(X, y)
    clf.save(tmp_path / "model")
    spoilt(tmp_path / "model", lambda c, t, f: c["options"].pop("class_weight"))
    again = load(tmp_path / "model")
    assert again.class_weight is None
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    spoilt(tmp_path / "model", lambda c, t, f: c["options"].pop("hidden"))
    with pytest.raises(ModelFileError):
        load(tmp_path / "model")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="does not exist"):
        load(tmp_path / "nothing")


def test_table_of_tasks() -> None:
    assert {name: task.task for name, task in TASKS.items()} == {name: name for name in TASKS}
    shown = [Classifier, Regressor, Multitask, Forecaster, Tagger, Generator, Transcriber, Translator]
    assert list(TASKS.values())[: len(shown)] == shown


# ---- checkpoints


class DiedError(Exception):
    pass


def test_resume_ends_where_an_unbroken_run_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = reviews()
    whole = Classifier(**SMALL).fit(X, y)
    with monkeypatch.context() as patch:
        calls = []

        def dies(*args: Any) -> dict[str, float]:
            calls.append(1)
            if len(calls) == 3:
                raise DiedError
            return choose(*args)

        choose = Classifier._metrics
        patch.setattr(Classifier, "_metrics", dies)
        with pytest.raises(DiedError):
            Classifier(**SMALL).fit(X, y, out=tmp_path / "model")
    assert (tmp_path / "model" / "checkpoint" / "config.json").exists()
    again = Classifier(**SMALL).fit(X, y, out=tmp_path / "model", resume=True)
    np.testing.assert_array_equal(again.predict_proba(X), whole.predict_proba(X))
    assert len(again.history_) == len(whole.history_)
    again.save(tmp_path / "model")
    assert not (tmp_path / "model" / "checkpoint").exists()
    np.testing.assert_array_equal(load(tmp_path / "model").predict_proba(X), whole.predict_proba(X))


def test_resume_needs_a_folder() -> None:
    with pytest.raises(OptionError, match="out="):
        Classifier(**SMALL).fit(*reviews(), resume=True)


def test_resume_with_other_options_is_refused(tmp_path: Path) -> None:
    X, y = reviews()
    Classifier(**SMALL).fit(X, y, out=tmp_path / "model")
    with pytest.raises(OptionError, match=r"head_dropout was 0\.5, now 0\.1"):
        Classifier(head_dropout=0.1, **SMALL).fit(X, y, out=tmp_path / "model", resume=True)


def test_ctrl_c_keeps_the_best(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    X, y = reviews()
    choose, calls = Classifier._metrics, []

    def interrupted(*args: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return choose(*args)

    monkeypatch.setattr(Classifier, "_metrics", interrupted)
    clf = Classifier(**SMALL).fit(X, y)
    assert clf.history_.interrupted
    assert clf.history_.best == 1
    assert clf.predict(X).shape == (60,)
    assert "Stopped in epoch 2" in capsys.readouterr().err


def test_ctrl_c_keeps_the_checkpoint_when_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = reviews()
    whole, folder = Classifier(**SMALL).fit(X, y), tmp_path / "model"
    with monkeypatch.context() as patch:
        choose, calls = Classifier._metrics, []

        def interrupted(*args: Any) -> dict[str, float]:
            calls.append(1)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return choose(*args)

        patch.setattr(Classifier, "_metrics", interrupted)
        Classifier(**SMALL).fit(X, y, out=folder).save(folder)
    assert load(folder).history_.interrupted
    again = Classifier(**SMALL).fit(X, y, out=folder, resume=True)
    np.testing.assert_array_equal(again.predict_proba(X), whole.predict_proba(X))
    again.save(folder)
    assert not (folder / "checkpoint").exists()


def test_options_of_a_later_thought_are_not_saved(tmp_path: Path) -> None:
    X, y = reviews()
    clf = Classifier(**SMALL).fit(X, y)
    clf.set_params(hidden=9, pool="max", cell="gru", ngrams=0)
    clf.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.hidden == 6
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


def test_options_have_names() -> None:
    with pytest.raises(TypeError):
        Classifier(64)  # type: ignore[misc]


def test_options_are_json() -> None:
    clf = Classifier(hidden=(3, 4), class_weight={1: 2.0, "a": 1.0}, layers=np.int64(2))  # type: ignore[arg-type]
    json.dumps(clf.options())
    assert clf.options()["class_weight"] == {"pairs": [[1, 2.0], ["a", 1.0]]}
    assert set(clf.options()) == set(clf.get_params())


def test_weights_are_plain_safetensors(tmp_path: Path) -> None:
    Classifier(**SMALL).fit(*reviews()).save(tmp_path / "model")
    weights = safetensors.torch.load_file(tmp_path / "model" / "model.safetensors")
    assert {"network.paths.0.encoder.layers.0.0.weight_hh", "stacking_weights", "wide.weight"} <= set(weights)
