"""Text as steps: words, characters or subwords, by the `tokenizers` library, on all cores."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from tokenizers import Regex, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as RustTokenizer
from torch import Tensor

from elman.errors import DataError, ModelFileError, OptionError, Place, Problem
from elman.features.base import ALPHABET, UNKNOWN, Written, check_whole, checked, of_lengths
from elman.features.custom_tokenizer import SEPARATOR, Tokenizer, cut_texts, name_of_function, no_function
from elman.features.lists import listed
from elman.features.ngrams import text_ngrams
from elman.features.unicode import GAP, HIDDEN, UNSPACED, UNSPACED_RANGES
from elman.features.vocabulary import VocabularyOptions, least_count, vocabulary_problems, warn_if_unknown
from elman.ragged import Ragged
from elman.validation.columns import is_missing
from elman.validation.messages import grouped, seen, shown
from elman.validation.options import is_among, require
from elman.validation.plain_values import plain_text

UNITS = ("words", "characters", "mixed", "subwords", "parts", "spaces")
OWN = "tokenizer"  # the unit of texts that a function cuts
LEARNT = ("subwords", "parts")  # byte-pair encodings
FILE = "tokenizer.json"
PIECE = 100  # maximum letters of a word for byte-pair encoding, whose training is quadratic in them
BATCH = 1 << 21  # characters tokenised at a time, at about 100 bytes each

_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W_]")  # a symbol with a letter or a digit

# The rate of words that occur once above which characters are the better unit. In 2000 words of running text (film
# reviews, messages, tweets, English and German captions) it is 0.2 to 0.4, in 300 words 0.4 to 0.6.
_MOST_ONCE = 0.5
_MOST_ONCE_OF_FEW = 0.75  # of fewer than _MANY_WORDS, in texts of three words and more
_MANY_WORDS = 2000
_LEAST_WORDS = 20  # with fewer there is no evidence

# The patterns look at most one character beyond their match, and never to the left, so that the steps of a prefix are a
# prefix of the steps.
_W = r"\p{L}\p{M}\p{N}"
_SIGN = rf"[^{_W}\s\p{{Cc}}\p{{Cf}}]"
_TAIL = rf"(?:\p{{M}}|[🏻-🏿]|[\x{{e0020}}-\x{{e007f}}]|\x{{200d}}{_SIGN})*"
_SIGNS = rf"[🇦-🇿]{{2}}|{_SIGN}{_TAIL}"  # one sign, or one emoji with all its parts
_S = rf"'[sS](?![{_W}])"  # the possessive
_TAG = r"</?[A-Za-z][A-Za-z0-9]*(?:\s[^<>=]*=[^<>]*|\s*/?)>"  # <br />, </i>, <a href="x">; not: a <b and c> d


def _word(letter: str) -> str:
    """Letters, marks and digits; apostrophes and zero-width joiners between them; not the possessive at the end."""
    return rf"{letter}+(?:(?!{_S})['\x{{200c}}\x{{200d}}]{letter}+)*"


_PATTERNS = {
    "words": f"{_word(f'[{_W}]')}|{_S}|{_SIGNS}",
    "characters": rf"\r\n|[🇦-🇿]{{2}}|[\s\S]{_TAIL}",  # nearly \X, whose time grows with the square of some texts
    "mixed": rf"[{UNSPACED_RANGES}]\p{{M}}*|{_word(f'[{_W}&&[^{UNSPACED_RANGES}]]')}|{_S}|{_SIGNS}",
    "subwords": rf"[{_W}]{{1,{PIECE}}}|{_SIGN}\p{{M}}*",  # nothing that a cut within it would change
    "spaces": r"\S+",
    OWN: rf"[^{SEPARATOR}]+",
    "parts": rf"▁?[{_W}]{{1,{PIECE}}}|▁?{_SIGN}{_TAIL}|▁",  # what the gaps became stays with what follows
}


@dataclass(kw_only=True, eq=False, repr=False)
class TextOptions(VocabularyOptions):
    """Texts and tokens."""

    unit: str = "auto"  # of texts: "words", "characters", "mixed" (words, but characters in scripts without spaces),
    #   "subwords" (byte-pair encoding, Sennrich et al. 2016), "spaces" (cut at white space, for texts that were cut
    #   before); "auto": "mixed" or "words" by script, "characters" where most words occur only once
    tokenizer: Tokenizer | None = field(default=None, repr=False, metadata={"flag": False})  # function from a text to
    #   its words, such as jieba.lcut, in place of a unit; a saved model holds its name alone


@dataclass(kw_only=True)
class Text(TextOptions, Written):
    """Text as steps: one symbol for each word, character or subword; id 0 is the unknown symbol.

    Raises `DataError` naming the sequence if a text is missing, bytes, a number or half a character; `OptionError` for
    invalid options. An empty text has zero steps. `unit` may also be "parts": subwords that `join` reverses.

    >>> text = Text().fit(["A good film", "A bad film!", "It's good"])
    >>> text.transform(["a good <br /> Film!", "", "unheard"]).to_list()
    [tensor([1, 3, 2, 4]), tensor([], dtype=torch.int64), tensor([0])]
    >>> text.words([1, 3, 2, 4])
    ['a', 'good', 'film', '!']
    """

    kind: ClassVar[str] = "text"
    is_column: ClassVar[bool] = True
    is_vocabulary: ClassVar[bool] = True
    reads_texts: ClassVar[bool] = True

    lower: bool = True  # lower-case everything

    @property
    def is_alphabet(self) -> bool:
        """Whether symbols are the letters of an alphabet of at most 200."""
        return self.symbols is not None and self.unit_ == "characters" and self.symbols <= ALPHABET

    def problems(self) -> list[Problem]:
        """What is wrong with the options."""
        rule = f"must be auto, {', '.join(UNITS[:-1])} or {UNITS[-1]}"
        found = require(is_among(self.unit, ("auto", *UNITS)), self, "unit", rule) + vocabulary_problems(self)
        return found + tokenizer_problems(self)

    def read(self, column: Any, name: str, fitted: bool) -> list[str]:
        """The texts."""
        return _texts(column, name)

    def learn(self, sequences: list[str], name: str) -> Ragged:
        """Chooses the unit and learns the vocabulary; see `docs/features/text.md` for the rules."""
        unit, reason = (_unit_of_script(sequences) if self.unit == "auto" else self.unit), ""
        self.tokenizer_name_ = "" if self.tokenizer is None else name_of_function(self.tokenizer)
        if self.tokenizer is not None:
            unit, sequences = OWN, cut_texts(self.tokenizer, sequences, name)
        tokenizer = _trained(sequences, unit, self)
        values, lengths = _encoded(tokenizer, sequences)
        if self.unit == "auto" and unit != OWN and (reason := _why_characters(tokenizer, values, len(sequences))):
            unit = "characters"
            tokenizer = _trained(sequences, unit, self)
            values, lengths = _encoded(tokenizer, sequences)
        distinct = tokenizer.get_vocab_size() - 1
        if unit not in LEARNT:
            kept = _kept(values, self.max_words, least_count(self.min_count, len(values)))
            values[values > kept] = 0
            first = {word: i for word, i in tokenizer.get_vocab().items() if i <= kept}
            tokenizer = _tokenizer(models.WordLevel(first, UNKNOWN), unit, self.lower)
        self._know(tokenizer, unit, distinct, reason)
        return of_lengths(values, lengths)

    def encode(self, sequences: list[str], name: str) -> Ragged:
        """The symbols of each text, each from 0 to `symbols` - 1; a warning where most are unknown."""
        values, lengths = _encoded(self.tokenizer_, self._cut(sequences, name))
        advice = ' Where a text is one word, unit = "characters" may help.' if self.unit_ in ("words", "mixed") else ""
        warn_if_unknown(values, name, advice)
        return of_lengths(values, lengths)

    def step(self, value: Any, *, name: str = "X") -> Tensor:
        """The symbols `[steps]` of a chunk of text, or of a list of chunks, of whole words."""
        pieces = [value] if isinstance(value, str) or not isinstance(value, list | tuple) else value
        return torch.from_numpy(_encoded(self.tokenizer_, self._cut(_texts(pieces, name), name))[0])

    def pieces(self, text: str) -> list[int]:
        """The symbols of one text, for feeding them one at a time.

        >>> Text(unit="characters").fit(["abc"]).pieces("cab?")
        [3, 1, 2, 0]
        """
        return self.step(text, name="text").tolist()

    def split_units(self, column: Any, *, name: str = "X") -> list[list[str]]:
        """Each text split into its units, unchanged.

        >>> Text().fit(["a good film"]).split_units(["A promoter!"])
        [['A', 'promoter', '!']]
        """
        tokenizer, texts = self.tokenizer_, self._cut(_texts(column, name), name)
        cut = [one for batch in _batches(texts) for one in tokenizer.encode_batch(batch, add_special_tokens=False)]
        return [[text[a:b] for a, b in one.offsets] for text, one in zip(texts, cut, strict=True)]

    def word(self, symbol: int) -> str:
        """The text of a symbol."""
        return self.vocabulary_[symbol]

    def join(self, ids: Sequence[int] | Tensor, unknown: Sequence[Any] = ()) -> str:
        """The text of symbols; each unknown one is the next of `unknown`, or left out. `parts` and `characters` are
        reversible, except that `parts` collapses white space, and for the case if `lower` is set.

        >>> text = Text(unit="parts", lower=False).fit(["It's 5 o'clock, isn't it?"])
        >>> text.join(text.pieces("Isn't it 5?"))
        "Isn't it 5?"
        """
        return "".join(self.spelled(ids, unknown=unknown))

    def spelled(self, ids: Iterable[int] | Tensor, after: str = "", unknown: Iterable[str] = ()) -> Iterator[str]:
        """Yields what each symbol adds to a text that ends with `after`; each unknown one is the next of `unknown`.

        >>> text = Text(unit="mixed").fit(["I like 编程"])
        >>> list(text.spelled(text.pieces("I like 编程"))), list(text.spelled(text.pieces("like"), after="I "))
        (['i', ' like', ' 编', '程'], ['like'])
        """
        given = iter(unknown)
        gap = False  # whether a space is due before the next letter
        for i in ids:
            (symbol,) = self.words([int(i)])
            symbol = symbol if int(i) else next(given, "").strip()
            if self.unit_ == "characters":
                yield symbol
                continue
            if self.unit_ in LEARNT:  # "▁" is where a space stood
                gap, symbol = gap or symbol.startswith("▁"), symbol.replace("▁", "")
            else:
                gap = not (self.unit_ in ("mixed", OWN) and UNSPACED.match(symbol) and UNSPACED.match(after[-1:]))
            if symbol:
                symbol = f" {symbol}" if gap and after and not after[-1].isspace() else symbol
                after, gap = symbol, False
            yield symbol

    def normalized(self, column: Any, *, name: str = "X") -> list[str]:
        """The texts as `join` writes them if all symbols are known, for comparison with answers.

        >>> Text(unit="words").fit(["a"]).normalized(["It’s  <b>FINE</b>\\n"])
        ["it 's fine"]
        """
        tokenizer = self.tokenizer_
        found = [tokenizer.normalizer.normalize_str(text) for text in self._cut(_texts(column, name), name)]
        if self.unit_ in ("characters", "parts"):
            return found
        cut = [[piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)] for text in found]
        if self.unit_ == "subwords":
            return [" ".join(piece.removeprefix("▁") for piece in pieces) for pieces in cut]
        joined = [" ".join(pieces) for pieces in cut]
        return [GAP.sub("", text) for text in joined] if self.unit_ in ("mixed", OWN) else joined

    def normalized_symbol(self, symbol: str, name: str) -> str:
        """One symbol, in lower case if `lower`."""
        return self.normalized([symbol], name=name)[0]

    def parse_line(self, line: str, place: Place) -> str:
        """The line itself."""
        return line

    def parse_prompt(self, prompt: str) -> str:
        """The prompt itself."""
        return prompt

    def check_prompt(self, prompt: Any) -> str:
        """The prompt. Raises ``OptionError`` for what is not a text."""
        if not isinstance(prompt, str):
            raise OptionError(f"prompt = {shown(prompt)} must be a text")
        return prompt

    def continued(self, prompt: str, pieces: Sequence[str]) -> str:
        """A prompt followed by the generated text."""
        return prompt + "".join(pieces)

    def ngram_options(self, column: Sequence[str]) -> dict[str, Any]:
        """N-gram options for the unit; if not fitted, for the one that unit = "auto" would choose."""
        unit = _unit_of_some(list(column)) if self.symbols is None else self.unit_
        return text_ngrams(column, unit, self.lower, lambda text: self.words(self.pieces(text)))

    def learnt(self) -> dict[str, Any]:
        """The chosen unit and why, the number of symbols, and of distinct ones in the training data."""
        learnt = {"chosen_unit": self.unit_, "reason": self.reason_, "tokenizer": self.tokenizer_name_}
        return learnt | {"symbols": len(self.vocabulary_), "distinct": self.distinct_}

    def files(self) -> dict[str, str]:
        """`tokenizer.json`, which the `tokenizers` library can read."""
        return {FILE: self.tokenizer_.to_str(pretty=False)}

    def recall(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, str]) -> None:
        """Takes vocabulary and merges from the file, the rules from this package. Raises `ModelFileError`."""
        unit, reason = (checked(config, key, str, self.kind) for key in ("chosen_unit", "reason"))
        symbols, distinct = (checked(config, key, int, self.kind) for key in ("symbols", "distinct"))
        self.tokenizer_name_ = checked({"tokenizer": "", **config}, "tokenizer", str, self.kind)
        if (unit not in UNITS or self.unit not in ("auto", unit)) and not (unit == OWN and self.tokenizer_name_):
            raise ModelFileError(f"the saved text feature has chosen_unit = {unit!r}, but unit = {self.unit!r}.")
        if FILE not in files:
            raise ModelFileError(f"the saved text feature has no {FILE}. Save the model again.")
        model = _read_model(files[FILE], unit, symbols)
        self._know(_tokenizer(model, unit, self.lower), unit, distinct, reason)

    def describe(self) -> str:
        """One line: `text as words, 30,000 of 74,891 kept`."""
        if self.tokenizer_name_:
            kept = len(self.vocabulary_) - 1
            return f"text cut by {self.tokenizer_name_}, {grouped(kept)} of {grouped(self.distinct_)} words kept"
        shown = {"mixed": "characters (runs of Latin letters and digits as words)", "parts": "subwords"}
        unit = shown.get(self.unit_, self.unit_)
        kept = len(self.vocabulary_) - 1
        if self.unit_ in LEARNT:
            return f"text as {unit}, {grouped(kept)} learnt"
        why = f" ({self.reason_})" if self.reason_ else ""
        return f"text as {unit}, {grouped(kept)} of {grouped(self.distinct_)} kept{why}"

    @property
    def function_name(self) -> str:
        """The name of the function that cuts texts; "" where there is none."""
        return self.tokenizer_name_

    def use_tokenizer(self, function: Tokenizer | None, folder: str) -> bool:
        """Takes the function of a saved feature that was fitted with one."""
        if self.unit_ != OWN:
            return False
        if function is None:
            raise no_function(self.tokenizer_name_, folder)
        self.tokenizer = function
        return True

    # ---- inside

    @classmethod
    def _options(cls) -> tuple[Field[Any], ...]:
        return tuple(option for option in super()._options() if option.name != "tokenizer")  # a function is not saved

    def _cut(self, texts: list[str], name: str) -> list[str]:
        """The texts as the library's tokeniser reads them: where a function cuts them, with its words separated."""
        if self.unit_ != OWN:
            return texts
        if self.tokenizer is None:
            raise no_function(self.tokenizer_name_)
        return cut_texts(self.tokenizer, texts, name)

    def _know(self, tokenizer: RustTokenizer, unit: str, distinct: int, reason: str) -> None:
        vocabulary = tokenizer.get_vocab()
        self.tokenizer_ = tokenizer
        self.unit_ = unit
        self.distinct_ = distinct
        self.reason_ = reason  # why `auto` took characters in place of words; "" where it did not
        self.vocabulary_ = sorted(vocabulary, key=vocabulary.__getitem__)
        self.symbols = len(vocabulary)


def tokenizer_problems(options: Any) -> list[Problem]:
    """What is wrong with the option `tokenizer`.

    >>> print(*tokenizer_problems(Text(tokenizer="jieba")))
    tokenizer = 'jieba' must be a function from a text to a list of texts, such as jieba.lcut, or None
    """
    function = options.tokenizer
    rule = "must be a function from a text to a list of texts, such as jieba.lcut, or None"
    found = require(function is None or callable(function), options, "tokenizer", rule)
    both = function is not None and options.unit != "auto"
    return found + ([Problem("unit", shown(options.unit), "has no meaning with a tokenizer")] if both else [])


# ---- the texts


def _texts(column: Any, name: str) -> list[str]:
    """The column as plain `str` that can be encoded as UTF-8."""
    texts = listed(column, name)
    for i, text in enumerate(texts):
        if type(text) is not str:
            if not isinstance(text, str):
                raise DataError(f"is {_advised(text)}", at=Place(name, sequence=i))
            texts[i] = text = plain_text(text)  # a subclass, such as numpy.str_
        if not text.isascii():
            check_whole(text, i, name)
    return texts


def _advised(value: Any) -> str:
    if is_missing(value):
        return f"{seen(value)}. Drop it, or put an empty text in its place."
    if isinstance(value, bytes | bytearray):
        return f"{seen(value)}. Decode it first: value.decode('utf-8')."
    if isinstance(value, list | tuple | np.ndarray):
        return f"{seen(value)}. Text reads whole texts; for lists of tokens use Tokens."
    return f"{seen(value)}. Text reads str."


def _unit_of_script(texts: Sequence[str]) -> str:
    """`mixed` if most letters of about 1,000 texts belong to scripts without spaces, else `words`.

    Pre-segmented Chinese (a space for every four characters or fewer) stays in words.
    """
    sample = [text[:1000] for text in texts[:: max(1, len(texts) // 1000)]]
    letters = sum(len(_LETTER.findall(text)) for text in sample)
    unspaced = sum(len(UNSPACED.findall(text)) for text in sample)
    gaps = sum(len(GAP.findall(text)) for text in sample)
    return "mixed" if 2 * unspaced > letters and 4 * gaps < unspaced else "words"


def _why_characters(tokenizer: RustTokenizer, values: "np.ndarray[Any, Any]", texts: int) -> str:
    """Why words are not a suitable unit for these texts; "" where they are.

    The rate of words that occur once estimates the rate of unknown words in a new text (leave-one-out; Good 1953). It
    is near 1 for names, DNA, product codes and passwords. Punctuation does not count.
    """
    counts = np.bincount(values, minlength=tokenizer.get_vocab_size())
    counts[[i for word, i in tokenizer.get_vocab().items() if not i or not _WORD.search(word)]] = 0
    words, once = int(counts.sum()), int((counts == 1).sum())
    of_few_words = words < 2.5 * texts
    limit = _MOST_ONCE if of_few_words or words >= _MANY_WORDS else _MOST_ONCE_OF_FEW
    if words < _LEAST_WORDS or once <= limit * words:
        return ""
    return f"{100 * once / words:.0f} % of {grouped(words)} words occur only once"


def _unit_of_some(texts: list[str]) -> str:
    """The unit that "auto" chooses, decided on 1000 texts if that is words."""
    few = Text().fit(texts[:: max(1, len(texts) // 1000)])
    return Text().fit(texts).unit_ if few.reason_ else few.unit_


# ---- the tokeniser


def _rules(unit: str, lower: bool) -> tuple[normalizers.Normalizer, pre_tokenizers.PreTokenizer]:
    """Normalisation and pre-tokenisation: `characters` keep everything, the other units drop mark-up."""
    hidden = normalizers.Replace(Regex(f"[{HIDDEN}]"), "")
    if unit in ("characters", "spaces", OWN):
        normal: list[normalizers.Normalizer] = [normalizers.NFC()]
    elif unit == "parts":  # a gap is one space; neither side of a text has one
        normal = [hidden, normalizers.NFC(), normalizers.Replace(Regex(r"[\s▁]+"), " "), normalizers.Strip()]
    else:
        tags = normalizers.Replace(Regex(_TAG), " ")
        apostrophes = normalizers.Replace(Regex("[’´ʼ]"), "'")
        normal = [hidden, tags, apostrophes, normalizers.NFKC()]
    if lower:
        normal.append(normalizers.Lowercase())
    if unit == "parts":
        gaps = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)  # a space, or the beginning, is "▁"
        split = pre_tokenizers.Split(Regex(_PATTERNS[unit]), "isolated")
        return normalizers.Sequence(normal), pre_tokenizers.Sequence([gaps, split])
    cut: pre_tokenizers.PreTokenizer = pre_tokenizers.Split(Regex(_PATTERNS[unit]), "removed", invert=True)
    if unit == "subwords":  # "▁" marks where a word begins
        cut = pre_tokenizers.Sequence([cut, pre_tokenizers.Metaspace(prepend_scheme="always", split=False)])
    return normalizers.Sequence(normal), cut


def _tokenizer(model: models.Model, unit: str, lower: bool) -> RustTokenizer:
    tokenizer = RustTokenizer(model)
    tokenizer.normalizer, tokenizer.pre_tokenizer = _rules(unit, lower)
    return tokenizer


def _trained(texts: Sequence[str], unit: str, options: Text) -> RustTokenizer:
    """A tokeniser with every symbol of the texts, the commonest first, or with trained subwords."""
    if unit in LEARNT:
        model: models.Model = models.BPE(unk_token=UNKNOWN)
        room = min(int(options.max_words), sum(map(len, texts)) + 1000)  # the trainer reserves memory for all of it
        trainer: trainers.Trainer = trainers.BpeTrainer(
            vocab_size=room + 1,
            min_frequency=min(int(options.min_count or 2), 2**31),
            limit_alphabet=room,
            special_tokens=[UNKNOWN],
            show_progress=False,
        )
    else:
        model = models.WordLevel({UNKNOWN: 0}, UNKNOWN)
        trainer = trainers.WordLevelTrainer(
            vocab_size=2**31, min_frequency=0, special_tokens=[UNKNOWN], show_progress=False
        )
    tokenizer = _tokenizer(model, unit, options.lower)
    tokenizer.train_from_iterator(texts, trainer, length=len(texts))
    # Training registers the unknown symbol as a word that may occur in a text; a fresh tokeniser does not.
    return _tokenizer(tokenizer.model, unit, options.lower)


def _kept(ids: "np.ndarray[Any, Any]", max_words: int, min_count: int) -> int:
    """The size of the vocabulary. Ids are ranks by count, so that it consists of the first ones."""
    counts = np.bincount(ids, minlength=1)[1:]
    return min(max_words, int((counts >= min_count).sum()))


def _encoded(tokenizer: RustTokenizer, texts: Sequence[str]) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """The ids of all texts in one array, and the number of ids of each text."""
    parts, lengths = [], []
    for batch in _batches(texts):
        ids: list[int] = []
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            ids += encoding.ids
            lengths.append(len(encoding))
        parts.append(np.array(ids, dtype=np.int64))
    return np.concatenate(parts) if parts else np.zeros(0, np.int64), np.array(lengths, dtype=np.int64)


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """Batches of texts of about `BATCH` characters, to bound the tokeniser's memory."""
    batch: list[str] = []
    held = 0
    for text in texts:
        batch.append(text)
        held += len(text)
        if held >= BATCH or len(batch) >= 4096:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


# ---- the file


def _read_model(file: str, unit: str, symbols: int) -> models.Model:
    """Vocabulary and merges of a saved `tokenizer.json`, each entry checked."""
    try:
        model = json.loads(file)["model"]
        vocabulary, merges = model["vocab"], model.get("merges", [])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelFileError(f"{FILE} is no tokeniser with a vocabulary. Save the model again.") from None
    _check_vocabulary(vocabulary, symbols)
    if unit not in LEARNT:
        return models.WordLevel(vocabulary, UNKNOWN)
    pairs = []
    for merge in merges if isinstance(merges, list) else [None]:
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(pair, list) or len(pair) != 2 or any(p not in vocabulary for p in [*pair, "".join(pair)]):
            raise ModelFileError(f"{FILE} has the merge {shown(merge)}, which does not fit its vocabulary.")
        pairs.append((pair[0], pair[1]))
    return models.BPE(vocabulary, pairs, unk_token=UNKNOWN)


def _check_vocabulary(vocabulary: Any, symbols: int) -> None:
    if not isinstance(vocabulary, dict) or len(vocabulary) != symbols:
        size = len(vocabulary) if isinstance(vocabulary, dict) else shown(vocabulary)
        raise ModelFileError(f"{FILE} has a vocabulary of {size}, but the model was saved with {symbols} symbols.")
    ids = list(vocabulary.values())
    if any(type(i) is not int for i in ids) or sorted(ids) != list(range(symbols)) or vocabulary.get(UNKNOWN) != 0:
        raise ModelFileError(f"{FILE} must number its words from 0 without gaps, {UNKNOWN} being 0.")


# ---- forked processes

# The library's threads do not survive a fork. It then continues with one thread and prints a warning; setting the
# environment variable beforehand avoids the warning. A setting of the user's is kept.
_KEY = "TOKENIZERS_PARALLELISM"
_set_here: list[str] = []


def _before_fork() -> None:
    if _KEY not in os.environ:
        os.environ[_KEY] = "false"
        _set_here.append(_KEY)


def _after_fork_in_parent() -> None:
    while _set_here:
        os.environ.pop(_set_here.pop(), None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent)
