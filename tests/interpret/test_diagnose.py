"""The doctor: constructed networks get the verdict that they were made for, and nothing he says is NaN."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

import elman
from elman.errors import DataError, OptionError
from elman.interpret.diagnose import diagnose
from elman.interpret.diagnosis import Diagnosis
from table import CELLS

#: Cells whose gates see the state: they can explode.
WITH_STATE = ["rnn", "rnn_relu", "lstm", "gru", "gru_reset_before", "gru_d", "ln_lstm", "conv_lstm"]


@pytest.fixture(autouse=True)
def quick() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def fitted(cell: str = "lstm", steps: int = 60, **options: Any) -> tuple[elman.Classifier, Any, list[str]]:
    """A network as it was drawn, over sequences of small noise."""
    x = np.random.default_rng(0).normal(size=(8, steps, 2)).astype(np.float32) * 0.01
    given = {"hidden": 6, "pool": "last", "scale": "none", "dropout": 0.0, "epochs": 0, "verbose": False, "seed": 0}
    given["channels"] = 0  # the cell reads what is given
    labels = ["a", "b"] * 4
    return elman.Classifier(cell=cell, **{**given, **options}).fit(list(x), labels), list(x), labels


def cell_of(model: elman.Classifier) -> Any:
    return model.network_.encoder.layers[0][0]


@torch.no_grad()
def forgetful(cell: Any) -> None:
    """Every state is forgotten within a few steps."""
    h = cell.hidden
    if "weight_hh" in dict(cell.named_parameters()):
        cell.weight_hh.mul_(0.1)
    for name, parameter in cell.named_parameters():
        if name in ("bias_ih", "bias"):
            parameter.zero_()
    kind = type(cell).__name__
    if kind in ("LSTM", "LayerNormLSTM"):
        (cell.bias if kind == "LayerNormLSTM" else cell.bias_ih)[h : 2 * h] = -4.0
        if kind == "LayerNormLSTM":
            cell.gain_hh.fill_(0.01)
    elif kind == "ConvLSTM":
        cell.bias[h : 2 * h] = -4.0
    elif kind in ("GRU", "GRUD"):
        cell.bias_ih[h : 2 * h] = -4.0
    elif kind == "ResetBeforeGRU":
        cell.bias[h : 2 * h] = -4.0
    elif kind == "MinGRU":
        cell.bias_ih[:h] = 4.0
    elif kind == "MinLSTM":
        cell.bias_ih[:h], cell.bias_ih[h : 2 * h] = -4.0, 4.0
    elif kind == "LRU":
        cell.nu_log.fill_(math.log(-math.log(0.3)))


@torch.no_grad()
def mindful(cell: Any) -> None:
    """The state stays as it is, or nearly."""
    h, kind = cell.hidden, type(cell).__name__
    if kind in ("RNN", "ReluRNN"):
        cell.weight_hh.copy_(torch.eye(h))
        cell.bias_ih.fill_(0.01 if kind == "ReluRNN" else 0.0)
    elif kind in ("LSTM", "LayerNormLSTM"):
        (cell.bias if kind == "LayerNormLSTM" else cell.bias_ih)[h : 2 * h] = 8.0
        if kind == "LayerNormLSTM":
            cell.gain_hh.fill_(0.01)
        else:
            cell.weight_hh.zero_()
    elif kind == "ConvLSTM":
        cell.bias[h : 2 * h] = 8.0
        cell.weight_hh.zero_()
    elif kind in ("GRU", "GRUD"):
        cell.bias_ih[h : 2 * h] = 6.0
        if kind == "GRUD":
            cell.weight_dh.zero_()
    elif kind == "ResetBeforeGRU":
        cell.bias[h : 2 * h] = 6.0
    elif kind == "MinGRU":
        cell.bias_ih[:h] = -6.0
    elif kind == "MinLSTM":
        cell.bias_ih[:h], cell.bias_ih[h : 2 * h] = 4.0, -4.0
    elif kind == "LRU":
        cell.nu_log.fill_(math.log(-math.log(0.999)))


@torch.no_grad()
def excitable(cell: Any) -> None:
    """Around h = 0, where small inputs leave it, every step makes a difference larger."""
    if type(cell).__name__ == "LayerNormLSTM":  # what counts is the gain: the size of U is divided out again
        cell.gain_hh.fill_(16.0)
        cell.bias[cell.hidden : 2 * cell.hidden] = 4.0
        return
    eye = torch.eye(cell.hidden)
    if type(cell).__name__ == "ConvLSTM":  # of one pixel: the middle of its kernel is all that it sees
        cell.weight_hh.zero_()[:, :, 1, 1] = torch.cat([eye] * 4) * 2.0
        cell.weight_ih.mul_(1e-6)
        return
    gates = cell.weight_hh.shape[0] // cell.hidden
    cell.weight_hh.copy_(torch.cat([eye] * gates) * {1: 1.3, 3: 8.0, 4: 2.0}[gates])
    cell.weight_ih.mul_(1e-6)
    if type(cell).__name__ == "GRUD":
        cell.weight_dh.zero_()
    if type(cell).__name__ == "ReluRNN":
        cell.bias_ih.fill_(0.01)


def asked(model: elman.Classifier, x: Any, y: Any) -> Diagnosis:
    found = model.diagnose(x, y)
    json.dumps(found.to_json(), allow_nan=False)  # raises for a NaN
    return found


@pytest.mark.parametrize("name", CELLS)
def test_a_network_that_forgets_vanishes(name: str) -> None:
    model, x, y = fitted(name)
    forgetful(cell_of(model))
    found = asked(model, x, y)
    assert found.verdict == "vanishing", found
    assert found.layers[0].memory(0.01) < 20
    assert any("pool" in line for line in found.advice)


@pytest.mark.parametrize("name", CELLS)
def test_a_network_that_remembers_is_healthy(name: str) -> None:
    model, x, y = fitted(name)
    mindful(cell_of(model))
    found = asked(model, x, y)
    assert found.verdict == "healthy", found
    assert found.layers[0].at(30) > 0.05


@pytest.mark.parametrize("name", WITH_STATE)
def test_a_network_with_large_weights_explodes(name: str) -> None:
    model, x, y = fitted(name)
    excitable(cell_of(model))
    found = asked(model, x, y)
    assert found.verdict == "exploding", found
    assert any("clip" in line for line in found.advice)
    assert any("spectral radius" in line for line in found.advice) == (name not in ("ln_lstm", "conv_lstm"))


def test_cells_that_can_explode_are_all_tried() -> None:
    assert [name for name, row in CELLS.items() if hasattr(row.make(2 * row.blocks, 2), "weight_hh")] == WITH_STATE


def test_numbers_of_a_network_that_can_be_worked_out() -> None:
    """h_t = tanh(h_{t-1} / 2) around 0: a half a step, so 1/e from 3 steps on, 1 % from 8 on."""
    model, x, y = fitted("rnn", steps=30)
    cell = cell_of(model)
    with torch.no_grad():
        cell.weight_hh.copy_(torch.eye(6) / 2)
        cell.weight_ih.zero_()
    layer = asked(model, x, y).layers[0]
    np.testing.assert_allclose(layer.relative, [0.5 ** (k - 1) for k in layer.back], rtol=1e-9)
    assert (layer.memory(), layer.memory(0.01)) == (3, 8)
    assert layer.radius == {"h": 0.5}
    assert (layer.look_back, layer.sequences, layer.steps, layer.verdict) == (15, 8, 240, "vanishing")
    assert (layer.gates["h"].mean, layer.gates["h"].saturated) == (0.0, 0.0)


def test_a_pool_that_reads_every_step_is_not_called_vanishing() -> None:
    model, x, y = fitted("lstm", pool="mean")
    forgetful(cell_of(model))
    found = asked(model, x, y)
    assert found.verdict == "healthy"
    assert found.layers[0].at(30) < 0.01 < found.layers[0].at(30, total=True)
    assert "reads every step" in str(found)


@pytest.mark.parametrize("options", [{"layers": 2}, {"bidirectional": True, "pool": "mean"}, {"checkpointing": True}])
def test_every_layer_and_direction_is_looked_at(options: dict[str, Any]) -> None:
    found = asked(*fitted("gru", **options))
    names = [layer.name for layer in found.layers]
    expected = ["layer 1", "layer 2"] if "layers" in options else ["layer 1", "layer 1, backwards"]
    assert names == (expected if "checkpointing" not in options else ["layer 1"])
    assert all(layer.verdict != "silent" for layer in found.layers)


def test_what_reads_backwards_and_is_not_read() -> None:
    """pool="last" sees the first of all steps that the second direction takes."""
    found = asked(*fitted("gru", bidirectional=True))
    assert found.layers[1].verdict == "silent"
    assert found.verdict == "vanishing"
    assert any("layer 1, backwards ends its walk at the first step" in line for line in found.advice)


def test_saturated_gates_are_counted() -> None:
    model, x, y = fitted("lstm")
    with torch.no_grad():
        cell_of(model).bias_ih.copy_(torch.tensor([-9.0, 9.0, 9.0, 0.0]).repeat_interleave(6))
    gates = asked(model, x, y).layers[0].gates
    assert [gates[name].saturated for name in "ifgo"] == [1.0, 1.0, 1.0, 0.0]
    assert (gates["i"].low, gates["f"].high, gates["g"].high) == (1.0, 1.0, 1.0)
    assert all(sum(gate.histogram) == pytest.approx(1) for gate in gates.values())


def test_batches_and_saving_change_nothing(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, y = fitted("gru")
    x = [steps[: 5 + 7 * i] for i, steps in enumerate(x)]
    found = model.diagnose(x, y).to_json()
    model.save(tmp_path / "model")
    assert elman.load(tmp_path / "model").diagnose(x, y).to_json() == found
    monkeypatch.setattr("elman.interpret.diagnose.STEPS", 10)
    for ours, other in zip(model.diagnose(x, y).layers, [found["layers"][0]], strict=True):
        np.testing.assert_allclose(ours.relative, other["relative"], rtol=1e-6)
        assert ours.back == other["back"]


def test_texts_and_labels() -> None:
    texts, labels = ["a good film", "", "bad", "so very bad a film"] * 4, ["+", "+", "-", "-"] * 4
    model = elman.Classifier(hidden=4, embed=4, epochs=1, verbose=False).fit(texts, labels)
    before = [None if p.grad is None else p.grad.clone() for p in model.network_.parameters()]
    with_truth, own = model.diagnose(texts, labels), model.diagnose(texts)
    assert with_truth.sequences == own.sequences == 12  # those with steps
    for old, p in zip(before, model.network_.parameters(), strict=True):
        assert (old is None and p.grad is None) or torch.equal(old, p.grad)
    assert not model.network_.training
    assert model.diagnose(texts, sequences=5).sequences == 5


@pytest.mark.parametrize(
    ("x", "y", "error", "words"),
    [
        ([], [], DataError, "0 sequences"),
        ([np.zeros((0, 2))], ["a"], DataError, "none of which has a step"),
        ([np.zeros((3, 5))], ["a"], DataError, "5"),
        ([np.zeros((3, 2))], ["a", "b"], DataError, "one label a sequence"),
        ([np.zeros((3, 2))], ["c"], DataError, "'c'"),
        (["text"], ["a"], DataError, "text"),
    ],
)
def test_what_cannot_be_looked_at(x: Any, y: Any, error: type[Exception], words: str) -> None:
    model, _, _ = fitted(steps=5)
    with pytest.raises(error, match=words):
        model.diagnose(x, y)


def test_sequences_must_be_a_number() -> None:
    model, x, y = fitted(steps=5)
    for wrong in (0, -1, 2.5, None, True):
        with pytest.raises(OptionError, match="sequences"):
            model.diagnose(x, y, sequences=wrong)


def test_not_fitted() -> None:
    with pytest.raises(ValueError, match="not fitted"):
        elman.Classifier().diagnose([[1.0]], [1])


def test_sequences_of_one_step() -> None:
    found = asked(*fitted(steps=1))
    assert found.verdict == "too short"
    assert "no sequence has two steps" in str(found)
    assert found.tables()
    assert found.layers[0].memory() is None


def test_a_frozen_network() -> None:
    model, x, y = fitted(steps=9)
    free = model.diagnose(x, y).to_json()
    for parameter in model.network_.parameters():
        parameter.requires_grad_(False)
    assert model.diagnose(x, y).to_json() == free
    assert not any(p.requires_grad for p in model.network_.parameters())


def test_a_loss_without_gradient_is_silent() -> None:
    model, x, y = fitted()
    with torch.no_grad():
        model.network_.head.weight.zero_()
    assert asked(model, x, y).verdict == "silent"


@pytest.mark.parametrize("every_step", [False, True])
def test_a_regressor(every_step: bool) -> None:
    x = [np.random.default_rng(i).normal(size=(5 + i, 2)) for i in range(8)]
    y = [steps.sum(1) if every_step else steps.sum() for steps in x]
    if every_step:
        y[0][-1] = np.nan  # unknown: no gradient enters there
    else:
        y[0] = np.nan
    model = elman.Regressor(cell="gru", hidden=4, epochs=1, pool="last", every_step=every_step, verbose=False).fit(x, y)
    for truth in (y, None):
        found = asked(model, x, truth)
        assert found.verdict == "healthy"
        assert found.layers[0].relative[0] == 1.0


def test_a_module_without_cells() -> None:
    from elman.interpret.diagnose import DiagnosisRequest

    probe = DiagnosisRequest(torch.nn.Linear(1, 1), torch.tensor([1]), lambda i: torch.zeros(1, requires_grad=True), {})
    with pytest.raises(DataError, match="no recurrent cell"):
        diagnose(probe)


def test_it_is_drawn_and_told() -> None:
    pytest.importorskip("matplotlib", reason="NOT TESTED: matplotlib (the extra plot) is missing")
    for options in ({"layers": 3, "bidirectional": True}, {"cell": "rnn_relu"}, {"steps": 1}, {"steps": 300}):
        found = asked(*fitted(**options))
        picture = found.picture("film $ 电影")
        assert picture is not None
        assert picture.startswith(b"\x89PNG")
        assert picture == found.picture("film $ 电影")
        assert str(found).startswith(found.verdict)


def test_the_command(tmp_path: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from elman.cli.main import main

    monkeypatch.chdir(tmp_path)
    rows = [f"a {word} film number {i % 9},{label}" for i in range(20) for word, label in (("good", "+"), ("bad", "-"))]
    (tmp_path / "reviews.csv").write_text("\n".join(["review,label", *rows]), "utf-8")
    fit = ["--input", "review", "--target", "label", "--out", "model", "--hidden", "4", "--epochs", "1"]
    assert main(["fit", "classify", "reviews.csv", *fit]) == 0
    capsys.readouterr()
    assert main(["inspect", "model", "--data", "reviews.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["layers"][0]["cell"] == "LSTM"
    pytest.importorskip("matplotlib")
    assert main(["inspect", "model", "--data", "reviews.csv", "--out", "gradient.png"]) == 0
    told = capsys.readouterr().out
    assert "steps to 1/e" in told
    assert "plotted to gradient.png" in told
    assert main(["inspect", "model", "--data", "reviews.csv", "--out", "two.png", "--beside", "model"]) == 0
    assert (tmp_path / "two.png").read_bytes() != (tmp_path / "gradient.png").read_bytes()
    capsys.readouterr()
    assert main(["inspect", "model", "--data", "reviews.csv", "--beside", "model"]) == 2
    assert "--out names no picture" in capsys.readouterr().err
    (tmp_path / "bare.csv").write_text("review\na good film\n", "utf-8")
    assert main(["inspect", "model", "--data", "bare.csv"]) == 0
    for wrong in (["--out", "model/x.png"], ["--out", "x.jpg"], ["--out", "no/x.png"], ["--target", "lable"]):
        assert main(["inspect", "model", "--data", "reviews.csv", *wrong]) == 2, wrong
    assert not (tmp_path / "model" / "x.png").exists()


def test_sequences_that_reach_so_far_are_counted() -> None:
    network = elman.Encoder(2, 3)
    lengths = [2, 3, 3, 9]
    x = elman.Ragged.of([torch.randn(length, 2) for length in lengths])
    from elman.interpret.diagnose import DiagnosisRequest

    def loss(chosen: torch.Tensor) -> torch.Tensor:
        y, _ = network(x[chosen.tolist()])
        return torch.stack([one.square().sum() for one in y])

    found = diagnose(DiagnosisRequest(network, x.lengths, loss, {})).layers[0]
    assert found.back == list(range(1, 9))
    assert found.reached == [sum(length > k for length in lengths) for k in found.back]


@pytest.mark.parametrize(
    ("carried", "total", "reached", "end", "pale"),
    [
        ([1.0, 0.1, 0.01], [1.0, 0.1, 0.01], [9, 9, 9], 3, 3),
        ([1.0, 1e-13, 1e-20, 1e-30], [1.0, 1e-13, 1e-20, 1e-30], [1] * 4, 2, 2),  # one cut below the axis, no more
        ([1.0, 1e-13, 1e-20, 1e-30], [1.0, 1.0, 1.0, 1.0], [1] * 4, 4, 4),
        ([1.0, 1e-13, 0.5], [1.0, 1e-13, 0.5], [90, 20, 8], 3, 2),
    ],
)
def test_curves_end_where_nothing_is_left(
    carried: list[float], total: list[float], reached: list[int], end: int, pale: int
) -> None:
    from elman.interpret.diagnosis_plot import Curve, few_from, visible

    shown = visible(Curve("layer 1", list(range(1, len(carried) + 1)), carried, total, reached))
    assert len(shown.back) == len(shown.carried) == len(shown.total) == len(shown.reached) == end
    assert few_from(shown) == pale
