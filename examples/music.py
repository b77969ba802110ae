"""Generate chords with a language model of synthetic chord sequences, and write them to a MIDI file.

Usage: python examples/music.py [--epochs N] [--midi out.mid].
"""

import argparse
import random

import elman
from elman.io.midi import write_midi

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, help="epochs (default: by the size of the training set)")
parser.add_argument("--midi", help="output file")
options = parser.parse_args()

draw = random.Random(0)
TRIADS = {"I": [60, 64, 67], "IV": [60, 65, 69], "V": [59, 62, 67], "vi": [60, 64, 69]}
NEXT = {"I": ["IV", "V", "vi"], "IV": ["I", "V"], "V": ["I", "vi"], "vi": ["IV"]}


def piece() -> list[list[int]]:
    """A common progression of triads that begins and ends with the tonic."""
    names = ["I"]
    while len(names) < 8 or names[-1] != "I":
        names.append(draw.choice(NEXT[names[-1]]))
    return [TRIADS[name] for name in names]


pieces = [piece() for _ in range(300)]
model = elman.Generator(feature="chords", hidden=64, embed=32, epochs=options.epochs, seed=0).fit(pieces[:270])
print(f"{model.evaluate(pieces[270:])['nats_per_step']:.2f} nats per chord")
written = model.generate([TRIADS["I"]], length=16, seed=1)
print(*written, sep="\n")
if options.midi:
    write_midi(options.midi, written)
