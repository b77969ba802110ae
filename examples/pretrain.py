"""Pre-train on unlabelled reviews, fine-tune on 300 labelled ones, and compare with training without pre-training.

Usage: python examples/pretrain.py [--limit 8000] [--epochs N]. The reviews come with the extra `demo`.
"""

import argparse
import tempfile

import elman
from elman.cli.demo import chinese_reviews

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--limit", type=int, default=8000, help="number of reviews; 300 are used with labels")
parser.add_argument("--epochs", type=int, help="epochs over the labelled reviews (default 20)")
options = parser.parse_args()

reviews = chinese_reviews().first(options.limit)
training, test = reviews.part(test=False), reviews.part(test=True)
texts, labels, more = training.texts[:300], training.labels[:300], training.texts[300:] or training.texts

# No n-gram model, to compare the networks alone, and no early stopping, because 30 validation reviews are too few.
shared = {"hidden": 64, "embed": 64, "epochs": options.epochs or 20, "seed": 0, "ngrams": 0, "patience": None}
plain = elman.Classifier(**shared).fit(texts, labels)
pretrained = elman.Classifier(**shared, pretrain=more).fit(texts, labels)
scores = [clf.score(test.texts, test.labels) for clf in (plain, pretrained)]
for name, score in zip(("labels only", f"pre-trained on {len(more)} texts"), scores, strict=True):
    print(f"{name}: accuracy {score:.3f}")
# Pre-training needs many texts: docs/pretraining.md has the result for 72,500 long reviews.
print(f"pre-training {'helped' if scores[1] > scores[0] else 'did not help: too few texts or epochs'}")

with tempfile.TemporaryDirectory() as folder:  # the folder contains the model, not the texts
    pretrained.save(f"{folder}/model")
    print(elman.load(f"{folder}/model").predict(["房间很大，服务也很好"])[0])  # a large room and good service
