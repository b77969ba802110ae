"""Tag the names of people and places in sentences.

Usage: python examples/tag.py [--epochs N]. The sentences are synthetic.
"""

import argparse
import random

import elman
from elman.evaluation.baselines import CommonestTag
from elman.tasks.tag.spans import span_scores

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, help="epochs (default: by the size of the training set)")
options = parser.parse_args()

draw = random.Random(0)
PLACES, PEOPLE = ["nord", "sala", "velt", "kor", "mira", "tas"], ["anna", "bo", "carl", "dina"]


def sentence() -> tuple[list[str], list[str]]:
    """A person who went to a place; the name of the place has one or two words."""
    name = [draw.choice(PLACES) + draw.choice(["burg", "stad", "ia", "heim"])]
    if draw.random() < 0.4:
        name = ["San", *name]
    words = [
        draw.choice(PEOPLE),
        draw.choice(["went", "flew", "moved"]),
        "to",
        *name,
        "in",
        str(draw.randrange(1900, 2030)),
    ]
    return words, ["B-person", "O", "O", *["B-place", "I-place"][: len(name)], "O", "O"]


words, labels = zip(*[sentence() for _ in range(600)], strict=True)
tagger = elman.Tagger(epochs=options.epochs, seed=0).fit(list(words[:400]), list(labels[:400]))
baseline = CommonestTag().fit(words[:400], labels[:400])
print(f"span F1 {tagger.score(list(words[400:]), list(labels[400:])):.3f}")
print(f"most frequent label of each word {span_scores(labels[400:], baseline.predict(words[400:])).f1:.3f}")
print(*zip(test := ["zoe", "flew", "to", "San", "Tarheim", "in", "1999"], *tagger.predict([test]), strict=True))
