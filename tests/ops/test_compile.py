"""torch.compile and torch.export see one graph in which a layer is an operator, with gradients and open shapes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_sequence

from agree import close
from elman import nn

# torch's compilers warn of what they do themselves: deprecated parts of torch, gradients of inner tensors.
pytestmark = pytest.mark.filterwarnings("ignore")


class Around(torch.nn.Module):
    """A layer or a cell with a little of a model before and after it."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.before, self.inner = torch.nn.Linear(3, 5), inner
        self.after = torch.nn.LazyLinear(2)

    def forward(self, x: Tensor, hx: Any = None) -> Tensor:
        x = self.before(x)
        if isinstance(self.inner, torch.nn.RNNCellBase):
            for step in range(x.shape[0]):
                hx = self.inner(x[step], hx)
            y = hx[0] if isinstance(hx, tuple) else hx
        else:
            y, _ = self.inner(x, hx)
        return self.after(y)


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Whatever is compiled here is compiled anew, and by a Python that torch.compile knows."""
    try:
        torch.compile(torch.nn.Identity(), backend="eager")
    except RuntimeError as error:
        pytest.skip(f"NOT TESTED: torch.compile is unavailable here ({error})")
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def agree(compiled: Any, model: Around, *given: Any) -> None:
    """Results, and gradients in which everything has a part."""
    with torch.no_grad():
        assert close(compiled(*given), model(*given), torch.float32)
    found = []
    for each in (compiled, model):
        y = each(*given)
        found.append([y, *torch.autograd.grad(y.square().sum(), list(model.parameters()))])
    for a, b in zip(*found, strict=True):
        assert (a - b).detach().norm() <= 1e-5 * max(1.0, float(b.detach().norm()))


def around(inner: torch.nn.Module, *given: Any) -> Around:
    model = Around(inner)
    model(*given)  # the lazy layer learns its width
    return model


CASES: dict[str, tuple[torch.nn.Module, tuple[Any, ...]]] = {
    "lstm, deep, both directions": (
        nn.LSTM(5, 4, num_layers=2, bidirectional=True, batch_first=True),
        (torch.randn(2, 6, 3),),
    ),
    "gru with a state": (nn.GRU(5, 4), (torch.randn(6, 2, 3), torch.randn(1, 2, 4))),
    "rnn, one sequence": (nn.RNN(5, 4, nonlinearity="relu"), (torch.randn(6, 3),)),
    "lstm cell": (nn.LSTMCell(5, 4), (torch.randn(3, 2, 3),)),
    "gru cell": (nn.GRUCell(5, 4), (torch.randn(3, 2, 3),)),
}


@pytest.mark.parametrize("case", CASES)
def test_compile_sees_one_graph(case: str) -> None:
    inner, given = CASES[case]
    model = around(inner, *given)
    agree(torch.compile(model, fullgraph=True, backend="aot_eager"), model, *given)


def test_compile_once_for_all_shapes() -> None:
    model = around(nn.LSTM(5, 4, batch_first=True, dropout=0.5, num_layers=2).eval(), torch.randn(2, 6, 3))
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager", dynamic=True)
    agree(compiled, model, torch.randn(2, 6, 3))
    with torch.compiler.set_stance("fail_on_recompile"):
        for shape in ((3, 7, 3), (5, 2, 3), (2, 100, 3)):
            agree(compiled, model, torch.randn(shape))


def test_compile_draws_dropout() -> None:
    model = around(nn.GRU(5, 64, num_layers=2, dropout=0.5), torch.randn(6, 2, 3))
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    x = torch.randn(6, 2, 3)
    assert not torch.equal(compiled(x), compiled(x))


def test_compile_around_packed_sequences() -> None:
    """Their lengths are numbers that Python looks at: the graph breaks there and the answer is the same."""

    class Packed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.GRU(5, 4)

        def forward(self, parts: list[Tensor]) -> Tensor:
            return 2 * self.layer(pack_sequence(parts, enforce_sorted=False))[0].data

    model, parts = Packed(), [torch.randn(2, 5), torch.randn(3, 5)]
    assert close(torch.compile(model, backend="eager")(parts), model(parts), torch.float32)


def test_compile_after_accelerate() -> None:
    """torch.compile breaks its graph at every torch.nn.LSTM, ours included, unless it is told not to."""
    x = torch.randn(6, 2, 3)
    model = around(torch.nn.LSTM(5, 4), x)
    nn.accelerate(model)
    agree(torch.compile(model, backend="aot_eager"), model, x)
    torch._dynamo.reset()
    with torch._dynamo.config.patch(allow_rnn=True):
        agree(torch.compile(model, fullgraph=True, backend="aot_eager"), model, x)


@pytest.mark.slow
def test_compile_by_inductor() -> None:
    model = around(nn.LSTM(5, 4, bidirectional=True), torch.randn(6, 2, 3))
    compiled = torch.compile(model, fullgraph=True)
    try:
        compiled(torch.randn(6, 2, 3))
    except torch._inductor.exc.InductorError as error:  # needs a C++ compiler at run time
        pytest.skip(f"NOT TESTED: inductor does not work here ({error})")
    agree(compiled, model, torch.randn(6, 2, 3))


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("accelerated", [False, True])
def test_export(strict: bool, accelerated: bool) -> None:
    """For any number and length of sequences, saved and read again."""
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "batch_first": True}
    model = around((torch.nn if accelerated else nn).LSTM(5, 4, **options).eval(), torch.randn(2, 6, 3))
    if accelerated:
        nn.accelerate(model)
    shapes = {0: torch.export.Dim("sequences", min=2), 1: torch.export.Dim("length", min=2)}
    with torch.no_grad():
        program = torch.export.export(model, (torch.randn(2, 6, 3),), dynamic_shapes=(shapes,), strict=strict)
    assert [node.target for node in program.graph.nodes].count(torch.ops.elman.recurrent_forward.default) == 4
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    again = torch.export.load(file)
    for shape in ((2, 6, 3), (5, 9, 3)):
        x = torch.randn(shape)
        assert close(program.module()(x), model(x), torch.float32)
        assert close(again.module()(x), model(x), torch.float32)
