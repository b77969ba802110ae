"""The translator: what it takes, what it learns, how it searches, folders, the command line."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from elman.cli.main import main
from elman.errors import DataError, ModelFileError, OptionError
from elman.features import Text, Tokens
from elman.io import model_folder as store
from elman.io.tables import read_table
from elman.ragged import Ragged
from elman.tasks import Translator, load
from elman.tasks.translate.mt_metrics import bleu
from elman.tasks.translate.pairs import pairs_between

SMALL: dict[str, Any] = {"hidden": 8, "embed": 8, "epochs": 1, "verbose": False, "input_dropout": 0.0,
                         "head_dropout": 0.0, "dropout": 0.0}  # fmt: skip
WORDS = {"one": "un", "two": "deux", "cat": "Chat", "dog": "Chien", "sees": "voit"}


def sentences(count: int) -> tuple[list[str], list[str]]:
    draw = random.Random(0)
    made = []
    for _ in range(count):
        one, other = ([draw.choice(["one", "two"]), draw.choice(["cat", "dog"])] for _ in range(2))
        made.append([*one, "sees", *other])
    said = [" ".join(WORDS[word] for word in words) for words in made]
    return [" ".join(words) + "." for words in made], [f"{text}." for text in said]


SOURCES, TARGETS = sentences(120)


def fitted(X: Any = SOURCES, y: Any = TARGETS, **options: Any) -> Translator:
    return Translator(**{**SMALL, **options}).fit(X, y)


@pytest.fixture(scope="module")
def good() -> Translator:
    return fitted(hidden=32, embed=32, epochs=12, learning_rate=0.01)


# ---- what it learns


def test_learns_to_translate(good: Translator) -> None:
    found = good.evaluate(SOURCES, TARGETS)
    assert set(found) == {"bleu", "chrf", "exact", "nats", "perplexity"}
    assert found["exact"] > 0.8
    assert good.score(SOURCES, TARGETS) == found["bleu"] > 90
    assert good.history_.metric == "bleu"
    assert set(good.metrics_) == {*found, "loss"}


def test_looks_where_the_word_stands(good: Translator) -> None:
    seen = good.align("two cat sees one dog.", "deux Chat voit un Chien.")
    assert seen.source == ["two", "cat", "sees", "one", "dog", "."]
    assert seen.target == ["deux", "Chat", "voit", "un", "Chien", "."]
    assert seen.weights.shape == (6, 6)
    np.testing.assert_allclose(seen.weights.sum(1), 1, atol=1e-6)
    assert good.align(SOURCES[0]).target[-1] == "."
    picture = seen.picture("A title")
    assert picture is None or picture[1:4] == b"PNG"
    assert good.align("", "un").weights.shape == (1, 0)
    assert str(good.align("one", "")) == ""


@pytest.mark.parametrize(
    "options",
    [
        {"attention": "dot", "tied": False},
        {"cell": "gru", "layers": 2, "sampling": 0.5},
        {"cell": "min_gru", "hidden": [6, 8], "smoothing": 0.0, "symbol_dropout": 0.2},
        {"bidirectional": False, "checkpointing": True, "lower": True, "unit": "words", "target_unit": "words"},
    ],
)
def test_options(options: dict[str, Any]) -> None:
    model = fitted(SOURCES[:60], TARGETS[:60], **options)
    assert np.isfinite(model.metrics_["nats"])
    assert all(isinstance(answer, str) for answer in model.predict(SOURCES[:2]))


def test_without_a_part_held_out_the_last_weights_stay() -> None:
    model = fitted(SOURCES[:10], TARGETS[:10])
    assert model.metrics_ == {}
    assert model.history_.metric == "loss"


def test_a_seed_makes_it_repeatable() -> None:
    one, other = (fitted(SOURCES[:20], TARGETS[:20], seed=3, input_dropout=0.3) for _ in range(2))
    assert [epoch.loss for epoch in one.history_] == [epoch.loss for epoch in other.history_]


# ---- what a step is


def test_each_side_has_its_symbols() -> None:
    model = fitted(["a cat", "two cats"] * 3, ["一只猫", "两只猫"] * 3)
    assert isinstance(model.feature_, Text)
    assert isinstance(model.target_feature_, Text)
    assert (model.feature_.unit_, model.target_feature_.unit_) == ("parts", "characters")
    assert fitted(["a cat"] * 4, ["cat a"] * 4, target_unit="characters").target_feature_.unit_ == "characters"  # type: ignore[attr-defined]


def test_spelling_to_sound() -> None:
    model = fitted(["cat", "tea"] * 3, [["K", "AE", "T"], ["T", "IY"]] * 3)
    assert isinstance(model.feature_, Text)
    assert model.feature_.unit_ == "characters"
    assert isinstance(model.target_feature_, Tokens)
    assert all(isinstance(answer, list) for answer in model.predict(["cat", ""]))
    assert model.evaluate(["cat"], [["K", "AE", "T"]])["chrf"] >= 0


def test_frames_and_names() -> None:
    frame = pl.DataFrame({"en": SOURCES[:12], "fr": TARGETS[:12]})
    model = Translator(**SMALL).fit(frame, "fr")
    assert model.predict(frame) == model.predict(SOURCES[:12])
    assert model.predict({"en": SOURCES[:2]}) == model.predict(SOURCES[:2])
    assert model.evaluate(frame, "fr") == model.evaluate(SOURCES[:12], TARGETS[:12])
    wide = frame.with_columns(id=pl.lit("x"))
    with pytest.raises(DataError, match="Name the one with the sources"):
        Translator(**SMALL).fit(wide, "fr")
    assert Translator(**SMALL, input="en").fit(wide, "fr").input_ == "en"
    with pytest.raises(OptionError, match="input = 'fr' is the column with the targets"):
        Translator(**SMALL, input="fr").fit(wide, "fr")
    with pytest.raises(DataError, match="y = 'de' is no column of X, which has 'en', 'fr'"):
        Translator(**SMALL).fit(frame, "de")


def test_short_answers_are_chosen_by_what_is_right() -> None:
    """No answer has four words, so runs of four cannot choose the epoch: one that repeats itself would win."""
    numbers, things = {"one": "一", "two": "两", "three": "三"}, {"cat": "猫", "dog": "狗", "bird": "鸟"}
    pairs = {f"{n} {t}": f"{numbers[n]}只{things[t]}" for n in numbers for t in things}
    model = Translator(hidden=32, embed=32, epochs=16, seed=0, verbose=False)
    model.fit([*pairs] * 9, [*pairs.values()] * 9)
    assert model.history_.best_epoch.validation["bleu"] == 100  # type: ignore[union-attr]
    assert model.predict(["two dog"]) == ["两只狗"]
    assert bleu(["只只只只"], ["一只猫"]) < bleu(["一只狗"], ["一只猫"]) < 100


# ---- how it answers


def test_an_answer_does_not_depend_on_the_others(good: Translator) -> None:
    sources = [*SOURCES[:6], "", "cat cat cat", "unheard of"]
    for beam in (1, 4):
        together = good.predict(sources, beam=beam)
        assert together == [good.predict([source], beam=beam)[0] for source in sources]
        assert together[6] == ""


def test_a_step_has_the_bits_of_the_whole(good: Translator) -> None:
    network, boundary = good.network_, good._boundary()
    x, y = good.feature_.transform(SOURCES[:3]), good.target_feature_.transform(TARGETS[:3])
    whole = network(x, pairs_between(x, y, boundary).inputs)
    source, state = network.read(x[1:2])
    place = int(y.offsets[1]) + 1
    for t, symbol in enumerate([boundary, *y[1].tolist()]):
        hidden, state = network.decode(Ragged.of([[symbol]]), state)
        scores = network.scores(network.see(hidden, source)[0].values)
        assert torch.equal(scores[0], whole[place + t])


def test_empty_sources_and_targets() -> None:
    model = fitted([*SOURCES[:8], "", "one"], [*TARGETS[:8], "nothing", ""])
    assert model.data_["pairs with an empty source, left out"] == 1
    assert model.predict(["", "one"])[0] == ""
    assert model.predict([]) == []
    assert model.evaluate(["", "one"], ["", "x"])["exact"] == 0.5


def test_unknown_symbols_are_read_and_never_said(good: Translator) -> None:
    said = good.predict(["zzz qqq", "😀"])
    assert all("<unknown>" not in text for text in said)
    assert np.isfinite(good.evaluate(["one cat."], ["жжж"])["nats"])


def test_it_does_not_stream(good: Translator) -> None:
    with pytest.raises(OptionError, match="a translator cannot stream: it reads the whole source"):
        good.stream()


# ---- what is refused


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"beam": 0}, "beam = 0 must be a whole number of at least 1"),
        ({"length_penalty": -0.5}, "length_penalty = -0.5 must be a number of at least 0"),
        ({"unit": "word"}, "unit = 'word' must be one of .*did you mean 'words'"),
        ({"attention": "add"}, "attention = 'add' must be one of general, dot"),
        ({"smoothing": 1}, "smoothing = 1 must be a number of at least 0 and below 1"),
        ({"cell": "gru_d"}, "cell = 'gru_d' reads no symbols"),
        ({"tbptt": 5}, "tbptt = 5 must be 0"),
        ({"input": 3}, "input = 3 must be the name of a column"),
        ({"tied": 1}, "tied = 1 must be True or False"),
        ({"max_words": 0}, "max_words = 0 must be"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        fitted(**options)


def test_a_beam_that_cannot_be(good: Translator) -> None:
    with pytest.raises(OptionError, match="beam = 0"):
        good.predict(["one"], beam=0)
    with pytest.raises(OptionError, match="length_penalty = -1"):
        good.predict(["one"], length_penalty=-1)
    assert good.predict(["one cat."], length_penalty=1e300)  # nothing overflows


def test_pairs_that_cannot_be(good: Translator) -> None:
    with pytest.raises(DataError, match="X has 1 sources, y has 2 targets"):
        fitted(["a"], ["b", "c"])
    with pytest.raises(DataError, match="y: sequence 1 is None"):
        fitted(["a", "b"], ["b", None])
    with pytest.raises(DataError, match="nothing to learn"):
        fitted(["a", "b"], ["", ""])
    with pytest.raises(DataError, match="nothing to learn"):
        fitted(["", ""], ["a", "b"])
    with pytest.raises(DataError, match=r"holds numbers\. .* Write ids as texts"):
        fitted([[1.5], [2.5]], ["a", "b"])
    with pytest.raises(DataError, match="X is one text"):
        good.predict("one cat")
    with pytest.raises(DataError, match="y is one text"):
        fitted(["a"], "b")
    with pytest.raises(DataError, match="no pairs to score"):
        good.evaluate([], [])


# ---- folders


def test_a_folder_keeps_everything(good: Translator, tmp_path: Path) -> None:
    good.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert isinstance(again, Translator)
    assert again.predict(SOURCES[:20]) == good.predict(SOURCES[:20])
    assert again.evaluate(SOURCES[:9], TARGETS[:9]) == good.evaluate(SOURCES[:9], TARGETS[:9])


@pytest.mark.parametrize(
    "change",
    [
        {"most": [0, 1.0]},
        {"most": [3, -1.0]},
        {"most": None},
        {"source": {"kind": "numbers"}},
        {"target": {"kind": "text"}},
        {"columns": [None]},
        {"columns": [5, None]},
        {"most": [10**18, 1.0]},
        {"most": [3, 1e300]},
    ],
)
def test_a_changed_folder_is_refused(good: Translator, tmp_path: Path, change: dict[str, Any]) -> None:
    good.save(tmp_path / "model")
    config, tensors, files = store.load(tmp_path / "model")
    with pytest.raises(ModelFileError):
        Translator.restore({**config, **change}, tensors, files)


# ---- the command line


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pl.DataFrame({"id": range(60), "en": SOURCES[:60], "fr": TARGETS[:60]})
    frame.write_csv("pairs.tsv", separator="\t")
    small = ["--hidden", "8", "--embed", "8", "--epochs", "1"]
    assert main(["fit", "translate", "pairs.tsv", "--input", "en", "--target", "fr", "--out", "m", *small]) == 0
    assert "57 pairs for training, 3 for validation; " in capsys.readouterr().err
    assert main(["predict", "m", "pairs.tsv", "--beam", "2", "--out", "said.tsv"]) == 0
    said = read_table("said.tsv").frame
    assert said.columns == ["id", "en", "fr", "predicted_fr"]
    assert said["predicted_fr"].to_list() == load("m").predict(SOURCES[:60], beam=2)
    capsys.readouterr()
    assert main(["score", "m", "pairs.tsv", "--baseline", "--beam", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["baselines"][0]["name"] == "word for word (IBM model 1)"
    assert 0 < found["baselines"][0]["bleu"] <= 100
    assert main(["predict", "m", "pairs.tsv", "--beam", "0"]) == 2
    assert "--beam 0 must be a whole number of at least 1" in capsys.readouterr().err
    assert main(["stream", "m"]) == 2
    assert "cannot stream" in capsys.readouterr().err


def test_a_missing_target_is_named_by_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pairs.jsonl").write_text('{"en": "a", "fr": "b"}\n{"en": "c", "fr": null}\n', "utf-8")
    assert main(["fit", "translate", "pairs.jsonl", "--target", "fr", "--out", "m"]) == 2
    assert "line 2" in (error := capsys.readouterr().err)
    assert "Each source needs one target" in error
