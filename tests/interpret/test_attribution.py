"""What a step is said to have done adds up to what the model said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import elman
from elman.errors import DataError, OptionError
from elman.interpret.attribution import AttributionRequest, Explanation, explain
from elman.ragged import Ragged
from elman.tasks.classify.ngram_model import NgramModel

TEXTS = ["a good film", "what a fine film", "a bad film", "a poor and dull film", ""] * 8
LABELS = ["+", "+", "-", "-", "-"] * 8
NEW = ["a good and dull film", "", "bad bad unheard film film", "fine"]


@pytest.fixture(autouse=True)
def quick() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def reader(**options: Any) -> elman.Classifier:
    return elman.Classifier(hidden=8, embed=8, epochs=6, verbose=False, seed=0, **options).fit(TEXTS, LABELS)


def check_sums(found: Explanation) -> None:
    for one in found:
        assert np.isfinite(one.steps).all()
        difference = one.score - one.nothing
        assert abs(one.left_over) <= 0.01 * max(abs(difference), 0.01) + 1e-5
        assert one.steps.sum() == pytest.approx(difference - one.left_over, abs=1e-5)


def logits(model: elman.Classifier, texts: list[str]) -> np.ndarray[Any, Any]:
    return np.log(model.predict_proba(texts))


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru", "min_lstm", "lru"])
@pytest.mark.parametrize("ngrams", [0, None])
def test_the_steps_add_up_to_the_score(cell: str, ngrams: int | None) -> None:
    model = reader(cell=cell, ngrams=ngrams)
    found = model.explain(NEW)
    check_sums(found)
    chances = logits(model, NEW)
    for i, one in enumerate(found):
        assert one.answer == model.predict([NEW[i]])[0]
        assert one.score == pytest.approx(abs(chances[i, 0] - chances[i, 1]), abs=1e-4)  # log-odds of two classes
    assert [len(one.steps) for one in found] == [5, 0, 5, 1]
    assert list(found[0].symbols) == ["a", "good", "and", "dull", "film"]
    assert found.steps.lengths.tolist() == [5, 0, 5, 1]


@pytest.mark.parametrize("options", [{"pool": "max"}, {"pool": "last", "bidirectional": True, "layers": 2}])
def test_other_shapes_of_network(options: dict[str, Any]) -> None:
    check_sums(reader(**options).explain(NEW))


def test_words_that_decide_are_found() -> None:
    model = reader()
    for one in model.explain(["a good film", "a bad film"]):
        assert one.symbols[int(np.argmax(one.steps))] in ("good", "bad")


def test_a_class_of_ones_own_choosing() -> None:
    model = reader()
    one, other = model.explain(["a good film"], ["+"])[0], model.explain(["a good film"], ["-"])[0]
    np.testing.assert_allclose(one.steps, -other.steps, atol=1e-6)
    assert (one.answer, other.answer) == ("+", "-")


def test_many_classes() -> None:
    labels = ["a", "b", "c", "d"] * 10
    model = elman.Classifier(hidden=6, embed=6, epochs=3, verbose=False, seed=0).fit(TEXTS, labels)
    check_sums(model.explain(NEW))


def test_a_series_whose_first_step_tells() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(200, 12)).astype(np.float32) * 0.3, random.integers(0, 2, 200)
    x[:, 3] = 2 * y - 1
    model = elman.Classifier(hidden=12, epochs=15, minirocket=0, verbose=False, seed=0).fit(x, y)
    found = model.explain(x[:20])
    check_sums(found)
    assert np.mean([int(np.abs(one.steps).argmax()) == 3 for one in found]) > 0.8
    wide = elman.Classifier(hidden=4, epochs=1, verbose=False).fit(list(x[:, :, None].repeat(3, 2)), y)
    check_sums(wide.explain([x[0][:, None].repeat(3, 1)]))


def test_a_regressor() -> None:
    random = np.random.default_rng(0)
    x = [random.normal(size=(n, 2)) for n in (9, 5, 12, 7) * 10]
    y = np.array([[steps[2, 0], steps.sum()] for steps in x])
    model = elman.Regressor(hidden=8, epochs=3, verbose=False, seed=0).fit(x, y[:, 0])
    found = model.explain(x[:4])
    check_sums(found)
    np.testing.assert_allclose([one.score for one in found], model.predict(x[:4]), rtol=1e-4)
    both = elman.Regressor(hidden=8, epochs=1, verbose=False, seed=0).fit(x, y)
    np.testing.assert_allclose([one.score for one in both.explain(x[:4], 1)], both.predict(x[:4])[:, 1], rtol=1e-4)
    for wrong in (None, 2, "a"):
        with pytest.raises(OptionError, match="2 numbers"):
            both.explain(x, wrong)
    steps = [s[:, 0].cumsum() for s in x]
    live = elman.Regressor(hidden=8, epochs=1, every_step=True, verbose=False, seed=0).fit(x, steps)
    found = live.explain(x[:4])
    check_sums(found)
    np.testing.assert_allclose([one.score for one in found], [y[-1] for y in live.predict(x[:4])], rtol=1e-4)


def test_a_score_that_can_be_worked_out() -> None:
    """F = sum of squares: the integral of 2 a e^2 is e^2."""
    data = Ragged.of([[[1.0], [-2.0]], [[3.0]]])
    layer = torch.nn.Identity()
    question = AttributionRequest(
        [layer], data.lengths, lambda i: torch.stack([(s**2).sum() for s in (layer(data[i]))])
    )
    found = explain(question)
    np.testing.assert_allclose(found[0].steps, [1, 4], rtol=1e-6)
    assert (found[1].score, found[1].nothing) == (9.0, 0.0)


def test_a_batch_is_its_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    model = reader()
    together = model.explain(NEW)
    monkeypatch.setattr("elman.interpret.attribution.STEPS", 3)
    for one, other in zip(together, model.explain(NEW), strict=True):
        assert np.array_equal(one.steps, other.steps)


def test_contributions_of_ngrams() -> None:
    torch.manual_seed(0)
    ids = Ragged.of([torch.randint(0, 9, (n,)) for n in (7, 1, 0, 12, 3)])
    for classes in (2, 3):
        model = NgramModel(orders=(1, 2, 4), buckets=256, minimum=1)
        model = model.fit(ids, torch.tensor([0, 1, classes - 1, 0, 1]), classes)
        made = model.contributions(ids)
        sums = torch.stack([part.sum(0) for part in made.split(ids.lengths.tolist())])
        bias = model.logits(ids[[2]]).double()
        torch.testing.assert_close(sums + bias, model.logits(ids).double(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [([], None, "no sequences"), (["a"], ["+", "-"], "labels"), (["a"], ["?"], "none of the classes"), ([1], None, "")],
)
def test_what_cannot_be_explained(x: Any, y: Any, words: str) -> None:
    model = elman.Classifier(hidden=2, embed=2, epochs=0, verbose=False).fit(TEXTS, LABELS)
    with pytest.raises(DataError, match=words or None):
        model.explain(x, y)


def test_pictures_and_words() -> None:
    pytest.importorskip("matplotlib", reason="NOT TESTED: matplotlib (the extra plot) is missing")
    model = reader()
    found = model.explain([*NEW, "a $good$ 电影 " * 300])
    assert "good" in str(found[0])
    for one in found:
        picture = one.picture()
        assert picture is not None
        assert picture.startswith(b"\x89PNG")
    x = [np.zeros((0, 1)), np.ones((1, 1)), np.arange(5.0)[:, None]]
    numbers = elman.Classifier(hidden=2, epochs=0, verbose=False, scale="none").fit(x * 2, [0, 1] * 3)
    for one in numbers.explain(x):
        assert one.picture("title") is not None
        assert str(one)


def test_many_numbers_are_a_map_and_sound_is_in_seconds() -> None:
    pytest.importorskip("matplotlib", reason="NOT TESTED: matplotlib (the extra plot) is missing")
    x = [np.random.default_rng(i).normal(size=(5 + i, 9)) for i in range(6)]
    one = elman.Classifier(hidden=2, epochs=0, verbose=False).fit(x, [0, 1] * 3).explain(x[:1])[0]
    assert one.step == (1.0, "step")
    assert one.values is not None
    assert one.values.shape == (5, 9)
    assert (one.picture() or b"").startswith(b"\x89PNG")
    sounds = [(1000, np.random.default_rng(i).normal(size=400).astype(np.float32)) for i in range(6)]
    options: dict[str, Any] = {"feature": "sound", "bands": 8, "hidden": 2, "epochs": 0, "verbose": False}
    one = elman.Classifier(**options).fit([(s, r) for r, s in sounds], [0, 1] * 3).explain([sounds[0][::-1]])[0]
    assert one.step == (0.01, "seconds")
    assert "seconds" in str(one)
    assert (one.picture() or b"").startswith(b"\x89PNG")


def test_the_baseline_is_named() -> None:
    assert reader().explain(NEW)[0].baseline == "with every symbol unknown"
    x = [np.arange(5.0)[:, None], np.ones((3, 1))]
    numbers = elman.Classifier(hidden=2, epochs=0, verbose=False).fit(x * 3, [0, 1] * 3)
    assert numbers.explain(x)[0].baseline == "with every number at its mean"
