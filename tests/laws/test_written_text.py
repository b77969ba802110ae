"""Symbols become a text in one place: what a language model writes is what `Text.join` says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import elman
from elman.features import Text
from elman.tasks.generate.generation import Writer

#: Texts of many scripts, each as its words stand.
SCRIPTS = {
    "Latin": "I like Python very much",
    "punctuation": "It's 5 o'clock, isn't it? (Yes!) a-b",
    "Chinese": "我爱北京天安门。",
    "Chinese and English": "I like Python 编程 very much 2024 年",
    "Thai": "ฉันรักแมว มาก 5 ตัว",
    "Japanese": "私は iPhone 12 がすき、です。",
    "Korean": "나는 고양이를 좋아해, 정말!",
    "Arabic": "أنا أحب القط، كثيرا؟",
    "digits": "3.5 1995 ١٢٣",
    "emoji": "fine 👨\u200d👩\u200d👧 👍🏽 ❤️!",
}
UNITS = ["words", "characters", "mixed", "subwords", "parts"]


@pytest.fixture(scope="module", params=UNITS)
def feature(request: pytest.FixtureRequest) -> Text:
    return Text(unit=request.param, lower=False).fit(list(SCRIPTS.values()))


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_is_written_is_what_join_says(feature: Text, name: str) -> None:
    text = SCRIPTS[name]
    ids = feature.pieces(text)
    joined = feature.join(ids)
    assert "".join(feature.spelled(ids)) == joined
    assert joined == feature.normalized([text])[0]
    assert feature.pieces(joined) == ids
    if feature.unit_ in ("characters", "parts"):
        assert joined == text


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_text_goes_on_as_if_it_had_been_written_in_one_go(feature: Text, name: str) -> None:
    ids = feature.pieces(SCRIPTS[name])
    for cut in range(1, len(ids)):
        before = feature.join(ids[:cut])
        if feature.words(ids[cut - 1 : cut]) == ["▁"]:  # a space that no text ends with
            continue
        assert before + "".join(feature.spelled(ids[cut:], after=before)) == feature.join(ids)


def test_a_space_is_never_doubled() -> None:
    feature = Text(unit="words").fit(["a cat"])
    ids = feature.pieces("cat")
    assert [*feature.spelled(ids, after="a ")] == ["cat"]
    assert [*feature.spelled(ids, after="a\n")] == ["cat"]
    assert [*feature.spelled(ids, after="")] == ["cat"]
    assert [*feature.spelled([0, *ids], after="a")] == ["", " cat"]  # the unknown symbol is nothing


def written(model: Any, prompt: str) -> tuple[str, list[str]]:
    """What a model writes that is sure of what comes: the text, and its symbols one by one."""
    how: dict[str, Any] = {"temperature": 0.0, "length": 40}
    return model.generate(prompt, **how), list(model.generating(prompt, **how))


@pytest.mark.parametrize("unit", ["words", "mixed", "subwords", "characters"])
def test_a_language_model_writes_its_text(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "I like Python 编程 very much, 音乐 too"
    model = elman.Generator(hidden=2, embed=2, epochs=0, verbose=False, seed=0, unit=unit).fit([text] * 3)
    feature: Any = model.feature_
    ids = feature.pieces(text)
    begin = len(feature.pieces("I like"))

    def scores(after: Any, before: list[int]) -> Any:
        made = np.full(feature.symbols + 1, -9.0)
        made[[*ids, -1][len(before) - 1]] = 9.0
        return made

    monkeypatch.setattr(Writer, "_scores", lambda _, *given: scores(*given))
    whole, _ = written(model, "")
    assert whole == feature.join(ids)
    whole, pieces = written(model, "I like")
    assert whole == feature.join(ids)
    assert len(pieces) <= len(ids) - begin
    assert "".join(pieces) == feature.join(ids)[len("I like") :]
