"""Classify digits row by row: an 8 x 8 image is a sequence of 8 steps of 8 numbers.

Usage: python examples/digits.py [--limit 1797] [--epochs N]. The digits are part of scikit-learn; the last quarter is
the test set, written by other people than the training set.
"""

import argparse

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import elman

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--limit", type=int, default=1797, help="number of digits")
parser.add_argument("--epochs", type=int, default=40, help="epochs (default 40)")
options = parser.parse_args()

images, digits = load_digits(return_X_y=True)
images, digits = images.reshape(-1, 8, 8)[: options.limit], digits[: options.limit]
last = len(digits) * 3 // 4
print(f"{last} training digits, {len(digits) - last} test digits")

# Bidirectional and 40 epochs: chosen on the last quarter of the training set, with the first three for training.
clf = elman.Classifier(bidirectional=True, epochs=options.epochs, patience=None, seed=0)
clf = clf.fit(images[:last], digits[:last])
print(f"accuracy {clf.score(images[last:], digits[last:]):.3f}")

flat = images.reshape(len(images), 64) / 16
baseline = LogisticRegression(max_iter=1000).fit(flat[:last], digits[:last])
print(f"logistic regression on the pixels {baseline.score(flat[last:], digits[last:]):.3f}")

answer = clf.explain(images[-1:])[0]
for t, (row, attribution) in enumerate(zip(images[-1], answer.steps, strict=True), start=1):
    pixels = "".join(" .+#"[int(ink // 4.1)] for ink in row)
    print(f"row {t} {pixels} attribution to {answer.answer}: {attribution:+.2f}")
