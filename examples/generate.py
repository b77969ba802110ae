"""Generate poems of a given form with a language model of synthetic poems.

Usage: python examples/generate.py [--epochs N].
"""

import argparse
import random

import elman
from elman.tasks.generate.constraints import Verse

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, help="epochs (default: by the size of the training set)")
options = parser.parse_args()

draw = random.Random(0)
TOPICS = {"山": "峰雲松石高", "水": "江舟月魚流", "春": "花鳥雨風新"}


def poem() -> str:
    """Two lines of five characters, each beginning with the topic."""
    topic, others = draw.choice(list(TOPICS.items()))
    lines = ["".join([topic, *draw.sample(others, 4)]) for _ in range(2)]
    return f"{lines[0]}，{lines[1]}。"


poems = [poem() for _ in range(500)]
model = elman.Generator(hidden=64, embed=32, epochs=options.epochs, seed=0).fit(poems[:450])
found = model.evaluate(poems[450:])
print(f"{found['nats']:.2f} nats per character, perplexity {found['perplexity']:.1f}")
for topic in TOPICS:
    print(model.generate(topic, seed=1, form=Verse(lines=2, lengths=(5,))))
