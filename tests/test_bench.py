"""The sides of the benchmarks compute the same: otherwise their times mean nothing. Tiny sizes, no timing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

BENCH = Path(__file__).parents[1] / "bench"
TOLERANCE = 1e-5  # float32, sums of some ten terms


@pytest.fixture(autouse=True)
def beside_bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """bench/ can be imported, and a side's choice of threads does not outlive the test."""
    threads = torch.get_num_threads()
    monkeypatch.syspath_prepend(str(BENCH))
    yield
    torch.set_num_threads(threads)
    ours = (
        "accelerate",
        "forecast",
        "layers",
        "onnx_layer",
        "precision",
        "quality",
        "results",
        "text_shortcut",
        "tutorial",
        "workers",
    )
    for name in ours:
        sys.modules.pop(name, None)


def job(cell: str, **options: Any) -> Any:
    from layers import Layer

    return replace(Layer(cell, (3, 1, 5), 4, 6, threads=1), **options)


def apart(side: Any, other: Any) -> float:
    return float(np.abs(side.answer() - other.answer()).max())


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_layers_agree(cell: str, training: bool, bidirectional: bool) -> None:
    from layers import ours, packed, padded

    layer = job(cell, training=training, bidirectional=bidirectional)
    assert apart(ours(layer), packed(layer)) < TOLERANCE
    if bidirectional:
        assert padded(layer).answer is None  # it reads the padding
    else:
        assert apart(ours(layer), padded(layer)) < TOLERANCE


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_onnx_agrees(cell: str, bidirectional: bool) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx_layer import onnx

    from layers import ours

    layer = job(cell, training=False, bidirectional=bidirectional)
    assert apart(ours(layer), onnx(layer)) < TOLERANCE


def test_tutorial_networks_agree() -> None:
    from tutorial import Job, in_torch

    ragged = Job(12, masked=True, batches=1, threads=1)
    first = in_torch(ragged, "elman")
    first.run()
    for kind in ("padded", "packed"):
        assert apart(first, in_torch(ragged, kind)) < TOLERANCE


@pytest.mark.parametrize(("package", "training"), [("flair", False), ("stanza", True), ("neuralforecast", True)])
def test_models_of_others_agree(package: str, training: bool) -> None:
    pytest.importorskip(package, reason=f"NOT TESTED: {package} is not installed")
    from accelerate import MODELS, side

    name = next(name for name, (of, _) in MODELS.items() if of == package)
    side(name, training, accelerated=True, threads=1)  # stops when they do not


def test_missing_side_stands_in_the_table() -> None:
    from workers import Row

    row = Row({"ours": [0.002, 0.004, 0.003]}, {"theirs": "not installed"})
    assert [row.ms("ours"), row.ms("theirs"), row.ratio("ours", "theirs")] == ["3.00", "not installed", ""]


def test_only_and_write_do_not_go_together() -> None:
    from results import chosen, speed_arguments

    options = speed_arguments("").parse_args(["--only", "b"])
    assert chosen(["ab", "c"], options) == ["ab"]
    options.write = True
    with pytest.raises(SystemExit, match="--only"):
        chosen(["ab", "c"], options)


def test_precision_pairs_the_seeds() -> None:
    from precision import measure, row
    from quality import Split

    texts, labels = ["a good film", "fine", "a bad film", "poor"], ["+", "+", "-", "-"]
    right, seconds = measure(Split(texts, labels, texts, labels), [0, 1])
    assert [len(side) for sides in right.values() for side in sides.values()] == [2] * 4
    assert [len(times) for times in seconds.values()] == [2, 2]
    assert row("both", [89.0, 90.0], [89.5, 89.5]) == [
        "both",
        "89.00 90.00",
        "89.50 89.50",
        "+0.00 (-0.50 to +0.50)",
        "0.71",
    ]


@pytest.mark.parametrize("training", [True, False])
def test_the_text_shortcut_computes_the_same(training: bool) -> None:
    from text_shortcut import Batch, embedding, jobs, side

    before = embedding.SHARED
    try:
        symbols = np.random.default_rng(0).integers(0, 50, 2000)
        given = Batch(symbols, np.array([0, 1200, 2000]), 51)
        job = next(job for job in jobs(1).values() if job.training == training)
        every, once = (side(job, given, shared).answer() for shared in (False, True))
    finally:
        embedding.SHARED = before
    assert every is not None
    assert np.array_equal(every, once)


def test_cells_are_as_large_as_the_lstm_and_learn() -> None:
    import cells

    for cell in cells.CELLS:
        wide = cells.width(cell, 8, 16)
        assert (
            0.9 * cells.parameters("lstm", 8, 16) < cells.parameters(cell, 8, wide) <= cells.parameters("lstm", 8, 16)
        )
        model = cells.Model(5, wide, cell)
        optimiser, losses = torch.optim.Adam(model.parameters(), 0.01), []
        (x, target), *_ = cells.streams(torch.arange(cells.STREAMS * cells.PIECE + 1) % 5)
        for _ in range(8):
            loss, state = model(x[:4, :20], target[:4, :20], None)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0]
        assert not any(part.requires_grad for layer in state for one in layer for part in one)
    times = cells.speed([3, 2], {"lstm": 4, "lru": 3}, 1)
    assert set(times) == {"lstm", "lru"}
    assert all(min(pair) > 0 for pair in times.values())


def test_forecast_sets(tmp_path: Path) -> None:
    from forecast import long, with_blocks

    series = [np.arange(100.0), np.arange(50.0)]
    assert long(["a", "b"], series)["ds"].to_list() == [*range(1, 101), *range(1, 51)]
    for share in (0.2, 0.5):
        for values, holes in zip(series, with_blocks(series, share), strict=True):
            assert np.isnan(holes).mean() == pytest.approx(share)
            assert (holes == values)[~np.isnan(holes)].all()


def test_ridge_learns_a_linear_rule_in_spite_of_gaps() -> None:
    from forecast import Ridge

    random = np.random.default_rng(0)
    beside = random.normal(size=(2000, 1))
    values = np.zeros(2000)
    for t in range(2, 2000):
        values[t] = 1.2 * values[t - 1] - 0.5 * values[t - 2] + 0.5 * beside[t - 1, 0] + random.normal(0, 0.05)
    truth = values[1500:1990]
    holed = values.copy()
    holed[random.integers(10, 1400, 40)] = np.nan
    at = np.arange(1500, 1990)
    errors = [
        np.abs(Ridge(lags=5, horizon=1, strength=0.1).fit(holed[:1500], b).predict(values, at, c)[:, 0] - truth).mean()
        for b, c in ((None, None), (beside[:1500], beside))
    ]
    assert errors[1] < 0.08 < errors[0]
