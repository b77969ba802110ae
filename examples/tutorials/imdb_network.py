"""The stacked network of the IMDb tutorials, line by line.

10,000 words, the last 50 words of each review: Embedding 100 -> LSTM 100 at every step -> Dropout 0.5 -> LSTM 50 at the
last step -> Dropout 0.5 -> sigmoid, in plain PyTorch with elman's layers. Keras pads every review to 50 words and
computes the padding; here nothing is padded. docs/tutorials.md has the Keras code. In one line:

    elman.Classifier(max_words=10_000, embed=100, hidden=(100, 50), dropout=0.5, pool="last", ngrams=0)

Usage with IMDb: python examples/tutorials/imdb_network.py --data imdb_train.tsv.xz --limit 0
"""

import reviews
import torch
from torch import nn

import elman


class Network(nn.Module):
    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, 100)
        self.first = elman.nn.LSTM(100, 100)
        self.second = elman.nn.LSTM(100, 50)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(50, 1)

    def forward(self, x: elman.Ragged) -> torch.Tensor:
        y, _ = self.first(x.with_values(self.embedding(x.values)))  # an output at every step
        _, (h, _) = self.second(y.with_values(self.dropout(y.values)))  # the last state only
        return self.head(self.dropout(h[-1]))[:, 0]


options = reviews.arguments("Embedding 100 -> LSTM 100 -> LSTM 50 -> sigmoid, with dropout")
x, y, symbols = reviews.load(options, max_words=10_000, last=50)
torch.manual_seed(0)
order = torch.randperm(len(x))
validation, training = order[: len(x) // 5], order[len(x) // 5 :]
network = Network(symbols)
optimizer = torch.optim.Adam(network.parameters())

for epoch in range(1, options.epochs + 1):
    network.train()
    total = 0.0
    for batch in training[torch.randperm(len(training))].split(32):
        loss = nn.functional.binary_cross_entropy_with_logits(network(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    network.eval()
    with torch.no_grad():
        accuracy = ((network(x[validation]) > 0) == (y[validation] == 1)).float().mean()
    print(f"epoch {epoch:2d}: loss {total / len(training):.3f}, validation accuracy {accuracy:.3f}", flush=True)
