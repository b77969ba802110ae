"""One list of scripts without spaces, one list of signs that nobody sees, for everything that reads texts."""

from __future__ import annotations

import ast
import unicodedata
from pathlib import Path

import pytest
from sacrebleu import corpus_bleu

from elman.features import Text, Words
from elman.features.unicode import HIDDEN, UNSPACED, canonical, plain
from elman.tasks.transcribe.vocabulary import TranscriptVocabulary, transcripts_of
from elman.tasks.translate.mt_metrics import bleu
from elman.tasks.translate.pairs import chosen_unit

ROOT = Path(__file__).parents[2] / "src" / "elman"

#: Pairs of texts in scripts without spaces.
UNSPACED_TEXTS = {
    "Thai": ("ฉันรักแมวมาก", "ฉันรักหมามาก"),
    "Lao": ("ຂ້ອຍຮັກແມວ", "ຂ້ອຍຮັກໝາ"),
    "Khmer": ("ខ្ញុំស្រលាញ់ឆ្មា", "ខ្ញុំស្រលាញ់ឆ្កែ"),
    "Burmese": ("ကျွန်တော်ကြောင်ချစ်တယ်", "ကျွန်တော်ခွေးချစ်တယ်"),
    "Tibetan": ("ང་བྱི་ལ་ལ་དགའ", "ང་ཁྱི་ལ་དགའ"),
    "Javanese": ("ꦄꦏꦸꦠꦽꦱ꧀ꦤ", "ꦄꦏꦸꦠꦽꦱ꧀ꦤꦏꦸꦕꦶꦁ"),
    "Japanese": ("わたしは猫がすきです", "わたしは犬がすきです"),
    "Balinese": ("ᬲᬸᬓ᭄ᬱ᭄ᬫ", "ᬲᬸᬓ᭄ᬱ᭄ᬫᬅ"),
}
SPACED_TEXTS = {
    "Latin": ("I love the cat", "I love the dog"),
    "Korean": ("나는 고양이를 아주 좋아해", "나는 강아지를 아주 좋아해"),
    "Arabic": ("أنا أحب القط كثيرا", "أنا أحب الكلب كثيرا"),
    "Hindi": ("मैं बिल्ली से प्यार करता", "मैं कुत्ते से प्यार करता"),
    "Vietnamese": ("Tôi yêu con mèo", "Tôi yêu con chó"),
}


@pytest.mark.parametrize("name", UNSPACED_TEXTS)
def test_a_script_without_spaces_is_one_to_all(name: str) -> None:
    one, other = UNSPACED_TEXTS[name]
    assert bleu([one], [other]) == pytest.approx(corpus_bleu([one], [[other]], tokenize="char").score)
    assert bleu([one], [other]) > 0
    assert Text().fit([one, other]).unit_ == "mixed"
    assert chosen_unit([one, other]) == "characters"
    assert TranscriptVocabulary.of([one, other], "characters").unspaced
    assert UNSPACED.search(one)


@pytest.mark.parametrize("name", SPACED_TEXTS)
def test_a_script_with_spaces_is_one_to_all(name: str) -> None:
    one, other = SPACED_TEXTS[name]
    assert bleu([one], [other]) == pytest.approx(
        corpus_bleu([one], [[other]], tokenize="13a", use_effective_order=True).score
    )
    assert Text().fit([one, other]).unit_ == "words"
    assert not TranscriptVocabulary.of([one, other], "characters").unspaced
    assert not UNSPACED.search(one)


def test_bleu_of_chinese_is_that_of_its_own_tokeniser() -> None:
    a, b = "我很喜欢猫咪 iOS 12", "我很喜欢狗狗 iOS 12"
    assert bleu([a], [b]) == pytest.approx(corpus_bleu([a], [[b]], tokenize="zh", use_effective_order=True).score)
    assert round(bleu(["ฉันรักแมวมาก"], ["ฉันรักหมามาก"]), 1) == 54.5


def test_no_other_module_lists_scripts() -> None:
    """A text with a character of one of these scripts beside another, as ranges are written."""
    lists = []
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                wide = [c for c in node.value if c in "\u0e00\u0fff\u3040\u3041\u30ff\u3400\u4dbf\u4e00\u9fff"]
                if len(wide) > 1:
                    lists.append(path.name)
    assert sorted(set(lists)) == [
        "mt_metrics.py",
        "unicode.py",
    ]  # mt_metrics: which of them are Han, which sacrebleu cuts


#: What nobody sees, and what it leaves of a word.
INVISIBLE = {
    "soft hyphen": "\u00ad",
    "word joiner": "\u2060",
    "byte order mark": "\ufeff",
    "null": "\x00",
    "escape": "\x1b",
    "delete": "\x7f",
    "left-to-right mark": "\u200e",
    "right-to-left mark": "\u200f",
    "isolate": "\u2068",
    "Arabic letter mark": "\u061c",
}


@pytest.mark.parametrize("sign", INVISIBLE.values(), ids=list(INVISIBLE))
def test_a_sign_that_nobody_sees_divides_no_word(sign: str) -> None:
    text = f"{sign}trans{sign}lation{sign}"
    for unit in ("words", "mixed", "subwords", "parts"):
        feature = Text(unit=unit).fit(["translation", "translation"])
        assert feature.pieces(text) == feature.pieces("translation"), unit
    assert Text().fit([text]).vocabulary_ == ["<unknown>", "translation"]
    assert Words().fit([["translation"]]).transform([[text]]).values.tolist() == [1]
    assert transcripts_of([text], 1) == [plain(text)] == [canonical(text)] == ["translation"]


def test_a_letter_is_composed_across_a_hidden_sign() -> None:
    assert canonical("e\u00ad\u0301") == "é"
    assert Text(unit="words").fit(["e\u00ad\u0301"]).vocabulary_[1] == "é"


def test_what_divides_words_and_what_belongs_to_them() -> None:
    words = Text(unit="words", lower=False)
    assert set(words.fit(["zero\u200bwidth no\u00a0break"]).vocabulary_[1:]) == {"zero", "width", "no", "break"}
    for whole in ("می\u200cخواهم", "❤\ufe0f", "👨\u200d👩\u200d👧", "👍🏽", "🏴\U000e0067\U000e0062\U000e007f", "🇫🇷"):
        assert Text(unit="words", lower=False).fit([whole]).vocabulary_[1:] == [whole]
        assert canonical(whole) == whole


def test_dashes_of_another_encoding_divide_words() -> None:
    """Windows-1252 read as Latin-1, as in the IMDb reviews: a dash is U+0096."""
    assert Text(unit="words").fit(["film\x96but"]).vocabulary_[1:] == ["but", "film"]


def test_characters_keep_everything() -> None:
    feature = Text(unit="characters").fit(["a\u00adb\ufeff"])
    assert feature.join(feature.pieces("a\u00adb\ufeff")) == "a\u00adb\ufeff"


def test_hidden_signs_are_what_unicode_says() -> None:
    """Formats and controls, but for white space, what divides words and what shapes letters or emoji."""
    listed = _expanded(HIDDEN)
    kept = {*"\u200b\u200c\u200d", *map(chr, range(0xE0020, 0xE0080))}
    seen = {*"\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"}  # signs before numbers, end of verse
    for sign in map(chr, range(0x10000)):
        category = unicodedata.category(sign)
        if category == "Cc":
            assert (sign in listed) == (sign not in "\t\n\v\f\r" and not "\x80" <= sign <= "\x9f"), ascii(sign)
        elif category == "Cf" and sign not in kept | seen:
            assert sign in listed, ascii(sign)
        elif category[0] in "LNPSM":
            assert sign not in listed, ascii(sign)


def _expanded(ranges: str) -> set[str]:
    made, parts = set[str](), list(ranges)
    while parts:
        first = parts.pop(0)
        if parts[:1] == ["-"]:
            parts.pop(0)
            made |= set(map(chr, range(ord(first), ord(parts.pop(0)) + 1)))
        else:
            made.add(first)
    return made
