"""Numbers near the end of float32 and beyond, NaN and infinite: refused with their place, or answered with numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from elman import Classifier, Multitask, Regressor, Tagger
from elman.errors import DataError, ShapeError
from elman.evaluation.metrics import mae, r2, rmse
from elman.features import Images, Numbers

QUICK: dict[str, Any] = {"epochs": 1, "hidden": 3, "verbose": False, "seed": 0}
VALUES = [1e4, -1e20, 1e30, 1e37, 3e38, -3e38, 1e39, 1e300, -1.7e308, np.inf, -np.inf, np.nan]
RANDOM = np.random.default_rng(0)
SERIES = [RANDOM.normal(size=(4, 2)) for _ in range(6)]
FILMS = [RANDOM.normal(size=(2, 5, 4)) for _ in range(6)]
SOUNDS = [RANDOM.normal(size=900) / 9 for _ in range(6)]
COLUMNS: dict[str, tuple[Any, dict[str, Any], Callable[[float], Any]]] = {
    "numbers": (SERIES, {}, lambda v: [np.full((4, 2), v)]),
    "one of the numbers": (SERIES, {}, lambda v: [np.array([[0.0, 1.0], [v, 0.5]])]),
    "numbers as they are": (SERIES, {"scale": "none"}, lambda v: [np.full((4, 2), v)]),
    "decaying numbers": (SERIES, {"cell": "gru_d"}, lambda v: [np.full((4, 2), v)]),
    "numbers for an LSTM": (SERIES, {"cell": "lstm"}, lambda v: [np.full((4, 2), v)]),
    "a table": (RANDOM.normal(size=(6, 5)), {}, lambda v: np.full((1, 5), v)),
    "images": (FILMS, {}, lambda v: [np.full((2, 5, 4), v)]),
    "one pixel": (FILMS, {}, lambda v: [np.where(np.arange(20).reshape(1, 5, 4) == 7, v, 0.1)]),
    "maps": (FILMS, {"cell": "conv_lstm"}, lambda v: [np.full((2, 5, 4), v)]),
    "sound": (SOUNDS, {"feature": "sound", "rate": 8000}, lambda v: [np.full(900, v)]),
    "columns": (
        {"t": [f"good film {i}" for i in range(6)], "age": RANDOM.normal(size=6).tolist()},
        {},
        lambda v: {"t": ["good"], "age": [v]},
    ),
}


@pytest.mark.filterwarnings("error", "ignore:.*has samples up to", "ignore::elman.errors.ElmanWarning")
@pytest.mark.parametrize("name", COLUMNS)
def test_no_answer_is_nan(name: str) -> None:
    column, options, made = COLUMNS[name]
    classifier = Classifier(**QUICK, **options).fit(column, ["u", "v"] * 3)
    regressor = Regressor(**QUICK, **options).fit(column, [0.5, 1.5, 2.0] * 2)
    for value in VALUES:
        for ask in (classifier.predict_proba, classifier.decision_function, regressor.predict):
            try:
                assert np.isfinite(ask(made(value))).all()
            except DataError:
                assert abs(value) > 1e20 or np.isnan(value)


@pytest.mark.parametrize("scale", ["standard", "none"])
@pytest.mark.parametrize("value", [1e39, 1e300, -1e300])
def test_a_pixel_is_named(scale: str, value: float) -> None:
    images = Images(scale=scale).fit(FILMS)
    film = FILMS[0].copy()
    film[1, 3, 2] = value
    with pytest.raises(
        DataError, match=r"sequence 2, step 1 has a pixel of .* \(channel 0, row 3, column 2\), too large"
    ):
        images.transform([FILMS[1], FILMS[1][:0], film])


def test_images_of_any_size_are_scaled() -> None:
    films = [np.full((2, 3, 3), 1e300), np.full((2, 3, 3), -1e300)]
    assert np.allclose(Images().fit(films).transform(films).values.unique(), [-1, 1])
    constant = [np.full((2, 3, 3), 0.1)] * 7
    assert Images().fit_transform(constant).values.unique().tolist() == [0]


@pytest.mark.parametrize("shape", [(2, 28, 28, 3), (2, 32, 48, 1), (2, 9, 12, 4)])
def test_channels_that_stand_last_are_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"they seem to stand last\. Move them: np\.moveaxis"):
        Images().fit([np.zeros(shape)])
    Images().fit([np.moveaxis(np.zeros(shape), -1, 1)])


@pytest.mark.parametrize("count", range(1, 60))
def test_r2_of_a_truth_that_never_changes(count: int) -> None:
    for value in (0.1, -3.3, 1e9 + 0.1, 1e-300, 0.0):
        truth = np.full(count, value)
        assert r2(truth, truth + abs(value) + 0.1) == 0.0
        assert r2(truth, truth) == 1.0
        assert r2(np.append(truth, 5.0), np.append(truth, 7.0), np.append(np.ones(count), 0.0)) == 1.0


@pytest.mark.parametrize("metric", [mae, rmse, r2])
def test_weights(metric: Callable[..., float]) -> None:
    truth, answers = np.array([1.0, 2.0, np.nan]), np.array([1.0, 3.0, 1.0])
    for weights in ([0.0, 0.0, 0.0], [0.0, 0.0, 5.0]):
        with pytest.raises(DataError, match="sample_weight is 0 for every row"):
            metric(truth, answers, np.array(weights))
    for wrong in (-1.0, np.nan, np.inf):
        with pytest.raises(DataError, match="sample_weight: row 1 is"):
            metric(truth, answers, np.array([1.0, wrong, 1.0]))
    with pytest.raises(ShapeError, match="Give one for each"):
        metric(truth, answers, np.array([1.0, 1.0]))


def test_weights_of_scores() -> None:
    classes, numbers = ["u", "v"] * 3, [0.5, 1.5, 2.0] * 2
    models: list[tuple[Any, Any]] = [
        (Classifier(**QUICK).fit(SERIES, classes), classes),
        (Regressor(**QUICK).fit(SERIES, numbers), numbers),
        (Multitask(**QUICK).fit(SERIES, {"a": classes, "b": numbers}), {"a": classes, "b": numbers}),
    ]
    for model, y in models:
        with pytest.raises(DataError, match="sample_weight is 0 for every row"):
            model.score(SERIES, y, np.zeros(6))
        assert np.isfinite(model.score(SERIES, y, np.array([1.0, 0, 0, 1, 1, 0])))


def test_labels_of_steps() -> None:
    model = Tagger(**QUICK).fit(SERIES, [["x", "y", "x", "y"]] * 6)
    for value in VALUES:
        try:
            assert np.isfinite(model.predict_proba([np.full((2, 2), value)])[0]).all()
        except DataError:
            assert abs(value) > 1e20 or np.isnan(value)


@pytest.mark.parametrize("every", [0.1, 0.05, 0.2, 0.3, 0.7, 1 / 3, 1e-3, 2.5, 7])
@pytest.mark.parametrize("begin", [0.0, 1.0, -5.0, 12345.6])
def test_a_regular_series_is_not_torn_apart(every: float, begin: float) -> None:
    for times in (
        np.arange(300) * every,
        np.arange(300) / (1 / every),
        np.cumsum(np.full(300, every)),
        begin * every + np.arange(300) * every,
        (np.arange(300) * every).astype(np.float32),
    ):
        steps = np.column_stack([times, np.arange(300.0)])
        options: dict[str, Any] = {"fill": "constant", "constant": -1.0, "mask": False, "gap": False, "scale": "none"}
        made = Numbers(times=0, every=every, **options).fit_transform([steps])
        assert made.values.ravel().tolist() == list(range(300))


def test_times_that_are_whole_numbers_have_exact_borders() -> None:
    times = 1_700_000_000_000.0 + np.array([0, 999, 1000, 1999, 2000])  # milliseconds
    steps = np.column_stack([times, np.arange(5.0)])
    made = Numbers(times=0, every=1000, scale="none", mask=False, gap=False).fit_transform([steps])
    assert made.values.ravel().tolist() == [0.5, 2.5, 4.0]
