"""A simple forecaster: LSTM(50) -> the next value of a series.

Mean squared error, Adam, 100 epochs, batches of 32, in plain PyTorch with elman's layer. It reads 22 years (two cycles)
of sunspots and predicts the next year. docs/tutorials.md has the Keras code.

Usage: python examples/tutorials/lstm_next_value.py [--png loss.png]. The series comes with the extra `demo`.
"""

import series
import torch
from torch import nn

import elman

STEPS = 22


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = elman.nn.LSTM(1, 50)
        self.head = nn.Linear(50, 1)

    def forward(self, x: elman.Ragged) -> torch.Tensor:
        _, (h, _) = self.lstm(x)
        return self.head(h[-1])  # after the last step


options = series.arguments("LSTM(50) -> the next value", epochs=100)
torch.manual_seed(0)
years = series.sunspots()
first = len(years) * 4 // 5  # the rest is the validation set
mean, deviation = years[:first].mean(), years[:first].std()
scaled = (years - mean) / deviation
training, validation = series.windows(scaled[:first], STEPS + 1), series.windows(scaled[first - STEPS :], STEPS + 1)
network = Network()
optimizer = torch.optim.Adam(network.parameters())


def loss_of(windows: torch.Tensor) -> torch.Tensor:
    return nn.functional.mse_loss(network(elman.Ragged.of(list(windows[:, :-1]))), windows[:, -1])


losses: dict[str, list[float]] = {"training": [], "validation": []}
for epoch in range(1, options.epochs + 1):
    total = 0.0
    for batch in torch.randperm(len(training)).split(32):
        loss = loss_of(training[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    with torch.no_grad():
        losses["validation"].append(loss_of(validation).item())
    losses["training"].append(total / len(training))
    print(f"epoch {epoch:3d}: loss {losses['training'][-1]:.4f}, validation {losses['validation'][-1]:.4f}", flush=True)

same = (validation[:, -1] - validation[:, -2]).square().mean()
print(f"naive forecast, next year as this one: {same:.4f}")
if options.png:
    series.draw(losses, "LSTM(50) -> next value: sunspots", options.png)
