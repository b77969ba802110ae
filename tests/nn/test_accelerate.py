"""accelerate(model): the same model, faster, and back again."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from agree import close, distance, same_bits
from elman import nn
from elman.errors import OptionError, ShapeError
from elman.nn.accelerate import is_accelerated
from elman.ragged import Ragged


class Named(torch.nn.LSTM):
    """A layer with something more to it, which computes as torch's does."""

    colour = "blue"

    def width(self) -> int:
        return self.hidden_size


class Doubled(torch.nn.GRU):
    def forward(self, input: Tensor, hx: Tensor | None = None) -> Any:
        y, h = super().forward(input, hx)
        return 2 * y, h


class Other(torch.nn.GRU):
    def forward(self, input: Tensor, hx: Tensor | None = None) -> Any:
        return torch.nn.GRU.forward(self, input, hx)


class Lenient(torch.nn.GRU):
    def check_forward_args(self, *given: Any) -> None:
        pass


class Model(torch.nn.Module):
    """A little of everything that people build."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(20, 5)
        self.lstm = torch.nn.LSTM(5, 6, num_layers=2, bidirectional=True, batch_first=True)
        self.blocks = torch.nn.ModuleList([torch.nn.GRU(12, 6), torch.nn.RNN(6, 6, nonlinearity="relu"), Named(6, 6)])
        self.doubled = Doubled(6, 6)
        self.cells = torch.nn.ModuleDict(
            {"lstm": torch.nn.LSTMCell(6, 6), "gru": torch.nn.GRUCell(6, 6), "rnn": torch.nn.RNNCell(6, 6)}
        )
        self.normed = parametrizations.weight_norm(torch.nn.LSTM(6, 6), "weight_hh_l0")
        self.head = torch.nn.Linear(6, 2)

    def forward(self, ids: Tensor) -> Tensor:
        y = self.lstm(self.embedding(ids))[0].transpose(0, 1)
        for block in (*self.blocks, self.doubled, self.normed):
            y, _ = block(y)
        h, c = self.cells["lstm"](y[0])
        return self.head(self.cells["rnn"](self.cells["gru"](h, c)))


def gradients(model: torch.nn.Module, *given: Any) -> list[Tensor]:
    y = model(*given)
    return [y, *torch.autograd.grad(y.square().sum(), list(model.parameters()))]


def left(module: torch.nn.Module) -> str:
    """Why a module was left alone."""
    was = type(module)
    (layer,) = nn.accelerate(module)
    assert not layer.swapped
    assert type(module) is was
    return layer.why


def test_a_model_gives_the_same_results_and_is_itself_again() -> None:
    model, ids = Model().double(), torch.randint(20, (3, 7))
    kinds = {name: (id(module), type(module)) for name, module in model.named_modules()}
    parameters = {name: id(parameter) for name, parameter in model.named_parameters()}
    expected = gradients(model, ids)
    report = nn.accelerate(model)
    assert len(report) == len(report.swapped) == 9
    assert not report.left
    for a, b in zip(gradients(model, ids), expected, strict=True):
        assert close(a, b, torch.float64)
    assert {name: id(module) for name, module in model.named_modules()} == {n: k[0] for n, k in kinds.items()}
    assert {name: id(parameter) for name, parameter in model.named_parameters()} == parameters
    assert isinstance(model.lstm, torch.nn.LSTM)
    assert isinstance(model.blocks[2], Named)
    assert model.blocks[2].colour == "blue"
    assert model.blocks[2].width() == 6

    assert [layer.why for layer in nn.accelerate(model)] == ["was swapped before"] * 9
    assert [layer.why for layer in nn.restore(model)] == ["restored"] * 9
    back = {name: (id(module), type(module)) for name, module in model.named_modules()}
    assert back.pop("normed")[1].__bases__ == kinds.pop("normed")[1].__bases__  # a class that torch made for it alone
    assert back == kinds
    assert all(same_bits(a, b) for a, b in zip(gradients(model, ids), expected, strict=True))
    assert [layer.why for layer in nn.restore(model)] == ["was not swapped"] * 9


def test_the_report_reads_well() -> None:
    model = torch.nn.ModuleDict(
        {"lstm": torch.nn.LSTM(5, 6, num_layers=2), "own": Other(5, 6), "ours": nn.GRUCell(5, 6)}
    )
    report = nn.accelerate(model)
    assert str(report) == (
        "2 of 3 recurrent modules run on elman; quantize_dynamic leaves those as they are.\n"
        "lstm  LSTM(5, 6, num_layers=2)  swapped\n"
        "own   Other(5, 6)               left alone: its class Other has a forward of its own\n"
        "ours  GRUCell(5, 6)             is elman's own"
    )
    assert report[0] == nn.Layer("lstm", "LSTM(5, 6, num_layers=2)", True, "swapped")
    assert [layer.name for layer in report.left] == ["own"]
    assert "No recurrent modules" in str(nn.accelerate(torch.nn.Linear(2, 2)))
    assert nn.accelerate(torch.nn.GRU(5, 6))[0].name == "(model)"
    assert [layer.name for layer in nn.restore(model).swapped] == ["ours"]


def test_the_model_may_be_a_layer_and_used_in_two_places() -> None:
    layer = torch.nn.LSTM(5, 5)
    model = torch.nn.ModuleList([layer, layer])
    elsewhere = [layer]
    assert len(nn.accelerate(model)) == 1
    assert model[0] is model[1] is elsewhere[0]
    assert is_accelerated(layer)
    assert isinstance(layer, torch.nn.LSTM)
    assert repr(layer) == "LSTM(5, 5)"
    x = Ragged.of([torch.randn(3, 5), torch.randn(0, 5), torch.randn(2, 5)])
    assert same_bits(layer(x)[0][2], layer(x[2])[0])


def test_optimizers_hooks_and_state_dicts_carry_on() -> None:
    layer, x, seen = torch.nn.GRU(5, 6), torch.randn(4, 3, 5), []
    twin = copy.deepcopy(layer)
    optimisers = [torch.optim.SGD(each.parameters(), lr=0.1, momentum=0.9) for each in (layer, twin)]
    for each in (layer, twin):
        each.register_forward_hook(lambda module, given, answer: seen.append(type(module).__name__))
    for turn in range(4):
        if turn == 1:
            nn.accelerate(layer)
        if turn == 3:
            nn.restore(layer)
        for each, optimiser in zip((layer, twin), optimisers, strict=True):
            optimiser.zero_grad()
            each(x)[0].square().sum().backward()
            optimiser.step()
    assert seen == ["GRU"] * 8
    for a, b in zip(layer.state_dict().values(), twin.state_dict().values(), strict=True):
        assert close(a, b, torch.float32)
    nn.accelerate(layer)
    layer.load_state_dict(twin.state_dict())
    assert close(layer(x)[0], twin(x)[0], torch.float32)


LEFT: dict[str, Callable[[], torch.nn.Module]] = {
    "its class Other has a forward of its own": lambda: Other(5, 6),
    "its class Lenient changes how torch's layer computes": lambda: Lenient(5, 6),
    "its weights are float16; elman computes in float32, float64 and bfloat16": lambda: torch.nn.GRU(5, 6).half(),
    "its weights are on meta; elman's kernels are for the CPU": lambda: torch.nn.GRUCell(5, 6, device="meta"),
    "is not derived from torch.nn's RNN, LSTM, GRU": lambda: torch.ao.nn.quantizable.LSTMCell(5, 6),
}


@pytest.mark.parametrize("why", LEFT)
def test_what_is_left_alone(why: str) -> None:
    assert why in left(LEFT[why]())


class Aside(torch.nn.GRU):
    """Says super() for something else, and forward of something else."""

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Any:
        super().flatten_parameters()
        return self.other.forward(input)


class Named2(torch.nn.GRU):
    def forward(self, input: Tensor, hx: Tensor | None = None) -> Any:
        return super(Named2, self).forward(input, hx)  # noqa: UP008


class Within(torch.nn.GRU):
    def forward(self, input: Tensor, hx: Tensor | None = None) -> Any:
        def run(x: Tensor) -> Any:
            return super(Within, self).forward(x, hx)

        return run(input)


def test_super_is_looked_at_for_what_it_is_asked() -> None:
    assert left(Aside(5, 6)) == "left alone: its class Aside has a forward of its own"
    for cls in (Doubled, Named2, Within):
        assert nn.accelerate(cls(5, 6))[0].why.endswith("which calls ours through super()")


@pytest.mark.parametrize("cls", [torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU, torch.nn.LSTMCell])
def test_a_forward_put_into_torchs_class(cls: type[torch.nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    """For all layers of its kind: theirs is what is called, whether it came before or after."""
    before, after = cls(5, 6), cls(5, 6)
    nn.accelerate(after)
    monkeypatch.setattr(cls, "forward", lambda self, input, hx=None: "theirs")
    assert left(before) == f"left alone: torch.nn.{cls.__name__}.forward was replaced"
    assert before(torch.randn(3, 5)) == after(torch.randn(3, 5)) == "theirs"
    monkeypatch.undo()
    assert isinstance(after(torch.randn(3, 5)), tuple)
    assert nn.accelerate(before)[0].swapped


@pytest.mark.parametrize("cls", [torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU])
def test_flat_weights_set_by_hand(cls: type[torch.nn.RNNBase]) -> None:
    """torch computes with them, and so does an accelerated layer."""
    before, after, x = cls(5, 6, num_layers=2), cls(5, 6), torch.randn(3, 2, 5)
    nn.accelerate(after)
    for layer in (before, after):
        layer._flat_weights = [torch.zeros_like(weight) for weight in layer._flat_weights]  # type: ignore[union-attr, arg-type]
    assert left(before) == "left alone: its _flat_weights were set by hand"
    for layer in (before, after):
        assert not layer(x)[0].any()
        layer._init_flat_weights()
        assert layer(x)[0].any()
    assert nn.accelerate(before)[0].swapped


def test_a_forward_put_onto_the_instance_is_left_alone() -> None:
    layer = torch.nn.GRU(5, 6)
    layer.forward = lambda input, hx=None: "mine"  # type: ignore[method-assign, assignment]
    assert left(layer) == "left alone: its forward was replaced on the instance"
    assert layer(None) == "mine"


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_what_is_compiled_is_left_alone() -> None:
    scripted = torch.jit.script(torch.nn.Sequential(torch.nn.GRU(5, 6)))
    (layer,) = nn.accelerate(scripted)
    assert layer == nn.Layer(
        "0", "GRU()", False, "left alone: it is compiled by torch.jit; accelerate the model before it is"
    )
    try:
        compiled = torch.compile(torch.nn.Sequential(torch.nn.GRU(5, 6)), backend="eager")
    except RuntimeError as error:  # no torch.compile for this Python
        pytest.skip(f"NOT TESTED: torch.compile is unavailable here ({error})")
    (layer,) = nn.accelerate(compiled)
    assert (layer.name, layer.swapped) == ("_orig_mod.0", False)
    assert "it is compiled by torch.compile; accelerate the model before it is" in layer.why
    inner = torch.nn.GRU(5, 6)
    inner.compile(backend="eager")
    assert "it is compiled by torch.compile" in left(inner)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_script_says_what_to_do() -> None:
    model = torch.nn.Sequential(torch.nn.GRU(5, 6))
    nn.accelerate(model)
    with pytest.raises(OptionError, match=r"Call elman.nn.restore\(model\) first"):
        torch.jit.script(model)
    nn.restore(model)
    torch.jit.script(model)


@pytest.mark.parametrize("cls", [torch.nn.LSTM, Named, Doubled, torch.nn.GRUCell])
@pytest.mark.parametrize("way", ["deepcopy", "copy", "pickle", "torch.save"])
def test_copies_stay_accelerated(cls: type[torch.nn.Module], way: str) -> None:
    layer, x = cls(5, 6), torch.randn(3, 5)
    nn.accelerate(layer)
    if way == "deepcopy":
        copied = copy.deepcopy(layer)
    elif way == "copy":
        copied = copy.copy(layer)
    elif way == "pickle":
        copied = pickle.loads(pickle.dumps(layer))
    else:
        file = io.BytesIO()
        torch.save(layer, file)
        file.seek(0)
        copied = torch.load(file, weights_only=False)
    assert type(copied) is type(layer)
    assert same_bits(copied(x), layer(x))
    nn.restore(copied)
    assert type(copied) is cls
    assert is_accelerated(layer)


def test_parametrizations_come_and_go() -> None:
    """torch puts a class of its own over a parametrized module, and takes it away again."""
    x = torch.randn(4, 3, 5)
    for before in (True, False):
        layer = torch.nn.LSTM(5, 6)
        if not before:
            nn.accelerate(layer)
        parametrizations.weight_norm(layer, "weight_hh_l0")
        expected = layer(x)[0]
        assert nn.accelerate(layer)[0].swapped
        parametrizations.weight_norm(layer, "weight_ih_l0")
        assert close(layer(x)[0], expected, torch.float32)
        parametrize.remove_parametrizations(layer, "weight_ih_l0")
        if before:
            nn.restore(layer)
            assert close(layer(x)[0], expected, torch.float32)
        parametrize.remove_parametrizations(layer, "weight_hh_l0")
        assert is_accelerated(layer) is not before
        assert close(layer(x)[0], expected, torch.float32)
        nn.restore(layer)
        assert type(layer) is torch.nn.LSTM


def test_calls_that_the_core_does_not_serve_go_to_torch() -> None:
    """After a move to another dtype, under torch.func: whatever worked before works."""
    layer = torch.nn.LSTM(5, 6, batch_first=True)
    twin, x = copy.deepcopy(layer), torch.randn(2, 3, 5)
    nn.accelerate(layer)
    assert same_bits(layer.half()(x.half())[0].float(), twin.half()(x.half())[0].float())
    layer.float(), twin.float()
    parameters = dict(twin.named_parameters())

    def loss(given: dict[str, Tensor], of: torch.nn.Module) -> Tensor:
        return torch.func.functional_call(of, given, (x,))[0].square().sum()

    mine, theirs = (torch.func.grad(loss)(parameters, each).values() for each in (layer, twin))
    for a, b in zip(mine, theirs, strict=True):
        assert close(a, b, torch.float32)
    with pytest.raises(ValueError, match="dtype"):  # torch's own words
        layer(x.double())
    packed = pack_sequence([x[0], x[1, :2]])
    assert close(layer(packed)[0].data, twin(packed)[0].data, torch.float32)
    with pytest.raises(RuntimeError, match="Batching rule not implemented"):
        torch.func.vmap(lambda x: layer(x)[0])(torch.randn(4, 2, 3, 5))


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.nn.RNN(5, 6),
        lambda: torch.nn.LSTM(5, 6),
        lambda: torch.nn.LSTM(5, 6, proj_size=3),
        lambda: torch.nn.GRU(5, 6, num_layers=2),
        lambda: torch.nn.RNNCell(5, 6),
        lambda: torch.nn.LSTMCell(5, 6),
        lambda: torch.nn.GRUCell(5, 6),
    ],
)
def test_autocast_changes_no_type(make: Callable[[], torch.nn.Module], narrow: bool, packed: bool) -> None:
    """Which results are bfloat16 differs from layer to layer in torch; an accelerated model meets no surprise."""

    def flat(answer: Any) -> list[Tensor]:
        if isinstance(answer, Tensor):
            return [answer]
        return [answer.data] if isinstance(answer, PackedSequence) else [t for part in answer for t in flat(part)]

    layer, x = make(), torch.randn(4, 5)
    x = x.bfloat16() if narrow else x
    given = pack_sequence([x, x[:2]]) if packed and isinstance(layer, torch.nn.RNNBase) else x
    with torch.autocast("cpu", torch.bfloat16):
        expected = flat(layer(given))
        nn.accelerate(layer)
        found = flat(layer(given))
    assert [t.dtype for t in found] == [t.dtype for t in expected]
    for a, b in zip(found, expected, strict=True):
        assert distance(a, b) < 0.02


@pytest.mark.parametrize("call", [nn.accelerate, nn.restore])
@pytest.mark.parametrize("model", ["x", None, torch.nn.LSTM, [torch.nn.LSTM(3, 4)]])
def test_what_is_no_model_is_refused(call: Callable[[Any], Any], model: Any) -> None:
    with pytest.raises(ShapeError, match=rf"{call.__name__} takes a torch.nn.Module, got (str|NoneType|type|list)\."):
        call(model)
