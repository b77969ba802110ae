"""The sides of pairs, the word table, and how answers are compared."""

from __future__ import annotations

import pytest
import torch

from elman.errors import DataError
from elman.features import Text
from elman.ragged import Ragged
from elman.tasks.translate.ibm_model1 import IBMModel1
from elman.tasks.translate.mt_metrics import bleu, chrf, compared
from elman.tasks.translate.pairs import chosen_unit, pairs_between, pairs_of


@pytest.mark.parametrize(
    "text",
    [
        "Two young, White males are outside.",
        "It's 5 o'clock (isn't it?) — 'yes', \"no\"!",
        "Zwei Männer; §3 3.5 % 10:30 a-b c/d",
        "他说：“你好！” ok 👍🏽 𠮷",
        "",
    ],
)
@pytest.mark.parametrize("unit", ["parts", "characters"])
def test_parts_and_characters_bring_back_the_text(unit: str, text: str) -> None:
    feature = Text(unit=unit, lower=False, min_count=1).fit([text or "a"] * 3)
    assert feature.join(feature.transform([text])[0]) == text


def test_parts_take_white_space_for_one_space() -> None:
    feature = Text(unit="parts", lower=False).fit(["a b c ▁"] * 2)
    assert feature.join(feature.pieces("  a \t\n b\u00a0c ▁ ")) == "a b c"
    assert feature.join(feature.pieces("a zz b")) == "a b", "what is unknown is left out"
    lowered = Text(unit="parts").fit(["A B"] * 2)
    assert lowered.join(lowered.pieces("B A")) == "b a"


def test_other_units_join_as_well_as_they_can() -> None:
    assert Text(unit="words").fit(["a b !"]).join([1, 0, 2]) in ("a !", "! a", "a b", "b a", "! b", "b !")
    mixed = Text(unit="mixed").fit(["我有iPhone"])
    assert mixed.join(mixed.pieces("我有iPhone")) == "我有 iphone"
    subwords = Text(unit="subwords").fit(["low lower"] * 3)
    assert subwords.join(subwords.pieces("low lower")) == "low lower"


def test_parts_are_saved() -> None:
    feature = Text(unit="parts", lower=False).fit(["Ein Haus, ein Hund."] * 3)
    again = Text.restore(feature.config(), {}, feature.files())
    assert torch.equal(again.transform(["Ein Hund!"]).values, feature.transform(["Ein Hund!"]).values)
    assert again.describe() == feature.describe()


def test_the_unit_of_a_side() -> None:
    assert chosen_unit(["hello", "world"]) == "characters"
    assert chosen_unit(["", "  "]) == "parts"
    assert chosen_unit(["What is it?", "Yes."]) == "parts"
    assert chosen_unit(["这是什么？", "是的。"]) == "characters"


def test_boundaries() -> None:
    pairs = pairs_between(Ragged.of([[1], [2], [3]]), Ragged.of([[], [4, 5], []]), 9)
    assert [t.tolist() for t in pairs.inputs] == [[9], [9, 4, 5], [9]]
    assert [t.tolist() for t in pairs.targets] == [[9], [4, 5, 9], [9]]


def test_pairs_that_do_not_fit() -> None:
    with pytest.raises(DataError, match="X has 2 sources, y has 1 targets"):
        pairs_of(["a", "b"], ["c"])
    with pytest.raises(DataError, match="X: sequence 0 is None"):
        pairs_of([None], ["c"])


def test_the_word_table() -> None:
    table = IBMModel1().fit(["one cat", "two cat", "one dog"] * 2, ["un chat", "deux chat", "un chien"] * 2)
    assert table.predict(["two dog", "", "zebra cat!"]) == ["deux chien", "", "zebra chat!"]
    assert table.seconds > 0
    signs = IBMModel1().fit(["a cat", "a dog"], ["只猫", "只狗"])
    assert signs.predict(["a dog", "a bird"]) == ["只狗", "只"]
    tokens = IBMModel1().fit(["ab"], [["A", "B"]])
    assert len(tokens.predict(["ab"])[0]) == 2
    assert IBMModel1().fit(["a"], [""]).predict(["a"]) == [""] or IBMModel1().fit(["a"], [""]).predict(["a"]) == ["a"]


def test_comparing() -> None:
    assert bleu([], []) == chrf([], []) == 0
    assert bleu(["A cat sat on it"], ["a cat sat on it"], lower=True) == 100
    assert bleu(["我有一只猫。"], ["我有一只猫。"]) == 100
    assert bleu([["a", "b c", "d", "e"]], [["a", "b c", "d", "e"]]) == 100
    assert compared([["a"], ["b"]], [["a"], ["c"]])["exact"] == 0.5
    assert compared(["A"], ["a"], lower=True)["exact"] == 1.0
    assert 0 < chrf(["ねこがいる"], ["ねこがいた"]) < 100
