"""Translate dates in several formats to ISO format, character by character.

Usage: python examples/translate.py [--epochs N]. The pairs are synthetic.
"""

import argparse
import datetime as dt
import random

import elman
from elman.tasks.translate.ibm_model1 import IBMModel1
from elman.tasks.translate.mt_metrics import compared

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, help="epochs (default: by the size of the training set)")
options = parser.parse_args()

draw = random.Random(0)
days = [dt.date(1950, 1, 1) + dt.timedelta(days=draw.randrange(40_000)) for _ in range(1200)]
said = [f"{day:{draw.choice(['%d %B %Y', '%B %d, %Y', '%a %d.%m.%Y'])}}" for day in days]
meant = [day.isoformat() for day in days]

# Less dropout and a higher learning rate than the defaults, which are for sentences: here every character matters.
rates = {"learning_rate": 0.01, "input_dropout": 0.1}
model = elman.Translator(unit="characters", hidden=64, embed=32, epochs=options.epochs, seed=0, **rates)
model.fit(said[:1000], meant[:1000])
baseline = IBMModel1().fit(said[:1000], meant[:1000])
print(f"exact matches {model.evaluate(said[1000:], meant[1000:])['exact']:.3f}")
print(f"word-by-word translation {compared(baseline.predict(said[1000:]), meant[1000:])['exact']:.3f}")
print(f"07 May 1999 is {model.predict(['07 May 1999'])[0]}")
# All training dates have two-digit days. For other formats the prediction is only a guess: add such pairs.
print(f"7 May 1999, a format that is not in the training set, is {model.predict(['7 May 1999'])[0]}")
print(model.align("May 07, 1999"))
