"""Machine translation metrics: corpus BLEU and chrF as computed by sacrebleu.

    BLEU = 100 min(1, exp(1 - r / c)) (p_1 p_2 p_3 p_4)^(1/4)       p_n: precision of word n-grams;
    chrF = 100 (1 + 4) P R / (4 P + R)                              r, c: words of the references and of the answers
                                                                    P, R: averages over character n-grams, n = 1 ... 6

Both from 0 to 100. Texts are normalised first (`elman.features.unicode.plain`): accents composed, white space as single
spaces, invisible characters removed.

Papineni, K. et al. 2002. BLEU: a method for automatic evaluation of machine translation. ACL.
Popovic, M. 2015. chrF: character n-gram F-score for automatic MT evaluation. WMT.
Post, M. 2018. A call for clarity in reporting BLEU scores. WMT.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from elman.features.unicode import UNSPACED, plain

_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_LETTER = re.compile(r"[^\W\d_]")


def bleu(
    answers: Sequence[Any], truth: Sequence[Any], lower: bool = False, more: Sequence[Sequence[Any]] = ()
) -> float:
    """BLEU of texts, or of lists of tokens; 0 where there are none.

    `more`: columns of further references, with None where a sentence has no more.

    Texts are tokenised by sacrebleu's "13a", Chinese by "zh", and Japanese, Thai and other scripts without spaces into
    characters. `lower` compares lower-cased texts. Where no answer has four words, the highest n is lower.

    >>> bleu(["the cat sat on the mat ."], ["the cat sat on the mat ."])
    100.0
    >>> bleu(["一只猫"], ["一只猫"])
    100.0
    >>> bleu(["a cat"], ["one cat"], more=[["a cat"]])
    100.0
    """
    from sacrebleu.metrics.bleu import BLEU

    if not truth:
        return 0.0
    tokens = not isinstance(truth[0], str)
    tokenize = "none" if tokens else _tokeniser(truth)
    metric = BLEU(lowercase=lower, tokenize=tokenize, force=True, effective_order=True)
    return _clean(metric.corpus_score(_texts(answers), _streams(truth, more)).score)


def chrf(
    answers: Sequence[Any], truth: Sequence[Any], lower: bool = False, more: Sequence[Sequence[Any]] = ()
) -> float:
    """chrF of texts, or of lists of tokens joined by spaces; 0 where there are none. `more`: see `bleu`.

    >>> chrf(["一只猫"], ["一只猫"])
    100.0
    """
    from sacrebleu.metrics.chrf import CHRF

    score = CHRF(lowercase=lower).corpus_score
    return _clean(score(_texts(answers), _streams(truth, more)).score) if truth else 0.0


def compared(
    answers: Sequence[Any], truth: Sequence[Any], lower: bool = False, more: Sequence[Sequence[Any]] = ()
) -> dict[str, float]:
    """BLEU, chrF, and "exact": the fraction of exact matches with any reference. `more`: see `bleu`.

    >>> compared(["a cat"], ["a  cat\\n"])["exact"]
    1.0
    """
    references = zip(*(truth, *more), strict=True)
    same = [
        any(one is not None and _same(answer, lower) == _same(one, lower) for one in own)
        for answer, own in zip(answers, references, strict=True)
    ]
    exact = sum(same) / max(1, len(same))
    return {"bleu": bleu(answers, truth, lower, more), "chrf": chrf(answers, truth, lower, more), "exact": exact}


def _same(text: Any, lower: bool) -> Any:
    if isinstance(text, str):
        return plain(text.lower() if lower else text)
    return list(text)


def _clean(score: float) -> float:
    return min(100.0, round(float(score), 10))


def _streams(truth: Sequence[Any], more: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """The references as sacrebleu takes them: a column for the first, the second ... of each sentence."""
    return [[None if one is None else _texts([one])[0] for one in column] for column in (truth, *more)]


def _texts(column: Sequence[Any]) -> list[str]:
    return [
        plain(text) if isinstance(text, str) else " ".join(str(token).replace(" ", "_") for token in text)
        for text in column
    ]


def _tokeniser(truth: Sequence[str]) -> str:
    """The tokeniser of sacrebleu for the script of most letters."""
    sample = "".join(plain(text[:200]) for text in truth[:1000])
    letters, unspaced, han = (len(found.findall(sample)) for found in (_LETTER, UNSPACED, _HAN))
    if 2 * unspaced <= letters:
        return "13a"
    return "char" if 5 * (unspaced - han) > han else "zh"
