"""Classify reviews, and predict while a text is still being typed.

Usage: python examples/classify.py [--limit 4000] [--epochs N]. The reviews come with the extra `demo`.
"""

import argparse
import tempfile

import elman
from elman.cli.demo import chinese_reviews

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--limit", type=int, default=4000, help="number of reviews")
parser.add_argument("--epochs", type=int, help="passes over the training part (default: chosen by its size)")
options = parser.parse_args()

reviews = chinese_reviews().first(options.limit)
training, test = reviews.part(test=False), reviews.part(test=True)

clf = elman.Classifier(epochs=options.epochs, seed=0).fit(training.texts, training.labels)
print(f"{len(training.texts)} training reviews, {len(test.texts)} test reviews")
print(f"accuracy {clf.score(test.texts, test.labels):.3f}")

with tempfile.TemporaryDirectory() as folder:  # in your own code: clf.save("model")
    clf.save(f"{folder}/model")
    clf = elman.load(f"{folder}/model")

session = clf.stream()
for piece in "房间很大，但是服务太差了":  # the room is large, but the service was poor
    answer = session.feed(piece)
    print(piece, answer.label, f"{answer.probabilities[answer.label]:.2f}")
