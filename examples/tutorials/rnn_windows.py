"""A simple RNN(10, tanh) with an output at every step, on windows of 10 steps x 10 inputs.

Mean squared error, Adam, one window at a time, in plain PyTorch with elman's layer. The ten inputs are economic series
of the United States, a step is a quarter, and at every step it predicts all ten values of the next quarter.
docs/tutorials.md has the Keras code.

Usage: python examples/tutorials/rnn_windows.py [--png loss.png]. The series come with the extra `demo`.
"""

import series
import torch
from torch import nn

import elman

STEPS, INPUTS = 10, 10


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = elman.nn.RNN(INPUTS, 10, nonlinearity="tanh")
        self.head = nn.Linear(10, INPUTS)

    def forward(self, x: elman.Ragged) -> torch.Tensor:
        y, _ = self.rnn(x)
        return self.head(y.values)  # at every step


options = series.arguments("RNN(10, tanh) on windows of 10 steps x 10 inputs, batch 1", epochs=20)
torch.manual_seed(0)
quarters = series.economy()
first = len(quarters) * 4 // 5  # the rest is the validation set
mean, deviation = quarters[:first].mean(0), quarters[:first].std(0)
scaled = (quarters - mean) / deviation
training, validation = series.windows(scaled[:first], STEPS + 1), series.windows(scaled[first:], STEPS + 1)
network = Network()
optimizer = torch.optim.Adam(network.parameters())


def loss_of(window: torch.Tensor) -> torch.Tensor:
    return nn.functional.mse_loss(network(elman.Ragged.of([window[:-1]])), window[1:])


losses: dict[str, list[float]] = {"training": [], "validation": []}
for epoch in range(1, options.epochs + 1):
    total = 0.0
    for window in training[torch.randperm(len(training))]:
        loss = loss_of(window)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    with torch.no_grad():
        losses["validation"].append(sum(loss_of(window).item() for window in validation) / len(validation))
    losses["training"].append(total / len(training))
    print(f"epoch {epoch:2d}: loss {losses['training'][-1]:.4f}, validation {losses['validation'][-1]:.4f}", flush=True)

best = 1 + min(range(options.epochs), key=losses["validation"].__getitem__)
after = "; later epochs overfit" if best < options.epochs else ""
print(f"best after epoch {best} of {options.epochs}: validation {losses['validation'][best - 1]:.4f}{after}")
same = (validation[:, 1:] - validation[:, :-1]).square().mean()
print(f"naive forecast, next quarter as this one: {same:.4f}")
if options.png:
    series.draw(losses, "RNN(10, tanh), windows of 10 x 10: economy", options.png)
