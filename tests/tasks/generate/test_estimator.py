"""The language model: what it takes, what it learns, what it writes, folders, streams, the command line."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from elman.cells import CELLS
from elman.cli.main import main
from elman.errors import DataError, ModelFileError, OptionError
from elman.io import model_folder as store
from elman.lm.chunks import LMChunks, lm_chunks
from elman.lm.interpolation import START, weight_of
from elman.lm.kneser_ney import KneserNey
from elman.ragged import Ragged
from elman.tasks import Generator, load
from elman.tasks.generate.constraints import END, Verse
from elman.tasks.generate.generation import symbols_of
from elman.tasks.generate.network import LanguageLoss, nll
from elman.training.batching import pieces

SMALL: dict[str, Any] = {"hidden": 8, "embed": 6, "epochs": 2, "verbose": False}
POEMS = [
    "春眠不覺曉，處處聞啼鳥。",
    "夜來風雨聲，花落知多少。",
    "牀前明月光，疑是地上霜。",
    "舉頭望明月，低頭思故鄉。",
] * 3


def fitted(X: Any = POEMS, **options: Any) -> Generator:
    return Generator(**{**SMALL, **options}).fit(X)


# ---- what it learns


def test_learns_what_comes_next() -> None:
    model = fitted(["abcd" * 600], hidden=16, epochs=60, learning_rate=0.03, dropout=0.0)
    assert model.score(["abcdabcdabcd"]) > -0.7  # log 4 = 1.39 without learning
    assert model.generate("ab", length=6, temperature=0.0) == "abcdabcd"
    assert model.history_.metric == "loss"
    each = {"nats_recurrent", "nats_ngrams"}
    assert set(model.metrics_) == {"loss", "nats", "bits", "perplexity", "symbols", *each}
    assert not model.ends_


def test_learns_where_documents_end() -> None:
    model = fitted(
        ["ab", "abab", "ababab"] * 60, hidden=16, epochs=30, learning_rate=0.03, dropout=0.0, head_dropout=0.0
    )
    assert {model.generate(length=50, seed=seed) for seed in range(8)} <= {"ab", "abab", "ababab"}


@pytest.mark.parametrize("options", [{}, {"tied": True}, {"cell": "gru", "layers": 2}, {"cell": "min_gru", "embed": 8}])
@pytest.mark.parametrize("tbptt", [0, 3])
def test_the_chances_of_a_text_are_those_of_its_symbols(options: dict[str, Any], tbptt: int) -> None:
    model = fitted(tbptt=tbptt, chunk_steps=7, **options)
    text = POEMS[0]
    total = float(model.nats([text])[0])
    session = model.stream()
    for symbol in text:
        answer = session.feed(symbol)
    end = -math.log(float(session.state["logs"].exp()[0, -1]))
    assert answer.nats + end == pytest.approx(total, rel=1e-9)
    assert answer.steps == len(text)
    found = model.evaluate([text])
    assert found["nats"] == pytest.approx(total / (len(text) + 1))
    assert found["perplexity"] == pytest.approx(math.exp(found["nats"]))
    assert model.score([text]) == -found["nats"]


def test_a_text_alone_and_among_others_and_cut_anywhere() -> None:
    model = fitted()
    together = model.nats(POEMS)
    assert [float(model.nats([poem])[0]) for poem in POEMS] == together.tolist()
    data = model.lm_chunks(model.feature_.transform(POEMS), None)
    import elman.tasks.generate.network as language

    whole = nll(model.network_, data).values
    size, language._STEPS = language._STEPS, 5
    try:
        assert torch.equal(nll(model.network_, data).values, whole)
    finally:
        language._STEPS = size


def test_penalties_make_h_small_and_slow() -> None:
    plain, calm = (fitted(epochs=20, activation=a, change=a) for a in (0.0, 5.0))
    x = Ragged.of([plain.feature_.transform(POEMS[:1]).values])
    with torch.no_grad():
        sizes = [float(m.network_.hidden(x)[0].values.square().mean()) for m in (plain, calm)]
    assert sizes[1] < sizes[0] / 2


@pytest.mark.parametrize("name", ["weight_drop", "recurrent_dropout", "zoneout"])
def test_what_training_does_to_the_state(name: str, tmp_path: Path) -> None:
    rest: dict[str, Any] = {"dropout": 0.0, "head_dropout": 0.0, "tbptt": 3}
    plain, model, again = (fitted(**rest, **{name: share}) for share in (0.0, 0.4, 0.4))
    assert model.nats(POEMS).tolist() == again.nats(POEMS).tolist() != plain.nats(POEMS).tolist()
    assert model.generate("春", length=9, temperature=0.0).startswith("春")
    model.save(tmp_path / "model")
    assert load(tmp_path / "model").nats(POEMS).tolist() == model.nats(POEMS).tolist()
    with pytest.raises(OptionError, match=f"{name} = 0.4 has no meaning for cell = 'min_gru'"):
        fitted(cell="min_gru", **{name: 0.4})


def test_dropped_weights_are_drawn_and_leave_the_model_alone() -> None:
    model, x = fitted(), Ragged.of([list(range(1, 6))], dtype=torch.int64)
    before = [p.clone() for p in model.network_.parameters()]
    loss = LanguageLoss(model.network_, LMChunks(x, x), weight_drop=0.5)
    with torch.no_grad():
        found = [loss._hidden(x, None)[0].values for _ in range(3)]
    assert not torch.equal(found[0], found[1])
    assert all(torch.equal(p, q) for p, q in zip(before, model.network_.parameters(), strict=True))
    model.network_.zero_grad()
    loss(next(iter(pieces(x.lengths, 9))), None)[0].backward()
    weight = model.network_.encoder.layers[0][0].weight_hh
    assert 0.3 < float((weight.grad == 0).float().mean()) < 0.7


# ---- what it takes


@pytest.mark.parametrize(
    "X",
    [
        POEMS,
        tuple(POEMS),
        np.array(POEMS),
        pl.Series(POEMS),
        pl.DataFrame({"poem": POEMS}),
        {"poem": POEMS},
    ],
)
def test_documents_of_every_kind(X: Any) -> None:
    model = fitted(X)
    assert model.nats(X).tolist() == fitted().nats(POEMS).tolist()


def test_tokens_and_words(tmp_path: Path) -> None:
    model = fitted([["C", "E", "G"], ["C", "E"]] * 4)
    assert model.generate(["C"], length=4, seed=0)[0] == "C"
    words = fitted(["to be or not to be", "to see or not to see"], unit="words")
    text = words.generate("to be", length=3, seed=3, temperature=2.0)
    assert text.startswith("to be")
    assert "  " not in text
    for one, X in ((model, [["C", "E"]]), (words, ["to be"])):
        one.save(tmp_path / one.feature_.kind)
        again = load(tmp_path / one.feature_.kind)
        assert again.nats(X).tolist() == one.nats(X).tolist()


def test_characters_outside_the_basic_plane() -> None:
    texts = ["🙂好𠮷。🙂", "a\r\nb\tc", "👩‍👩‍👧 é"] * 5
    model = fitted(texts, epochs=1)
    assert model.generate("🙂", length=20, seed=1).startswith("🙂")
    known = set(symbols_of(model.feature_))
    assert {"𠮷", "\t", "👩‍👩‍👧"} <= known


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("one text", r"X is one text.*Wrap it in a list"),
        ([], "X holds no documents"),
        ([""], "empty"),
        ([1.5, 2.0], "sequence 0"),
        ([[1.5, 2.0]], "A generator learns texts"),
        ([None, "a"], "sequence 0"),
        ([None], "sequence 0 is None"),  # a single document is cut in two, which these have no length for
        ([5], "sequence 0 is a number, 5"),
        (["a\ud800"], "one half of a surrogate pair"),
        (pl.DataFrame({"a": ["x"], "b": ["y"]}), r"X has the columns 'a', 'b'. Name the one with the texts: input="),
        ({}, r"X has no columns. Name the one with the texts"),
    ],
)
def test_refused_data(X: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fitted(X)


def test_refused_options() -> None:
    wrong: dict[str, Any] = {
        "unit": "letters",
        "embed": 0,
        "chunk_steps": 0,
        "tied": 1,
        "activation": -1,
        "bidirectional": True,
        "cell": "gru_d",
        "input": 3,
    }
    with pytest.raises(OptionError) as error:
        fitted(**wrong)
    assert all(f"{name} = " in str(error.value) for name in wrong)
    for name in ("epochs", "batch_steps", "batch_sequences", "tbptt", "patience"):
        for value in ("many", 1.5, [2]):
            with pytest.raises(OptionError, match=f"{name} = .* must be a whole number"):
                fitted(**{name: value})
    model = fitted()
    with pytest.raises(OptionError, match="prompt = 5 must be a text"):
        model.generate(5)
    with pytest.raises(DataError, match="no symbols to score"):
        fitted(["abc" * 500]).score([""])


HOW: dict[str, dict[str, Any]] = {
    "temperature = ": {"temperature": -1},
    "top_k = ": {"top_k": 0},
    "top_p = ": {"top_p": 0},
    "repetition = ": {"repetition": 0.5},
    "length = -1 ": {"length": -1},
    "seed = -1 must be": {"seed": -1},
    "seed = 'a' must be": {"seed": "a"},
    "seed = 1.5 must be": {"seed": 1.5},
    "stop = 5 must be a symbol": {"stop": 5},
    "stop = None must be": {"stop": None},
    "stop = 'end' is not in the vocabulary of this model": {"stop": "end"},
    "form = 'verse' must be a function": {"form": "verse"},
    "form returned 5. It must return the allowed next symbols": {"form": lambda said, symbols: 5},
    r"form returned \[\[1\]\]": {"form": lambda said, symbols: [[1]]},
}


@pytest.mark.parametrize("message", HOW)
def test_ways_of_writing_that_cannot_be(message: str) -> None:
    with pytest.raises(OptionError, match=message):
        fitted().generate("春", **HOW[message])


def test_writing_at_the_limits() -> None:
    """Warnings are errors in these tests: nothing overflows, nothing becomes NaN."""
    model = fitted()
    for how in ({"temperature": 5e-324}, {"temperature": 1e300}, {"repetition": 1e308}, {"top_p": 1e-300}):
        assert len(model.generate("春", length=9, seed=0, **how)) <= 10


@pytest.mark.parametrize("cell", [name for name, cell in CELLS.items() if cell.reads == "vectors"])
def test_every_cell_writes_and_reads_a_prompt_at_once(cell: str) -> None:
    """The prompt is read whole, and then symbol by symbol: the same bits."""
    model = fitted(POEMS[:2], cell=cell, epochs=1, zoneout=0.1 if cell == "gru" else 0.0)
    with torch.no_grad():
        symbols = model.feature_.transform(["春眠不覺"]).values.tolist()
        read, at_once = model.network_.reader(), model.network_.reader(symbols[:-1])
        one_by_one = [read(code).clone() for code in symbols]
        assert torch.equal(one_by_one[-1], at_once(symbols[-1]))
    assert model.generate("春" * 5000, length=2, seed=0).startswith("春")


def test_prompts_of_tokens_are_lists() -> None:
    model = fitted([["C", "E", "G"], ["C", "E"]] * 4)
    for prompt in ("CE", 7, None):
        with pytest.raises(OptionError, match="this model continues lists"):
            model.generate(prompt)
    assert len(model.generate(length=1, seed=0)) <= 1


@pytest.mark.parametrize(
    "form",
    [
        {"lines": 0},
        {"lines": "4"},
        {"lengths": 5},
        {"lengths": ("5",)},
        {"marks": 5},
        {"marks": ""},
        {"letters": 5},
        {"rhyme": "x"},
        {"rhyming": 1},
    ],
)
def test_verses_that_cannot_be(form: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=r"a verse needs lines|must be"):
        Verse(**form)


# ---- what it writes


def test_the_same_seed_the_same_text() -> None:
    model = fitted(dropout=0.5)
    texts = [model.generate("春", length=30, seed=seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert "".join(model.generating("春", length=30, seed=1)) == texts[0][1:]
    assert model.generate("春龘", length=2, seed=0).startswith("春龘")  # the second is read as the unknown symbol
    assert all("<unknown>" not in model.generate(length=50, temperature=3.0, seed=seed) for seed in range(9))


def test_stops() -> None:
    model = fitted()
    assert "，" not in model.generate(length=60, seed=0, stop="，")
    assert not set("，。") & set(model.generate(length=60, seed=0, stop=["，", "。"]))


@pytest.mark.parametrize("seed", range(5))
def test_verse_keeps_its_form(seed: int) -> None:
    text = fitted().generate(length=100, seed=seed, temperature=1.5, form=Verse(lines=4, lengths=(5, 7)))
    lines = text.replace("。", "，").split("，")
    assert text[-1] == "。"
    assert {len(line) for line in lines[:-1]} in ({5}, {7})
    assert [c for c in text if c in "，。"] == ["，", "。", "，", "。"]


def test_rhyme_and_letters() -> None:
    form = Verse(
        lines=2, lengths=(2,), letters=lambda c: c in "春曉鳥", rhyme=lambda poem, c: c == "鳥", rhyming=(0, 1)
    )
    text = fitted().generate(length=100, seed=0, form=form)
    assert text[1] == text[4] == "鳥"
    assert set(text) <= set("春曉鳥，。")


def test_a_form_that_allows_nothing() -> None:
    with pytest.raises(OptionError, match="form allows only 'x', which are not in the vocabulary"):
        fitted().generate(form=lambda said, symbols: {"x"})
    assert fitted().generate(form=lambda said, symbols: {END}) == ""


# ---- folders, streams, runs


def test_save_and_load(tmp_path: Path) -> None:
    model = fitted()
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.generate("春", seed=0) == model.generate("春", seed=0)
    assert again.evaluate(POEMS) == model.evaluate(POEMS)
    config, tensors, files = store.load(tmp_path / "model")
    for change in ({"ends": 1}, {"feature": {"kind": "numbers"}}, {"feature": {}}, {"input": ["a"]}):
        with pytest.raises(ModelFileError):
            Generator.restore({**config, **change}, tensors, files)


def test_sessions() -> None:
    session = fitted().stream()
    first = session.answer
    assert first.steps == 0
    assert first.nats == 0
    assert first.symbol == next(iter(first.probabilities))
    saved = session.state
    answer = session.feed("春眠")
    session.state = saved
    session.feed("春")
    assert session.feed("眠") == answer


def test_a_stream_has_the_surprise_of_the_whole() -> None:
    """Bits: the parts of a sum are added in one order, however the text is cut."""
    model, text = fitted(["to be or not to be " * 9]), "not to be or to be"
    for pieces_ in ([text], list(text), [text[:7], "", text[7:]]):
        session = model.stream()
        for piece in pieces_:
            answer = session.feed(piece)
        assert answer.nats == model.nats([text])[0]


def test_resumed_to_the_same_weights(tmp_path: Path) -> None:
    options = {"epochs": 4, "patience": None, "tbptt": 3}
    whole = fitted(**options)
    Generator(**SMALL | options).fit(POEMS, out=tmp_path / "model")
    again = Generator(**SMALL | options).fit(POEMS, out=tmp_path / "model", resume=True)
    assert all(torch.equal(a, b) for a, b in zip(whole.network_.parameters(), again.network_.parameters(), strict=True))
    assert whole.diagnose(POEMS).verdict


def test_strands_hold_every_symbol_once() -> None:
    made = lm_chunks(Ragged.of([list(range(1, 24)), [], [5]], dtype=torch.int64), 99, ends=True, longest=7)
    assert made.targets.values.tolist() == [*range(1, 24), 99, 99, 5, 99]
    assert made.inputs.values[1:8].tolist() == made.targets.values[:7].tolist()
    assert int(made.inputs.lengths.max()) == 7


# ---- the baseline


def test_back_off_sums_to_one_and_knows_what_it_saw() -> None:
    random = np.random.default_rng(0)
    text = random.integers(0, 5, 400).tolist()
    model = KneserNey(3, 6).fit([text])
    for context in ([], [1], [1, 2], [5, 5], text[:2]):
        assert sum(model.probability(context, w) for w in range(6)) == pytest.approx(1)
    assert model.nats([text]) < 399 * math.log(5)


def test_back_off_has_the_same_bits_for_all_symbols_and_for_those_that_came() -> None:
    random = np.random.default_rng(1)
    model = KneserNey(4, 5).fit([random.integers(0, 5, n).tolist() for n in (1, 2, 60, 0, 300)])
    texts = [random.integers(0, 5, n).tolist() for n in (3, 0, 40)]
    alone = [model.probabilities(text[:i])[text[i]] for text in texts for i in range(1, len(text))]
    np.testing.assert_array_equal(model.each(texts), alone)
    again = KneserNey.restore(4, 5, model.tensors())
    np.testing.assert_array_equal(again.each(texts), model.each(texts))


def broken(tensors: dict[str, Any]) -> list[dict[str, Any]]:
    turned, low = tensors["keys2"].flip(0), tensors["counts2"] * 0
    return [
        {**tensors, "keys2": turned},
        {**tensors, "counts2": low},
        {**tensors, "keys2": tensors["keys2"] + 1000},
        {**tensors, "keys3": tensors["keys3"][:1]},
        {**tensors, "counts1": tensors["counts1"].double()},
        {name: tensor for name, tensor in tensors.items() if name != "keys3"},
    ]


@pytest.mark.parametrize("fault", range(6))
def test_saved_ngrams_that_cannot_be_are_refused(fault: int) -> None:
    model = KneserNey(3, 4).fit([[0, 1, 2, 3, 0, 1, 3]])
    with pytest.raises(ModelFileError):
        KneserNey.restore(3, 4, broken(model.tensors())[fault])


# ---- dynamic evaluation


def test_learning_from_what_was_scored_leaves_the_network_as_it_was() -> None:
    model = fitted(ngrams=0)
    text = "xyzw" * 60  # symbols that training never showed stand for one that it seldom saw
    before = [weight.clone() for weight in model.network_.parameters()]
    plain = model.evaluate([text])["nats"]
    first = model.nll([text]).values[:32]
    model.adapt = 0.5
    assert model.evaluate([text])["nats"] < 0.8 * plain
    assert model.evaluate([text]) == model.evaluate([text])
    np.testing.assert_allclose(model.nll([text]).values[:32], first, rtol=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(before, model.network_.parameters(), strict=True))


# ---- the mixture


def test_the_weight_makes_what_came_likeliest() -> None:
    random = np.random.default_rng(0)
    network, ngrams = random.random(4000) ** 2, random.random(4000)
    best = min(np.linspace(0, 1, 401), key=lambda w: -np.log((1 - w) * network + w * ngrams).sum())
    assert weight_of(network, ngrams) == pytest.approx(best, abs=0.02)
    assert weight_of(network[:0], ngrams[:0]) == START


def test_the_mixture_knows_what_it_saw() -> None:
    lines = [poem[i:] + poem[:i] for poem in POEMS for i in range(8)]
    model = fitted(lines, hidden=12, epochs=6, validation=0.2)
    found = model.metrics_
    assert 0 < model.mixture_.weight < 1
    assert found["nats"] < found["nats_recurrent"]
    plain = fitted(lines, hidden=12, epochs=6, validation=0.2, ngrams=0)
    assert plain.mixture_ is None
    assert "nats_ngrams" not in plain.metrics_
    assert plain.metrics_["nats"] == found["nats_recurrent"]
    now = model.evaluate(lines)
    assert now["nats_ngrams"] < found["nats_ngrams"]  # the validation part is learnt by heart in the end


@pytest.mark.parametrize("ngrams", [0, 1, 3])
def test_a_stream_has_the_surprises_of_the_whole(ngrams: int) -> None:
    model, text = fitted(ngrams=ngrams), POEMS[3]
    (whole,) = model.nll([text]).to_list()
    session, nats = model.stream(), [0.0]
    nats += [session.feed(piece).nats for piece in text]
    assert session.answer.probabilities[session.answer.symbol] == max(session.answer.probabilities.values())
    np.testing.assert_array_equal(np.cumsum(whole.numpy())[: len(text)], nats[1:])


# ---- the command line


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, model = tmp_path / "poems.csv", str(tmp_path / "model")
    file.write_text("\n".join(["title,poem", *[f"x,{poem}" for poem in POEMS]]), encoding="utf-8")
    flags = ["--hidden", "8", "--embed", "6", "--epochs", "2", "--no-verbose"]
    assert main(["fit", "generate", str(file), "--out", model, *flags]) != 0
    assert "--input" in capsys.readouterr().err
    assert main(["fit", "generate", str(file), "--input", "poem", "--out", model, *flags]) == 0
    assert "12 documents" in capsys.readouterr().out
    assert main(["score", model, str(file), "--baseline", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["baselines"][0]["nats"] < found["nats"]  # on what it has seen
    assert main(["predict", model, str(file)]) == 0
    assert capsys.readouterr().out.startswith("title,poem,nats")
    assert main(["generate", model, "--prompt", "春", "--length", "9", "--seed", "1"]) == 0
    assert capsys.readouterr().out.startswith("春")
    assert main(["stream", model, "--static", "{}"]) == 2
    assert "for the task 'generate', which has no static inputs. Leave --static out." in capsys.readouterr().err
    assert main(["generate", model, "--top-k", "0"]) != 0
    assert "--top-k 0 must be a whole number of at least 1, or None" in capsys.readouterr().err
