import pytest
import torch

from elman.errors import OptionError
from elman.layers.embedding import Embedding
from elman.ragged import Ragged


def test_embedding_looks_up_and_keeps_offsets():
    layer = Embedding(5, 3)
    x = Ragged.of([[1, 4], [], [0]], dtype=torch.int64)
    y = layer(x)
    assert torch.equal(y.offsets, x.offsets)
    assert torch.equal(y.values, layer.weight[x.values])
    assert torch.equal(y.values[2], torch.zeros(3))
    assert torch.equal(layer.step(torch.tensor([4])), layer.weight[[4]])
    assert layer.outputs == 3


def test_dropout_drops_whole_symbols_of_a_sequence():
    torch.manual_seed(0)
    layer = Embedding(50, 2, dropout=0.4)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    ids = torch.randint(0, 50, (200, 100))
    y = layer(Ragged(ids.flatten(), torch.arange(201) * 100)).values[:, 0].detach().reshape(200, 100)
    assert y.unique().tolist() == pytest.approx([0, 1 / 0.6])
    for sequence, kept in zip(ids, y, strict=True):
        for symbol in sequence.unique():
            assert kept[sequence == symbol].unique().numel() == 1  # all or none of its steps
    fates = {float(kept[sequence == 7][0]) for sequence, kept in zip(ids, y, strict=True) if (sequence == 7).any()}
    assert len(fates) == 2  # the same symbol fares differently in other sequences
    assert (y == 0).float().mean() == pytest.approx(0.4, abs=0.02)
    again = layer(Ragged(ids.flatten(), torch.arange(201) * 100)).values[:, 0].reshape(200, 100)
    assert not torch.equal(y, again)


def test_dropout_repeats_with_the_seed_and_rests_in_evaluation():
    layer = Embedding(50, 2, dropout=0.4)
    x = Ragged.of([list(range(50))], dtype=torch.int64)
    torch.manual_seed(1)
    one = layer(x).values
    torch.manual_seed(1)
    assert torch.equal(one, layer(x).values)
    assert torch.equal(layer.eval()(x).values, layer.weight)


def test_embedding_takes_no_steps_and_gives_gradients():
    layer = Embedding(4, 2, dropout=0.5)
    assert layer(Ragged.of([[], []], dtype=torch.int64)).values.shape == (0, 2)
    layer.eval()(Ragged.of([[2, 2]], dtype=torch.int64)).values.sum().backward()
    assert layer.weight.grad.tolist() == [[0, 0], [0, 0], [2, 2], [0, 0]]


def test_embedding_refuses_wrong_sizes():
    with pytest.raises(OptionError, match=r"symbols = 0.*width = 0.*dropout = 1"):
        Embedding(0, 0, 1.0)
