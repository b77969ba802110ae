"""Translate: dates as people write them to dates as machines do, character by character.

Run it: python examples/translate.py [--epochs N]. The pairs are made here.
"""

import argparse
import datetime as dt
import random

import elman
from elman.tasks.translate.ibm_model1 import IBMModel1
from elman.tasks.translate.mt_metrics import compared

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, help="passes over the training part (default: chosen by its size)")
options = parser.parse_args()

draw = random.Random(0)
days = [dt.date(1950, 1, 1) + dt.timedelta(days=draw.randrange(40_000)) for _ in range(1200)]
said = [f"{day:{draw.choice(['%d %B %Y', '%B %d, %Y', '%a %d.%m.%Y'])}}" for day in days]
meant = [day.isoformat() for day in days]

# Fewer inputs are dropped and the rate is higher than the defaults, which suit sentences: every character counts here.
rates = {"learning_rate": 0.01, "input_dropout": 0.1}
model = elman.Translator(unit="characters", hidden=64, embed=32, epochs=options.epochs, seed=0, **rates)
model.fit(said[:1000], meant[:1000])
baseline = IBMModel1().fit(said[:1000], meant[:1000])
print(f"right {model.evaluate(said[1000:], meant[1000:])['exact']:.3f}")
print(f"word for word {compared(baseline.predict(said[1000:]), meant[1000:])['exact']:.3f}")
print(f"07 May 1999 is {model.predict(['07 May 1999'])[0]}")
# All days above have two digits. What training never showed is answered as surely, and a guess: show it such pairs too.
print(f"7 May 1999, as no pair has it, is {model.predict(['7 May 1999'])[0]}")
print(model.align("May 07, 1999"))
