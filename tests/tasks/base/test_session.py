"""A session fed step by step has the answer that `predict_proba` gives for all steps so far, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from sklearn.exceptions import NotFittedError

from elman.errors import DataError, OptionError
from elman.ragged import Ragged
from elman.tasks import Classifier, load
from elman.tasks.base.session import Session

SMALL: dict[str, Any] = {"hidden": 6, "embed": 5, "epochs": 2, "verbose": False}
TEXTS = ["a good film", "b bad film film", "", "good a", "bad b b", "a fine film", "so poor", "very good"]
LABELS = ["+", "-", "-", "+", "-", "+", "-", "+"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def clf() -> Classifier:
    return Classifier(**SMALL).fit(TEXTS, LABELS)


def shares(answer: Any) -> list[float]:
    return list(answer.probabilities.values())


@pytest.mark.parametrize("pool", ["last", "mean", "max", "attention", "mean+max+last"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "rnn_relu"])
@pytest.mark.parametrize("ngrams", [0, 3])
def test_equals_predict_on_the_prefix(pool: str, cell: str, ngrams: int) -> None:
    clf = Classifier(pool=pool, cell=cell, ngrams=ngrams, layers=2, **SMALL).fit(TEXTS, LABELS)
    words = ["a", "very", "good", "film", "that", "a", "bad", "film", "b", "unheard", "b", "a", "very", "good"]
    session = clf.stream()
    assert shares(session.answer) == clf.predict_proba([""])[0].tolist()
    for n, word in enumerate(words, 1):
        answer, text = session.feed(word), " ".join(words[:n])
        assert answer.steps == n
        assert shares(answer) == clf.predict_proba([text])[0].tolist()
        assert answer.label == clf.predict([text])[0]


def test_several_steps_at_once(clf: Classifier) -> None:
    text = "a very good film, and so poor"
    whole = clf.predict_proba([text])[0].tolist()
    assert shares(clf.stream().feed(text)) == whole
    session = clf.stream()
    for piece in ("a very", " good film, ", "", "and so poor"):
        answer = session.feed(piece)
    assert shares(answer) == whole
    assert shares(clf.stream().feed(["a very", "good", "film,", "and so poor"])) == whole


def test_chinese_one_character_at_a_time() -> None:
    clf = Classifier(**SMALL).fit(["这部电影很好看", "很好", "不好看", "太差了"], [1, 1, 0, 0])
    session, text = clf.stream(), "电影不好看，很差"
    for n, character in enumerate(text, 1):
        assert shares(session.feed(character)) == clf.predict_proba([text[:n]])[0].tolist()


def test_tokens() -> None:
    clf = Classifier(feature="tokens", **SMALL).fit([[1, 2], [3, 1], [2], []], ["a", "b", "a", "b"])
    session = clf.stream()
    session.feed(1)
    assert shares(session.feed([2, 9])) == clf.predict_proba([[1, 2, 9]])[0].tolist()


@pytest.mark.parametrize("width", [1, 3])
def test_numbers(width: int) -> None:
    random = np.random.default_rng(0)
    X = [random.normal(size=(n, width)) for n in (3, 0, 5, 9)]
    clf = Classifier(**SMALL).fit(X, [0, 1, 2, 1])
    session = clf.stream()
    for n, row in enumerate(X[3], 1):
        answer = session.feed(row[0] if width == 1 else row)
        assert shares(answer) == clf.predict_proba([X[3][:n]])[0].tolist()
    assert shares(clf.stream().feed(X[3])) == shares(answer)


@pytest.mark.parametrize("options", [{}, {"cell": "gru_d"}, {"fill": "seasonal", "season": 3}, {"mask": False}])
def test_numbers_with_gaps(options: dict[str, Any], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    X = [random.normal(size=(n, 2)) for n in (9, 0, 5, 12)]
    for sequence in X:
        sequence[random.random(sequence.shape) < 0.5] = np.nan
    clf = Classifier(**SMALL, **options, pool="mean+last").fit(X, [0, 1, 2, 1])
    assert np.isfinite(clf.predict_proba([*X, [[np.nan, np.nan]]])).all()
    clf.save(tmp_path / "m")
    session = load(tmp_path / "m").stream()
    for n, row in enumerate(X[3], 1):
        state = session.state
        answer = session.feed(row)
        assert shares(answer) == clf.predict_proba([X[3][:n]])[0].tolist()
    session.state = state
    assert session.feed(X[3][-1]) == clf.stream().feed(X[3]) == answer


def test_fills_that_look_ahead_do_not_stream() -> None:
    clf = Classifier(**SMALL, fill="linear").fit([[1.0, np.nan, 2.0], [3.0, 1.0]], [0, 1])
    with pytest.raises(OptionError, match="cannot stream: it reads later steps"):
        clf.stream()


@pytest.mark.parametrize(("channels", "stride"), [(8, 1), ((8, 4), 2)])
def test_convolution_follows_the_stream(channels: Any, stride: int) -> None:
    random = np.random.default_rng(0)
    X = [random.normal(size=(n, 2)) for n in (3, 0, 5, 13)]
    clf = Classifier(channels=channels, kernel=4, stride=stride, **SMALL).fit(X, [0, 1, 2, 1])
    session = clf.stream()
    for n, row in enumerate(X[3], 1):
        answer = session.feed(row)
        assert answer.steps == n
        assert shares(answer) == clf.predict_proba([X[3][:n]])[0].tolist()
        session.state = through_a_file(session.state)
    assert shares(clf.stream().feed(X[3])) == shares(answer)


def test_convolution_over_words_follows_the_stream() -> None:
    clf = Classifier(channels=8, kernel=3, **SMALL).fit(TEXTS, LABELS)
    session = clf.stream()
    for word in ("a", "very", "good", "film"):
        answer = session.feed(word)
    assert shares(answer) == clf.predict_proba(["a very good film"])[0].tolist()


def through_a_file(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state after a walk through a file."""
    return safetensors.torch.load(safetensors.torch.save(state))


def test_wrong_steps_leave_the_state_alone(clf: Classifier) -> None:
    numbers = Classifier(**SMALL).fit([np.zeros((2, 3)), np.ones((2, 3))], [0, 1])
    session = numbers.stream()
    before = session.feed([1.0, 2.0, 3.0])
    for wrong, message in (
        ([1.0, 2.0], "2 numbers a step, but the feature was fitted on 3"),
        ([1.0, 2.0, float("inf")], "infinite"),
        ("text", "steps"),
        (None, "steps"),
    ):
        with pytest.raises(DataError, match=message):
            session.feed(wrong)
    assert session.answer == before
    with pytest.raises(DataError, match="steps"):
        clf.stream().feed(3)


def test_bidirectional_is_refused() -> None:
    clf = Classifier(bidirectional=True, **SMALL).fit(TEXTS, LABELS)
    with pytest.raises(OptionError, match=r"bidirectional model cannot stream.*bidirectional=False"):
        clf.stream()
    clf.set_params(bidirectional=False)  # what counts is what was learnt
    with pytest.raises(OptionError, match="bidirectional"):
        clf.stream()


def test_not_fitted() -> None:
    with pytest.raises(NotFittedError):
        Classifier().stream()


# ---- the state


def test_state_out_and_in(clf: Classifier, tmp_path: Path) -> None:
    session = clf.stream()
    session.feed("a good")
    state = session.state
    after = session.feed("film b")
    other = clf.stream()
    other.state = state
    assert other.answer.steps == 2
    assert other.feed("film b") == after
    # through a file
    safetensors.torch.save_file(state, tmp_path / "state.safetensors")
    other.state = safetensors.torch.load_file(tmp_path / "state.safetensors")
    assert other.feed("film b") == after
    # through JSON
    text = json.dumps({name: [str(t.dtype), t.tolist()] for name, t in state.items()})
    read = {
        k: torch.tensor(v, dtype=getattr(torch, d.removeprefix("torch."))) for k, (d, v) in json.loads(text).items()
    }
    other.state = read
    assert other.feed("film b") == after


def test_state_is_a_copy(clf: Classifier) -> None:
    session = clf.stream()
    before = session.feed("a good")
    for tensor in session.state.values():
        tensor.zero_()
    assert session.answer == before
    state = session.state
    session.state = state
    for tensor in state.values():
        tensor.zero_()
    assert session.answer == before


def test_copies_go_their_own_way(clf: Classifier) -> None:
    session = clf.stream()
    session.feed("a good")
    twin = session.copy()
    one, two = session.feed("film"), twin.feed("bad")
    assert shares(one) == clf.predict_proba(["a good film"])[0].tolist()
    assert shares(two) == clf.predict_proba(["a good bad"])[0].tolist()
    session.reset()
    assert shares(session.answer) == clf.predict_proba([""])[0].tolist()
    assert session.answer.steps == 0


def test_many_sessions_of_one_model(clf: Classifier) -> None:
    sessions = [clf.stream() for _ in range(4)]
    for word in ("a", "good", "film"):
        for i, session in enumerate(sessions):
            session.feed(word if i % 2 else "b")
    assert shares(sessions[1].answer) == clf.predict_proba(["a good film"])[0].tolist()
    assert shares(sessions[2].answer) == clf.predict_proba(["b b b"])[0].tolist()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: {}, "state must hold"),
        (lambda s: None, "got NoneType"),
        (lambda s: {**s, "more": s["pool"]}, "more"),
        (lambda s: {**s, "pool": s["pool"][:, :, 1:]}, r"state\['pool'\] is torch.float64 \[1, 1, 7\]"),
        (lambda s: {**s, "pool": s["pool"].float()}, "torch.float32"),
        (lambda s: {**s, "steps": 3}, "is int"),
        (lambda s: {**s, "wide.recent": torch.tensor([[1]])}, "recent"),
    ],
)
def test_state_of_another_model(clf: Classifier, spoil: Any, message: str) -> None:
    session = clf.stream()
    before = session.feed("a good")
    with pytest.raises(DataError, match=message):
        session.state = spoil(session.state)
    assert session.answer == before


def test_session_keeps_its_weights(clf: Classifier) -> None:
    mine = Classifier(**SMALL).fit(TEXTS, LABELS)
    session, expected = mine.stream(), clf.predict_proba(["a good"])[0].tolist()
    mine.set_params(seed=9).fit(TEXTS, LABELS[::-1])
    assert shares(session.feed("a good")) == expected


def test_saved_model_streams_alike(clf: Classifier, tmp_path: Path) -> None:
    clf.save(tmp_path / "model")
    session = clf.stream()
    session.feed("a good")
    other = load(tmp_path / "model").stream()
    assert isinstance(other, Session)
    other.state = session.state
    assert other.feed("film") == session.feed("film")


def test_memory_does_not_grow() -> None:
    """Ten thousand steps leave a state as large as ten did."""
    clf = Classifier(ngrams=0, **SMALL).fit([np.zeros(3), np.ones(3)], [0, 1])
    session = clf.stream()
    session.feed(np.zeros(10))
    before = {name: tensor.shape for name, tensor in session.state.items()}
    session.feed(np.ones(10_000))
    assert {name: tensor.shape for name, tensor in session.state.items()} == before
    assert session.answer.steps == 10_010


def test_streams_nothing_but_evaluation(clf: Classifier) -> None:
    state = torch.get_rng_state()
    answer = clf.stream().feed("a good film")
    assert torch.equal(torch.get_rng_state(), state)
    assert not clf.network_.training
    assert not any(tensor.requires_grad for tensor in clf.stream().state.values())
    assert answer == clf.stream().feed("a good film")


def test_ragged_of_one(clf: Classifier) -> None:
    """The session agrees with the network itself, not only with the way `predict` cuts its batches."""
    ids = clf.feature_.transform(["a good film"])
    assert isinstance(ids, Ragged)
    session = clf.stream()
    session.feed("a good film")
    with torch.no_grad():
        logits = clf.network_(ids).double().numpy()
    wide = clf.wide_.logits(ids).double().numpy()  # type: ignore[union-attr]
    z = clf.stacking_weights_[0] * logits + clf.stacking_weights_[1] * wide
    np.testing.assert_allclose(shares(session.answer), np.exp(z[0]) / np.exp(z[0]).sum(), rtol=1e-12)
