"""Transcribe synthetic speech: each word is two tones, in voices of different pitch.

Usage: python examples/transcribe.py [--epochs N].
"""

import argparse

import numpy as np

import elman
from elman.evaluation.baselines import Constant
from elman.evaluation.metrics import error_rates

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, help="epochs (default: by the size of the training set)")
options = parser.parse_args()

draw, RATE = np.random.default_rng(0), 8000
WORDS = {"LOW": (1, 1.5), "HIGH": (4, 5), "UP": (1, 4), "DOWN": (5, 1.5)}


def sound(text: str) -> tuple[np.ndarray, int]:
    """Each word as two tones and a pause, with a random pitch and noise."""
    voice, parts = draw.uniform(250, 350), []
    for word in text.split():
        for tone in WORDS[word]:
            steps = np.arange(int(RATE * draw.uniform(0.08, 0.14)))
            parts.append(0.3 * np.sin(2 * np.pi * voice * tone * steps / RATE))
        parts.append(np.zeros(int(RATE * 0.06)))
    samples = np.concatenate(parts)
    return samples + draw.normal(0, 0.02, len(samples)), RATE


texts = [" ".join(draw.choice(list(WORDS), draw.integers(1, 4))) for _ in range(360)]
sounds = [sound(text) for text in texts]
model = elman.Transcriber(hidden=48, epochs=options.epochs, seed=0).fit(sounds[:300], texts[:300])
found, plain = (model.evaluate(sounds[300:], texts[300:], beam=beam)["wer"] for beam in (None, 1))
print(f"word error rate {found:.3f}, greedy {plain:.3f}")
baseline = Constant().fit(sounds[:300], texts[:300]).predict(sounds[300:])
print(f"best constant transcript {error_rates(texts[300:], baseline)['wer']:.3f}")
for truth, transcript in zip(texts[300:303], model.predict(sounds[300:303]), strict=True):
    print(f"{truth}: {transcript}")
