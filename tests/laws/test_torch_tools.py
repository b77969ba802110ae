"""Tools of torch around a layer: tracing, exporting and counting see torch's layer, and transforms what is mapped."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_sequence
from torch.utils.flop_counter import FlopCounterMode

from agree import close, same_bits
from elman import cells, nn
from elman.errors import OptionError, ShapeError
from elman.ops import functional as ops
from elman.ragged import Ragged
from table import TWINS

ALL = ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"]


def made(name: str, accelerated: bool, *sizes: int, **options: Any) -> Any:
    layer = getattr(torch.nn if accelerated else nn, name)(*(sizes or (3, 4)), **options)
    nn.accelerate(layer)
    return layer


def tensors(thing: Any) -> list[Tensor]:
    if isinstance(thing, PackedSequence):
        return [thing.data]
    return [thing] if isinstance(thing, Tensor) else [t for part in thing for t in tensors(part)]


both = pytest.mark.parametrize("accelerated", [True, False])


# ---------------------------------------------------------------------------------------------- tracing, exporting


class Net(torch.nn.Module):
    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList([layer])

    def forward(self, x: Tensor, hx: Any = None) -> Any:
        answer = self.layers[0](x, hx)
        return answer if type(self.layers[0]).__name__ in ("RNNCell", "GRUCell") else answer[0]


@both
@pytest.mark.parametrize("name", ALL)
def test_fx_records_a_layer_as_a_module(name: str, accelerated: bool) -> None:
    net, x = Net(made(name, accelerated)), torch.randn(2, 3)
    graph = torch.fx.symbolic_trace(net, concrete_args={"hx": None})
    assert [node.target for node in graph.graph.nodes if node.op == "call_module"] == ["layers.0"]
    assert same_bits(graph(x), net(x))
    assert isinstance(graph.get_submodule("layers.0"), torch.nn.Module)


@pytest.mark.filterwarnings("ignore:The tensor attributes .* were assigned during export")  # by torch's layers
@both
@pytest.mark.parametrize("name", ALL)
def test_onnx_records_torchs_own_operators(name: str, accelerated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As torch.onnx.export sees a model; the package that it needs beside torch is not one of ours."""
    import torch.onnx

    net, x = Net(made(name, accelerated)).eval(), torch.randn(2, 3)
    expected = net(x)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    with torch.no_grad():
        graph = torch.export.export(net, (x,)).graph
    assert not [node for node in graph.nodes if "elman" in str(node.target)]
    assert close(net(x), expected, torch.float32)


@both
@pytest.mark.parametrize("name", ALL)
def test_operations_are_counted(name: str, accelerated: bool) -> None:
    layer, x = made(name, accelerated, 5, 7), torch.randn(6, 5)
    gates = layer.weight_ih_l0.shape[0] if isinstance(layer, torch.nn.RNNBase) else layer.weight_ih.shape[0]
    with FlopCounterMode(display=False) as counter:
        y = tensors(layer(x))[0]
    forward = counter.get_total_flops()
    assert forward == 2 * 6 * gates * (5 + 7)
    with FlopCounterMode(display=False) as counter:
        y.sum().backward()
    assert counter.get_total_flops() == pytest.approx(2 * forward, rel=0.25)  # x has no gradient here


# ---------------------------------------------------------------------------------------------------- transforms


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # dual tensors are torch's own use of it
@both
@pytest.mark.parametrize("name", ALL)
def test_transforms_around_a_layer_that_has_no_part_in_them(name: str, accelerated: bool) -> None:
    layer, x, scales = made(name, accelerated), torch.randn(2, 3), torch.tensor([1.0, 2.0, 3.0])
    y = tensors(layer(x))[0]

    def scaled(scale: Tensor) -> Tensor:
        return tensors(layer(x))[0] * scale

    found = torch.func.vmap(scaled)(scales)
    assert close(found, y * scales[:, None, None], torch.float32)
    found.sum().backward()
    expected = torch.autograd.grad(6 * tensors(layer(x))[0].sum(), list(layer.parameters()))
    assert all(close(p.grad, d, torch.float32) for p, d in zip(layer.parameters(), expected, strict=True))
    value, tangent = torch.func.jvp(scaled, (scales[1],), (scales[2],))
    assert close(value, 2 * y, torch.float32)
    assert close(tangent, 3 * y, torch.float32)
    assert close(
        torch.func.grad(lambda scale: scaled(scale).square().sum())(scales[0]), 2 * y.square().sum(), torch.float32
    )


@pytest.mark.parametrize("name", [name for name in cells.CELLS if name not in ("gru_d", "conv_lstm")])
def test_transforms_around_a_cell_that_has_no_part_in_them(name: str) -> None:
    cell, x = cells.CELLS[name](3, 4), Ragged.of([torch.randn(3, 3), torch.randn(1, 3)])
    y = cell(x)[0].values
    found = torch.func.vmap(lambda scale: cell(x)[0].values * scale)(torch.tensor([1.0, 2.0]))
    assert close(found, torch.stack([y, 2 * y]), torch.float32)
    found.sum().backward()
    assert all(p.grad is not None for p in cell.parameters())


def test_what_is_mapped_is_refused() -> None:
    cell, layer, x = cells.LSTM(3, 4), nn.LSTM(3, 4), torch.randn(5, 2, 3)
    with pytest.raises(OptionError, match=r"torch.func's transforms .* cannot go through elman's kernels"):
        torch.func.vmap(lambda x: cell(Ragged._trusted(x, torch.tensor([0, 2])))[0].values)(x)
    weights = {name: torch.stack([p, p]) for name, p in layer.named_parameters()}
    with pytest.raises(OptionError, match=r"Instead of vmap over weights .* loop over the layers, or use torch.nn's"):
        torch.func.vmap(lambda weights: torch.func.functional_call(layer, weights, (x,))[0])(weights)


# ---------------------------------------------------------------------------------------------------------- types


@pytest.mark.filterwarnings(
    "ignore:bfloat16 was asked for", "ignore:LSTM with projections is not supported with oneDNN"
)
@pytest.mark.parametrize("packed", ["no", "even", "uneven"])
@pytest.mark.parametrize("of_x", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("of_state", [torch.float32, torch.bfloat16, None])
@pytest.mark.parametrize("name", ALL)
def test_a_state_has_a_say_in_the_type(name: str, of_state: torch.dtype | None, of_x: torch.dtype, packed: str) -> None:
    """Under autocast, as in torch: a float32 state stays one, whatever comes in."""
    theirs = getattr(torch.nn, name)(8, 16)
    mine, step = copy.deepcopy(theirs), isinstance(theirs, torch.nn.RNNCellBase)
    ours = made(name, False, 8, 16)
    nn.accelerate(mine)
    x, h = torch.randn(3, 8).to(of_x), torch.randn(3 if step else 1, 16).to(of_state or torch.float32)
    given: Any = x
    state: Any = h
    if packed != "no" and not step:
        given = pack_sequence([x, x if packed == "even" else x[:2]])
        state = h.expand(1, 2, 16).contiguous()
    state = None if of_state is None else (state, state) if name.startswith("LSTM") else state
    with torch.autocast("cpu", torch.bfloat16):
        expected, *found = (tensors(layer(given, state)) for layer in (theirs, mine, ours))
    for answer in found:
        assert [t.dtype for t in answer] == [t.dtype for t in expected]
        assert len({t.dtype for t in answer}) == 1


def test_a_float32_state_is_not_rounded_at_each_step() -> None:
    if not ops.info()["bfloat16"]:
        pytest.skip("NOT TESTED: this processor does not multiply bfloat16")
    cell, h = nn.GRUCell(8, 16), torch.rand(3, 16)
    with torch.autocast("cpu", torch.bfloat16):
        found = cell(torch.randn(3, 8).bfloat16(), h)
    assert not same_bits(found, found.bfloat16().float())


@both
@pytest.mark.parametrize("name", ALL)
def test_bfloat16_is_not_mixed_in_silence(name: str, accelerated: bool) -> None:
    """As torch: without autocast the input, the weights and the state have one type."""
    layer = made(name, accelerated)
    x, h = torch.randn(2, 3), torch.zeros(2 if name.endswith("Cell") else 1, 4)
    state: Any = (h, h) if name.startswith("LSTM") else h
    with pytest.raises((RuntimeError, ValueError)) as error:
        layer(x.bfloat16())
    if not accelerated:
        assert str(error.value).startswith(
            "input is bfloat16, but the weights are float32. Convert one of them, or use"
        )
    layer.bfloat16()
    with pytest.raises((RuntimeError, ValueError)):
        layer(x.bfloat16(), state)
    with pytest.raises((RuntimeError, ValueError)):
        layer(x)


@both
@pytest.mark.parametrize("name", TWINS)
def test_a_wrong_shape_is_a_runtime_error_as_in_torch(name: str, accelerated: bool) -> None:
    layer = (TWINS[name].torch if accelerated else TWINS[name].drop_in)(3, 4)
    nn.accelerate(layer)
    lstm = layer.mode == "LSTM"
    for x, h in ((torch.randn(5, 2, 4), None), (torch.randn(2), None), (torch.randn(5, 2, 3), torch.zeros(1, 3, 4))):
        with pytest.raises(RuntimeError) as error:
            layer(x, None if h is None else (h, h) if lstm else h)
        assert isinstance(error.value, ShapeError)
