import os
import subprocess
import sys
import time
import unicodedata
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from elman.errors import DataError, ModelFileError, OptionError
from elman.features.text import UNITS, Text

TEXTS = ["A good film. Don't miss it!", "It's <br /><br />bad", "这部电影 iPhone6 真的很好看。", "สวัสดีครับ 👨‍👩‍👧❤️ é"]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", []),
        (" \n\t ", []),
        ("Good film", ["good", "film"]),
        ("Don't, don’t", ["don't", ",", "don't"]),
        ("the MOVIE'S end", ["the", "movie", "'s", "end"]),
        ("O'Neill's 'x' rock'n'roll", ["o'neill", "'s", "'", "x", "'", "rock'n'roll"]),
        ("good<br /><br/>bad <i>x</i>", ["good", "bad", "x"]),
        ("a <3 b<c 3>2", ["a", "<", "3", "b", "<", "c", "3", ">", "2"]),
        ("8/10, 3.5 1995", ["8", "/", "10", ",", "3", ".", "5", "1995"]),
        ("_so_ what", ["_", "so", "_", "what"]),
        ("👨‍👩‍👧👍🏽❤️!", ["👨‍👩‍👧", "👍🏽", "❤️", "!"]),
        ("ＡＢＣ！ ﬁne", ["abc", "!", "fine"]),
        ("cafe\u0301 a\x00b", ["café", "ab"]),
        ("𝔘nicode 𠮷", ["unicode", "𠮷"]),
        ("می‌خواهم", ["می‌خواهم"]),
    ],
)
def test_words(text, steps):
    feature = Text(unit="words").fit([text, text])
    assert feature.words(feature.pieces(text)) == steps


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("这部iPhone6很好，真的！", ["这", "部", "iphone6", "很", "好", ",", "真", "的", "!"]),
        ("日本のカメラ", list("日本のカメラ")),
        ("don't 中 it's", ["don't", "中", "it", "'s"]),
        ("กำ", ["ก\u0e4d", "า"]),  # NFKC takes the vowel am apart
    ],
)
def test_mixed(text, steps):
    feature = Text(unit="mixed").fit([text])
    assert feature.words(feature.pieces(text)) == steps


def test_characters_lose_nothing():
    text = "<b>Two\nlines\r\n  ＡＢ é 👨‍👩‍👧 中\x00</b>"
    feature = Text(unit="characters", lower=False).fit([text])
    assert "".join(feature.words(feature.pieces(text))) == text


def test_subwords_join_to_words():
    feature = Text(unit="subwords", max_words=30).fit(["low lower lowest newer newest wider"] * 5)
    assert feature.symbols <= 31
    assert "".join(feature.words(feature.pieces("lowest newer"))) == "▁lowest▁newer"
    assert feature.pieces("ж")[-1] == 0


@pytest.mark.parametrize(
    ("texts", "unit"),
    [
        (["Good film", "bad"], "words"),
        (["这部电影很好看", "不好"], "mixed"),
        (["สวัสดีครับ"], "mixed"),
        (["ภาษาลาว", "ພາສາລາວ", "ភាសាខ្មែរ", "မြန်မာဘာသာ", "བོད་སྐད་"], "mixed"),
        (["我 爱 北京 天安门"], "words"),  # somebody has cut it already
        (["이 영화는 정말 좋다"], "words"),
        (["", "123 !!"], "words"),
        (["The word 电影 means film"], "words"),
    ],
)
def test_auto_looks_at_the_script(texts, unit):
    assert Text().fit(texts).unit_ == unit


def test_vocabulary_limits():
    texts = ["a a a b b c c d"]
    assert Text(min_count=1).fit(texts).words(range(5)) == ["<unknown>", "a", "b", "c", "d"]
    assert Text(min_count=2).fit(texts).symbols == 4
    assert Text(max_words=1).fit(texts).pieces("a b c") == [1, 0, 0]
    assert Text(min_count=2).fit(texts).describe() == "text as words, 3 of 4 kept"


def test_min_count_follows_the_size_of_the_training_set():
    few = ["once " + "often " * 10]
    assert Text().fit(few).pieces("once") == [2]
    assert Text().fit([*few, "often " * 100_000]).pieces("once") == [0]


def test_markers_of_the_vocabulary_cannot_be_typed():
    feature = Text().fit(["<unknown> [UNK] unknown"])
    assert feature.words(feature.pieces("<unknown>")) == []  # a tag, and dropped as one
    assert 0 not in feature.pieces("[UNK] unknown")


@pytest.mark.parametrize("unit", UNITS)
def test_fit_transform_is_fit_then_transform(unit):
    feature = Text(unit=unit, max_words=20)
    once = feature.fit_transform(TEXTS * 3)
    again = feature.transform(TEXTS * 3)
    assert torch.equal(once.values, again.values)
    assert torch.equal(once.offsets, again.offsets)


@pytest.mark.parametrize("unit", UNITS)
def test_a_text_does_not_depend_on_its_neighbours(unit):
    feature = Text(unit=unit).fit(TEXTS)
    for text, alone in zip(TEXTS, feature.transform(TEXTS), strict=True):
        assert feature.pieces(text) == alone.tolist()


ALPHABET = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from(list("aAsS'’ \n<>/br😀👍🏽\u200d\ufe0f\u0301\u0323中文กำé_1.\u200cİΣ")),
)


@given(st.lists(ALPHABET, max_size=30).map("".join), st.sampled_from([u for u in UNITS if u != "parts"]), st.booleans())
@example("\u00d9\u0323", "subwords", False)
@example("\u00ba\u0300", "words", False)  # in the form that words are read in, an o with an accent
@example("A\x1f\u0300", "words", False)  # the sign between them is left out, and then they are one letter
@settings(deadline=None, max_examples=300)
def test_steps_of_a_prefix_are_a_prefix_of_the_steps(text, unit, lower):
    form = "NFC" if unit == "characters" else "NFKC"  # that the unit is read in
    visible = "".join(sign for sign in text if unicodedata.category(sign) not in ("Cc", "Cf"))
    composed = unicodedata.is_normalized(form, text) and unicodedata.is_normalized(form, visible)
    feature = Text(unit=unit, lower=lower).fit([text + " a b", "and other <b>words</b> 中文"])
    encoding = feature.tokenizer_.encode(text, add_special_tokens=False)
    places = [*encoding.offsets, (len(text), len(text))]
    for i, ((_, end), (begin, _)) in enumerate(pairwise(places)):
        if begin < end:
            continue  # one character became several steps: no place in the text lies between them
        if unicodedata.combining(text[begin : begin + 1] or "a") and not composed:
            continue  # normalising moves a mark to its letter: what is fed ends where a word ends, not between them
        assert feature.pieces(text[:begin]) == encoding.ids[: i + 1]
        if composed:  # else the mark that joined a letter stands behind `end`
            assert feature.pieces(text[:end]) == encoding.ids[: i + 1]


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5), st.sampled_from(UNITS))
@settings(deadline=None, max_examples=100)
def test_any_text_is_taken_or_refused_with_a_data_error(texts, unit):
    try:
        x = Text(unit=unit).fit_transform(texts)
    except DataError:
        assert any("\ud800" <= c <= "\udfff" for text in texts for c in text)
        return
    assert x.sequences == len(texts)
    assert x.steps == 0 or int(x.values.min()) > 0


def test_a_very_long_text():
    x = Text(unit="words").fit_transform(["word " * 200_000, "中" * 1_000_000])
    assert x.lengths.tolist() == [200_000, 1]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["a", None], r"X: sequence 1 is None \(missing\)"),
        (["a", float("nan")], r"X: sequence 1 is nan \(missing\)"),
        (["a", pd.NA], r"X: sequence 1 is <NA> \(missing\)"),
        (pd.Series(["a", None]), r"sequence 1 is nan \(missing\)|sequence 1 is None"),
        (["a", b"b"], r"sequence 1 is a bytes.*decode"),
        (["a", 3], "sequence 1 is a number, 3"),
        (["a", ["b"]], "sequence 1 is a list.*Tokens"),
        (["a", "x\ud800"], "sequence 1, character 1 .*surrogate"),
        ("one text", "Wrap it in a list"),
        ({"a": 1}, "X is a dict"),
        (7, "X is a int"),
        (iter(["a"]), "list_iterator"),
        ([], "holds no texts"),
        (pd.DataFrame({"text": ["a"]}), "frame with the columns 'text'"),
        (pl.DataFrame({"text": ["a"]}), "frame with the columns 'text'"),
        (np.array("a"), "single value"),
        (np.array([["a", "b"]]), "NumPy array"),
    ],
)
def test_refusals_name_the_place(column, message):
    with pytest.raises(DataError, match=message):
        Text().fit(column)


@pytest.mark.parametrize(
    "column",
    [
        ("a b", "b"),
        np.array(["a b", "b"]),
        np.array(["a b", "b"], dtype=object),
        pd.Series(["a b", "b"], index=[7, 3]),
        pd.Series(["a b", "b"], dtype="category"),
        pl.Series(["a b", "b"]),
        pa.array(["a b", "b"]),
        pa.chunked_array([["a b"], ["b"]]),
    ],
)
def test_columns_of_every_kind(column):
    assert [s.tolist() for s in Text().fit_transform(column)] == [[2, 1], [1]]


def test_wrong_options_come_together():
    with pytest.raises(OptionError, match=r"unit = 'letters'.*max_words = 0.*min_count = -1.*lower = 1"):
        Text(unit="letters", max_words=0, min_count=-1, lower=1).fit(["a"])  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="not fitted"):
        Text().transform(["a"])


def test_step_takes_words_or_lists_of_words():
    feature = Text().fit(["a b c"])
    assert feature.step("b c").tolist() == [2, 3]
    assert feature.step(["b", "c"]).tolist() == [2, 3]
    assert feature.step("").tolist() == []
    with pytest.raises(DataError, match="missing"):
        feature.step(None)
    with pytest.raises(DataError, match="7 is no symbol"):
        feature.words([7])


@pytest.mark.parametrize("unit", ["auto", *UNITS])
def test_save_and_restore(unit):
    feature = Text(unit=unit, max_words=50).fit(TEXTS)
    again = Text.restore(feature.config(), feature.tensors(), feature.files())
    assert again == feature
    assert again.describe() == feature.describe()
    assert again.files() == feature.files()
    assert torch.equal(again.transform(TEXTS).values, feature.transform(TEXTS).values)


@pytest.mark.parametrize(
    ("config", "file"),
    [
        ({"symbols": 99}, None),
        ({"symbols": "4"}, None),
        ({"lower": 1}, None),
        ({"max_words": True}, None),
        ({"max_words": 0}, None),
        ({"unit": "letters"}, None),
        ({"chosen_unit": "auto"}, None),
        ({"unit": "characters"}, None),
        ({}, ""),
        ({}, "[]"),
        ({}, "{}"),
        ({}, '{"model": {"vocab": []}}'),
        ({}, '{"model": {"vocab": {"<unknown>": 0, "a": 1, "b": 3}}}'),
        ({}, '{"model": {"vocab": {"<unknown>": 0, "a": 1, "b": "2"}}}'),
        ({}, '{"model": {"vocab": {"a": 0, "<unknown>": 1, "b": 2}}}'),
        ({}, "[" * 100_000),
    ],
)
def test_restore_refuses_what_cannot_be_right(config, file):
    feature = Text().fit(["a b"])
    files = feature.files() if file is None else {"tokenizer.json": file}
    with pytest.raises(ModelFileError):
        Text.restore(feature.config() | config, {}, files)


def test_restore_refuses_missing_parts_and_wrong_merges():
    feature = Text(unit="subwords").fit(["low lower lowest"] * 3)
    with pytest.raises(ModelFileError, match=r"no tokenizer\.json"):
        Text.restore(feature.config(), {}, {})
    with pytest.raises(ModelFileError, match="no 'distinct'"):
        Text.restore({k: v for k, v in feature.config().items() if k != "distinct"}, {}, feature.files())
    broken = feature.files()["tokenizer.json"].replace('"merges":[[', '"merges":[["nothing","here"],[')
    with pytest.raises(ModelFileError, match="merge"):
        Text.restore(feature.config(), {}, {"tokenizer.json": broken})


FORKS = """
import os, sys
from elman.features.text import Text
feature = Text().fit(["a b c"] * 5000)
feature.transform(["a b"] * 5000)
child = os.fork()
if child == 0:
    assert feature.transform(["a b"] * 5000).steps == 10000
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert "TOKENIZERS_PARALLELISM" not in os.environ
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_goes_on_without_a_warning():
    env = {k: v for k, v in os.environ.items() if k != "TOKENIZERS_PARALLELISM"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS], capture_output=True, text=True, env=env, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_subwords_of_one_unbroken_word_are_learnt_in_time():
    word = "".join("abcdefghij"[i * i * 7919 % 10007 % 10] for i in range(200_000))
    begin = time.process_time()  # whatever else the machine does
    feature = Text(unit="subwords").fit([word])
    assert time.process_time() - begin < 20  # half a second; minutes where the time grows with the square
    assert len(feature.pieces(word)) < 200_000
    assert feature.pieces(word)[: len(feature.pieces(word[:1000]))] == feature.pieces(word[:1000])


@pytest.mark.parametrize("unit", ["words", "characters", "subwords"])
def test_huge_limits_take_no_memory(unit):
    feature = Text(unit=unit, max_words=2**63 - 1).fit(["low lower lowest"] * 3)
    assert feature.symbols < 50
    assert Text(unit=unit, min_count=2**63 - 1).fit(["low lower lowest"] * 3).symbols < 20


def test_an_arrow_table_is_no_column():
    with pytest.raises(DataError, match=r"X is a frame with the columns 't'\. Pass one of them"):
        Text().fit(pa.table({"t": ["a", "b"]}))
