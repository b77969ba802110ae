"""Pre-trained word vectors in every task that has embeddings of words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from elman import tasks
from elman.errors import DataError, OptionError
from table import NUMBERS, SOUNDS, TASKS, TEXTS, TINY, WORDS

WITH_WORDS = ["classify", "multitask", "tag", "generate", "translate"]  # whose row of the table has words
VECTORS = {"good": [1.0, 2, 3, 4, 5], "film": [-1.0, 0, 1, 0, -1], "Bad": [0.5, 0.5, 0.5, 0.5, 0.5]}
FILE = "".join(f"{word} {' '.join(map(str, row))}\n" for word, row in VECTORS.items())


def vectors(folder: Path) -> str:
    path = folder / "mini.vec"
    path.write_text(f"3 5\n{FILE}", "utf-8")
    return str(path)


def untrained(verb: str, file: str, **options: Any) -> Any:
    """A model of one epoch so slow that the embeddings stay where they start."""
    row, kind = TASKS[verb], tasks.TASKS[verb]
    given = {**TINY, **row.options, "learning_rate": 1e-12, "vectors": file, **options}
    given.pop("embed", None)
    units = {"generate": {"unit": "words"}, "translate": {"unit": "words"}}.get(verb, {})
    return kind(**given, **units).fit(*row.data)


def embedding(model: Any) -> tuple[Any, torch.Tensor]:
    layer = model.network_.input
    return model.feature_, getattr(layer, "words", layer).weight


@pytest.mark.parametrize("verb", WITH_WORDS)
def test_embeddings_start_from_the_vectors(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = untrained(verb, vectors(tmp_path), verbose=True)
    feature, weight = embedding(model)
    words = feature.embedded_words()
    assert weight.shape[1] == 5
    for word, row in VECTORS.items():
        assert torch.allclose(weight[1 + words.index(word.lower())], torch.tensor(row), atol=1e-6)
    if others := [i for i, word in enumerate(words, 1) if word.capitalize() not in VECTORS and word not in VECTORS]:
        assert 0.5 < weight[others].abs().max() < 2 * np.std(list(VECTORS.values())) * np.sqrt(3)
    assert "word vectors: mini.vec, 5 numbers each, 3 of " in capsys.readouterr().err
    assert model.data_["word vectors"].startswith("mini.vec, 5 numbers each, 3 of")
    assert model.vectors is not None


@pytest.mark.parametrize("verb", WITH_WORDS)
def test_a_saved_model_needs_no_file(verb: str, tmp_path: Path) -> None:
    file = vectors(tmp_path)
    model = untrained(verb, file, learning_rate=1e-2)
    model.save(tmp_path / "model")
    Path(file).unlink()
    again = tasks.load(tmp_path / "model")
    assert (again.vectors, again.embed) == (None, 5)
    assert torch.equal(embedding(again)[1], embedding(model)[1])
    if verb == "generate":
        assert again.score(*TASKS[verb].data) == model.score(*TASKS[verb].data)
    else:
        assert str(again.predict(TASKS[verb].data[0])) == str(model.predict(TASKS[verb].data[0]))


def test_every_member_and_every_column_starts_from_them(tmp_path: Path) -> None:
    file = vectors(tmp_path)
    tagger = untrained("tag", file, ensemble_size=2)
    at = 1 + tagger.feature_.embedded_words().index("film")
    rows = [member.input.words.weight[at] for member in tagger.network_.ensemble]
    assert all(torch.allclose(row, torch.tensor(VECTORS["film"]), atol=1e-6) for row in rows)
    frame = pl.DataFrame({"a": TEXTS, "b": TEXTS[::-1], "y": ["u", "v"] * 6})
    options = {**TINY, "vectors": file, "learning_rate": 1e-12, "features": {"a": "text", "b": "text"}}
    model = tasks.Classifier(**options).fit(frame, "y")
    rows = [layer.weight[1 + layer_words.index("good")] for layer, layer_words in _columns(model)]
    assert len(rows) == 2
    assert all(torch.allclose(row, torch.tensor(VECTORS["good"]), atol=1e-6) for row in rows)


def _columns(model: Any) -> list[tuple[Any, list[str]]]:
    features = [feature for group in model.feature_.feature_groups() for feature in group]
    return [(layer, f.embedded_words()) for layer, f in zip(model.network_.inputs, features, strict=True)]


def test_pretraining_goes_on_from_them(tmp_path: Path) -> None:
    options = {"pretrain": ["a good film"], "pretrain_epochs": 0, "ngrams": 0}
    model = untrained("classify", vectors(tmp_path), **options)
    feature, weight = embedding(model)
    at = 1 + feature.embedded_words().index("good")
    assert torch.allclose(weight[at], torch.tensor(VECTORS["good"]), atol=1e-6)


def test_a_resumed_fit_needs_no_other_options(tmp_path: Path) -> None:
    file, row = vectors(tmp_path), TASKS["classify"]
    one = tasks.Classifier(**{**TINY, "vectors": file, "epochs": 2}).fit(*row.data, out=tmp_path / "run")
    two = tasks.Classifier(**{**TINY, "vectors": file, "epochs": 2}).fit(*row.data)
    assert torch.equal(embedding(one)[1], embedding(two)[1])


@pytest.mark.parametrize(
    ("make", "data", "message"),
    [
        (lambda file: tasks.Classifier(**TINY, vectors=file, embed=7), (TEXTS, ["u", "v"] * 6), "embed = 7, but"),
        (
            lambda file: tasks.Regressor(**TINY, vectors=file),
            (NUMBERS, range(12)),
            "vectors has no meaning for num",
        ),
        (
            lambda file: tasks.Transcriber(**TINY, vectors=file, channels=4),
            (SOUNDS, ["ab", "ba", "a"] * 2),
            "vectors has no meaning for num",
        ),
        (lambda _: tasks.Classifier(**TINY, vectors=3), (TEXTS, ["u", "v"] * 6), "vectors = 3 must be the name of a f"),
    ],
)
def test_where_they_have_no_meaning(make: Any, data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=message):
        make(vectors(tmp_path)).fit(*data)


def test_a_file_of_other_words_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "zh.vec"
    path.write_text("好 1 2\n", "utf-8")
    with pytest.raises(DataError, match=r"zh.vec has a vector for none of the \d+ words"):
        tasks.Tagger(**TINY, vectors=str(path)).fit(WORDS, WORDS)
