"""Digits row by row: an image of 8 x 8 is 8 steps of 8 numbers, and the network says which digit it was.

Run it: python examples/digits.py [--limit 1797] [--epochs N]. The digits ship with scikit-learn; the last quarter,
in other hands than the first, is tested on.
"""

import argparse

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import elman

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--limit", type=int, default=1797, help="so many digits")
parser.add_argument("--epochs", type=int, default=40, help="passes over the training part (default 40)")
options = parser.parse_args()

images, digits = load_digits(return_X_y=True)
images, digits = images.reshape(-1, 8, 8)[: options.limit], digits[: options.limit]
last = len(digits) * 3 // 4
print(f"{last} digits to learn from, {len(digits) - last} to test on")

# Both ways, and 40 epochs: chosen by learning from the first three quarters of the training part, and asking its last.
clf = elman.Classifier(bidirectional=True, epochs=options.epochs, patience=None, seed=0)
clf = clf.fit(images[:last], digits[:last])
print(f"accuracy {clf.score(images[last:], digits[last:]):.3f}")

flat = images.reshape(len(images), 64) / 16
baseline = LogisticRegression(max_iter=1000).fit(flat[:last], digits[:last])
print(f"logistic regression on the pixels {baseline.score(flat[last:], digits[last:]):.3f}")

answer = clf.explain(images[-1:])[0]
for t, (row, spoke) in enumerate(zip(images[-1], answer.steps, strict=True), start=1):
    print(f"row {t} {''.join(' .+#'[int(ink // 4.1)] for ink in row)} spoke for {answer.answer}: {spoke:+.2f}")
