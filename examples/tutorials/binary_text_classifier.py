"""A binary text classifier: Embedding -> LSTM(50) -> sigmoid.

Binary cross-entropy, Adam, 10 epochs, batches of 32, validation accuracy after each epoch, in plain PyTorch
with elman's layer. docs/tutorials.md has the Keras code. In one line:

    elman.Classifier(embed=32, hidden=50, pool="last", ngrams=0, epochs=10)

Usage: python examples/tutorials/binary_text_classifier.py [--data FILE --input COLUMN --target COLUMN]
"""

import reviews
import torch
from torch import nn

import elman


class Network(nn.Module):
    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, 32)
        self.lstm = elman.nn.LSTM(32, 50)
        self.head = nn.Linear(50, 1)

    def forward(self, x: elman.Ragged) -> torch.Tensor:
        _, (h, _) = self.lstm(x.with_values(self.embedding(x.values)))
        return self.head(h[-1])[:, 0]  # the logit; its sigmoid is the probability


options = reviews.arguments("Embedding -> LSTM(50) -> sigmoid")
x, y, symbols = reviews.load(options, max_words=10_000)
torch.manual_seed(0)
order = torch.randperm(len(x))
validation, training = order[: len(x) // 5], order[len(x) // 5 :]
network = Network(symbols)
optimizer = torch.optim.Adam(network.parameters())

for epoch in range(1, options.epochs + 1):
    total = 0.0
    for batch in training[torch.randperm(len(training))].split(32):
        loss = nn.functional.binary_cross_entropy_with_logits(network(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    with torch.no_grad():
        accuracy = ((network(x[validation]) > 0) == (y[validation] == 1)).float().mean()
    print(f"epoch {epoch:2d}: loss {total / len(training):.3f}, validation accuracy {accuracy:.3f}", flush=True)
