"""A simple recurrent network read word by word: "我 爱 北京 天安门".

        h_t = tanh(W x_t + b_ih + U h_{t-1} + b_hh)        hidden state after word t
    y_t = softmax(V h_t + d)                           output after word t

Nothing is trained here. The script shows that the same equation is applied at every step, that h depends on all words
so far, and that the layer computes the same numbers as the explicit equation.

Usage: python examples/tutorials/step_by_step.py
"""

import torch

import elman

WORDS = ["我", "爱", "北京", "天安门"]  # I, love, Beijing, Tiananmen
HIDDEN, OUTPUTS = 4, 2

torch.manual_seed(0)
torch.set_printoptions(precision=3, sci_mode=False)
cell = elman.RNN(inputs=len(WORDS), hidden=HIDDEN)
head = torch.nn.Linear(HIDDEN, OUTPUTS)
x = torch.eye(len(WORDS))  # one-hot vectors


def numbers(row: torch.Tensor) -> str:
    return " ".join(f"{value:6.3f}" for value in row.tolist())


print("h_0 =", numbers(torch.zeros(HIDDEN)), "   nothing read yet")
by_hand = torch.zeros(HIDDEN)
state = cell.initial_state(sequences=1)
with torch.no_grad():
    for t, word in enumerate(WORDS, start=1):
        x_t = x[t - 1]
        W, U, b_ih, b_hh = cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh
        by_hand = torch.tanh(W @ x_t + b_ih + U @ by_hand + b_hh)  # the explicit equation
        h, state = cell.step(x_t[None], state)  # the layer, one step
        y = torch.softmax(head(h[0]), dim=0)
        print(f"\n{word}   h_{t} = tanh(W x_{t} + b_ih + U h_{t - 1} + b_hh)")
        print(f"      h_{t} = {numbers(h[0])}")
        print(f"      y_{t} = {numbers(y)}")
        assert torch.allclose(h[0], by_hand, atol=1e-6), (h, by_hand)

    whole, last = cell(elman.Ragged.of([x]))  # the same four steps in one call
assert torch.equal(whole[0][-1], state.hidden[0])
assert torch.equal(last.hidden, state.hidden)
print("\nThe four steps in one call end in the same h, bit for bit:", numbers(last.hidden[0]))
