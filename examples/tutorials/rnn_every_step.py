"""A simple RNN(50) with an output at every step.

Mean squared error, Adam, 20 epochs, batches of 32, in plain PyTorch with elman's layer. It reads weekly CO2 values at
Mauna Loa, a year at a time, and predicts at every week the next one. docs/tutorials.md has the Keras code.

Usage: python examples/tutorials/rnn_every_step.py [--png loss.png]. The series comes with the extra `demo`.
"""

import series
import torch
from torch import nn

import elman

STEPS = 52


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = elman.nn.RNN(1, 50)
        self.head = nn.Linear(50, 1)

    def forward(self, x: elman.Ragged) -> torch.Tensor:
        y, _ = self.rnn(x)
        return self.head(y.values)  # at every step


options = series.arguments("RNN(50) with an output at every step", epochs=20)
torch.manual_seed(0)
years = series.windows(series.carbon_dioxide(), STEPS + 1)
years = years - years[:, :1]  # change since the first week, because the level keeps rising
first = len(years) * 4 // 5
training, validation = years[:first], years[first + STEPS :]  # disjoint weeks
deviation = training.std()
training, validation = training / deviation, validation / deviation
network = Network()
optimizer = torch.optim.Adam(network.parameters())


def loss_of(windows: torch.Tensor) -> torch.Tensor:
    x, y = elman.Ragged.of(list(windows[:, :-1])), elman.Ragged.of(list(windows[:, 1:]))
    return nn.functional.mse_loss(network(x), y.values)


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
    print(f"epoch {epoch:2d}: loss {losses['training'][-1]:.4f}, validation {losses['validation'][-1]:.4f}", flush=True)

same = (validation[:, 1:] - validation[:, :-1]).square().mean()
print(f"naive forecast, next week as this one: {same:.4f}")
if options.png:
    series.draw(losses, "RNN(50) at every step: CO2", options.png)
