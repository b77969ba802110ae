"""Stacks of cells: as torch stacks them, streaming, dropout, and bits that no neighbour and no thread changes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from agree import close, same_bits
from elman.errors import OptionError, ShapeError
from elman.layers.encoder import Encoder
from elman.layers.linear import Linear
from elman.layers.pooling import Pool
from elman.ragged import Ragged
from table import CELLS, DTYPES, TWINS, ragged

EXPECTS = "Encoder.from_torch expects a torch.nn.RNN, LSTM or GRU,"
LENGTHS = [3, 0, 11, 1, 7, 0, 5, 2, 9]


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def twin_of(encoder: Encoder, name: str, inputs: int, hidden: int, layers: int, dtype: torch.dtype) -> torch.nn.RNNBase:
    """torch's layers with the weights of an encoder."""
    twin = TWINS[name].torch(inputs, hidden, num_layers=layers, bidirectional=encoder.bidirectional, dtype=dtype)
    with torch.no_grad():
        for index, layer in enumerate(encoder.layers):
            for cell in layer:  # type: ignore[union-attr]
                for key, parameter in cell.named_parameters():
                    getattr(twin, f"{key}_l{index}{'_reverse' if cell.reverse else ''}").copy_(parameter)
    return twin


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_layers_and_directions_stand_as_in_torch(name: str, bidirectional: bool, dtype: torch.dtype) -> None:
    encoder = Encoder(5, 17, name, layers=3, bidirectional=bidirectional).to(dtype)
    twin = twin_of(encoder, name, 5, 17, 3, dtype)
    x = ragged([length for length in LENGTHS if length], 5, dtype)
    y, state = encoder(x)
    packed, last = twin(x.to_packed())
    assert close(y.values, Ragged.from_packed(packed).values, dtype)
    for part, theirs in enumerate(last if name == "lstm" else [last]):
        mine = torch.stack([way[part] for layer in state for way in layer])
        assert close(mine, theirs, dtype)


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize(("bidirectional", "bias"), [(False, True), (True, True), (True, False)])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_from_torch_takes_all_layers_and_directions(
    name: str, bidirectional: bool, bias: bool, dtype: torch.dtype
) -> None:
    twin = TWINS[name].torch(5, 17, num_layers=3, bidirectional=bidirectional, bias=bias, dtype=dtype)
    encoder = Encoder.from_torch(twin)
    assert (encoder.inputs, encoder.outputs, encoder.bidirectional) == (5, 34 if bidirectional else 17, bidirectional)
    assert len(list(encoder.parameters())) == len(list(twin.parameters()))
    x = ragged([length for length in LENGTHS if length], 5, dtype)
    y, state = encoder(x)
    packed, last = twin(x.to_packed())
    assert close(y.values, Ragged.from_packed(packed).values, dtype)
    for part, theirs in enumerate(last if name == "lstm" else [last]):
        assert close(torch.stack([way[part] for layer in state for way in layer]), theirs, dtype)
    twin.weight_hh_l1.data.zero_()  # a copy
    assert not any((parameter == 0).all() for parameter in encoder.parameters() if parameter.dim() == 2)


@pytest.mark.parametrize("name", TWINS)
def test_from_torch_steps_as_the_module(name: str) -> None:
    twin = TWINS[name].torch(3, 4, num_layers=2)
    stepper, x = Encoder.from_torch(twin).stepper(), torch.randn(5, 1, 3)
    for step, expected in zip(x, twin(x)[0], strict=True):
        assert close(stepper.step(step), expected, torch.float32)


def test_from_torch_takes_drop_ins_mode_and_dropout_along() -> None:
    for name, row in TWINS.items():
        assert type(Encoder.from_torch(row.drop_in(3, 4)).layers[0][0]) is CELLS[name].cell  # type: ignore[index]
    twin = torch.nn.GRU(3, 4, num_layers=2, dropout=0.25).eval()
    encoder = Encoder.from_torch(twin, checkpointing=True)
    assert (encoder.dropout.rate, encoder.training) == (0.25, False)
    assert not any(module.training for module in encoder.modules())
    assert all(cell.checkpointing for layer in encoder.layers for cell in layer)  # type: ignore[union-attr]
    assert Encoder.from_torch(twin, dropout=0.0, precision="bfloat16").precision == "bfloat16"
    assert Encoder.from_torch(twin, dropout=0.0).dropout.rate == 0.0
    with pytest.warns(UserWarning, match="num_layers greater than 1"):
        alone = torch.nn.GRU(3, 4, dropout=0.25)
    assert Encoder.from_torch(alone).dropout.rate == 0.0  # torch has none after the last layer


def test_from_torch_takes_computed_weights() -> None:
    twin = torch.nn.utils.parametrizations.weight_norm(torch.nn.LSTM(3, 4), "weight_hh_l0")
    x = torch.randn(5, 1, 3)
    assert close(Encoder.from_torch(twin)(Ragged.of([x[:, 0]]))[0].values, twin(x)[0][:, 0], torch.float32)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_from_torch_takes_half_types_and_frozen_weights(dtype: torch.dtype) -> None:
    twin = torch.nn.LSTM(3, 4, num_layers=2, dtype=dtype).requires_grad_(False)
    twin.weight_ih_l1.requires_grad_(True)
    encoder = Encoder.from_torch(twin)
    assert torch.equal(encoder.layers[1][0].weight_hh, twin.weight_hh_l1)  # type: ignore[index]
    assert [name for name, p in encoder.named_parameters() if p.requires_grad] == ["layers.1.0.weight_ih"]


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (
            torch.nn.LSTMCell(3, 4),
            ShapeError,
            f"{EXPECTS} got LSTMCell. For one cell: elman.LSTM.from_torch.",
        ),
        (torch.nn.Linear(3, 4), ShapeError, f"{EXPECTS} got Linear."),
        (
            torch.nn.LSTM(3, 4, proj_size=2),
            OptionError,
            "an Encoder has no projections, and the LSTM has proj_size=2. elman.nn.accelerate(module) keeps them.",
        ),
    ],
    ids=["cell", "linear", "projections"],
)
def test_from_torch_refuses(module: torch.nn.Module, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        Encoder.from_torch(module)
    assert str(caught.value) == message


def test_one_width_per_layer() -> None:
    encoder = Encoder(3, [8, 5, 4], "gru", bidirectional=True)
    y, state = encoder(ragged(LENGTHS, 3))
    assert (y.width, encoder.outputs) == (8, 8)
    assert [layer[0].hidden.shape for layer in state] == [(9, 8), (9, 5), (9, 4)]
    assert [[(cell.inputs, cell.reverse) for cell in layer] for layer in encoder.layers] == [  # type: ignore[union-attr]
        [(3, False), (3, True)],
        [(16, False), (16, True)],
        [(10, False), (10, True)],
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"cell": "elman"},
            "cell must be one of rnn, rnn_relu, lstm, ln_lstm, gru, gru_reset_before, gru_d, min_gru, min_lstm, lru, ",
        ),
        ({"layers": 0}, "layers must be a whole number of at least 1, got 0"),
        ({"layers": 1.5}, "layers must be a whole number of at least 1, got 1.5"),
        ({"layers": "2"}, "layers must be a whole number of at least 1, got '2'"),
        ({"hidden": None}, "hidden must be a whole number of at least 1, got None"),
        ({"hidden": 4.0, "layers": 2}, "hidden must be a whole number of at least 1, got 4.0"),
        ({"max_timescale": "9"}, "max_timescale must be a number of steps of at least 2, got '9'"),
        ({"dropout": "a"}, "dropout must be at least 0 and below 1, got 'a'"),
        ({"dropout": None}, "dropout must be at least 0 and below 1, got None"),
        ({"zoneout": True}, "zoneout must be at least 0 and below 1, got True"),
        ({"hidden": [4, 5], "layers": 3}, "hidden lists 2 widths and layers is 3. Give one width, or one per layer."),
        ({"hidden": []}, "hidden lists 0 widths"),
        ({"hidden": 0}, "hidden must be a whole number of at least 1, got 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"dropout": -0.1}, "dropout must be at least 0 and below 1, got -0.1"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as error:
        Encoder(**{"inputs": 3, "hidden": 4} | options)
    assert message in str(error.value)


def test_wrong_width() -> None:
    with pytest.raises(ShapeError, match=r"LSTM expects inputs of width 3, got values of shape \[5, 4\]"):
        Encoder(3, 4)(ragged([5], 4))


@pytest.mark.parametrize("name", CELLS)
@torch.no_grad()
def test_steps_equal_forward(name: str) -> None:
    encoder, x = Encoder(3, [17, 5], name), ragged([6, 6, 6], 3)
    whole, last = encoder(x)
    state, steps = encoder.initial_state(3), x.values.reshape(3, 6, 3)
    for t in range(6):
        y, state = encoder.step(steps[:, t], state)
        assert same_bits(y, whole.values.reshape(3, 6, 5)[:, t])
    assert same_bits(state, last)


@pytest.mark.parametrize("bidirectional", [False, True])
@torch.no_grad()
def test_a_given_state_is_taken(bidirectional: bool) -> None:
    encoder, x = Encoder(3, 4, layers=2, bidirectional=bidirectional), ragged(LENGTHS, 3)
    assert same_bits(encoder(x, encoder.initial_state(9)), encoder(x))
    _, state = encoder(x)
    assert not same_bits(encoder(x, state)[0], encoder(x)[0])
    if not bidirectional:
        whole, last = encoder(Ragged.of([torch.cat([s, s]) for s in x]))
        second, after = encoder(x, state)
        assert same_bits(after, last)
        assert all(same_bits(a[len(b) :], b) for a, b in zip(whole, second, strict=True))


def test_a_bidirectional_encoder_refuses_to_step() -> None:
    encoder = Encoder(3, 4, bidirectional=True)
    with pytest.raises(OptionError, match="Train with bidirectional=False to stream"):
        encoder.step(torch.zeros(2, 3), encoder.initial_state(2))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@torch.no_grad()
def test_a_whole_model_gives_a_sequence_the_same_bits_in_any_batch(
    name: str, dtype: torch.dtype, threads: None
) -> None:
    encoder = Encoder(6, 33, name, layers=2, bidirectional=True)
    model = torch.nn.Sequential(encoder, Pool("last+mean+max+attention", 66), Linear(4 * 66, 3)).to(dtype)
    x = ragged([length * 3 for length in LENGTHS], 6, dtype)

    def run(x: Ragged) -> torch.Tensor:
        return model[2](model[1](model[0](x)[0]))  # type: ignore[no-any-return]

    whole = run(x)
    order = torch.randperm(len(x))
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        assert same_bits(run(x), whole)
        assert same_bits(run(x[order]), whole[order])
        assert same_bits(torch.cat([run(x[i : i + 1]) for i in range(len(x))]), whole)


def test_dropout_is_one_mask_for_a_sequence_and_off_in_evaluation() -> None:
    encoder = Encoder(3, 64, dropout=0.5)
    x = ragged([50, 0, 50], 3)
    dropped = encoder(x)[0]
    whole = encoder.eval()(x)[0]
    assert same_bits(encoder(x)[0], whole)
    for mine, full in zip(dropped, whole, strict=True):
        off = mine == 0
        assert bool((off.all(0) | ~off.any(0)).all()), "a unit is off for a whole sequence or for no step of it"
        assert same_bits(mine[~off], 2 * full[~off])
    assert not torch.equal(dropped[0][0] == 0, dropped[2][0] == 0), "each sequence has its own mask"
    assert 0.3 < float((dropped.values == 0).float().mean()) < 0.7


def test_dropout_leaves_the_state_whole() -> None:
    encoder = Encoder(3, 8, "gru", dropout=0.9)
    x = ragged([5, 2], 3)
    assert same_bits(encoder(x)[1], encoder.eval()(x)[1])


@pytest.mark.parametrize("lengths", [[], [0], [0, 0]], ids=str)
def test_nothing_at_all(lengths: list[int]) -> None:
    encoder = Encoder(3, 4, "gru", layers=2, bidirectional=True, dropout=0.5)
    y, state = encoder(ragged(lengths, 3))
    y.values.sum().backward()
    assert y.values.shape == (0, 8)
    assert state[1][1].hidden.shape == (len(lengths), 4)


def test_gradients_equal_finite_differences() -> None:
    encoder, x = Encoder(2, [3, 2], "lstm", bidirectional=True).double(), ragged([3, 0, 2], 2, torch.float64)
    names = [key for key, _ in encoder.named_parameters()]

    def run(values: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        given = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(encoder, given, (x.with_values(values),))[0].values  # type: ignore[no-any-return]

    inputs = [x.values, *[p.detach() for p in encoder.parameters()]]
    assert torch.autograd.gradcheck(run, [p.clone().requires_grad_() for p in inputs])


def test_copies_and_state_dicts() -> None:
    encoder, x = Encoder(3, [4, 5], "gru", bidirectional=True), ragged(LENGTHS, 3)
    other = Encoder(3, [4, 5], "gru", bidirectional=True)
    other.load_state_dict(encoder.state_dict())
    assert same_bits(other(x), encoder(x))
    assert same_bits(copy.deepcopy(encoder)(x), encoder(x))
