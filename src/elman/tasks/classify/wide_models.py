"""Which wide model stands beside the network: the n-gram model for symbols, MiniRocket for few sequences of numbers."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import OptionError
from elman.features import Columns, Feature
from elman.features.columns import symbolic
from elman.features.multi_input import MultiInput
from elman.ragged import Ragged
from elman.tasks.base.resolve import Config
from elman.tasks.classify.defaults import CHOOSERS, STRENGTHS
from elman.tasks.classify.minirocket import MiniRocket
from elman.tasks.classify.ngram_model import NgramModel, bucket_count
from elman.tasks.classify.stacking import best_loss
from elman.tasks.classify.wide import WideModel

__all__ = ["WIDE_MODELS", "fit_wide"]

_Ints = NDArray[np.int64]

WIDE_MODELS: dict[str, type[WideModel]] = {model.kind: model for model in (NgramModel, MiniRocket)}


def fit_wide(
    config: Config,
    feature: Feature | Columns,
    parts: tuple[Ragged | MultiInput, Ragged | MultiInput],
    codes: tuple[_Ints, _Ints],
    weights: Tensor,
    seed: int,
) -> WideModel | None:
    """The wide model that the options `ngrams` and `patterns` ask for, learnt from the first of the two `parts`.

    The strength of n-grams is the one with the least cross-entropy on the second part, if that is large enough.
    `codes` are the classes of the sequences of both, `weights` the cost of an error in each class. Raises
    ``OptionError`` for options that do not suit the feature.
    """
    if config.ngrams and feature.symbols is None:
        raise OptionError(f"ngrams = {config.ngrams} needs texts or tokens; numbers have no n-grams. Leave it at None.")
    if config.patterns and not feature.is_series:
        needs = f"needs a column of numbers, but the input is taken for {feature.called}. Leave it at None."
        raise OptionError(f"patterns = {config.patterns} {needs}")
    if not config.ngrams and not (config.patterns and parts[0].steps):
        return None
    data, kept = (symbolic(feature, part) for part in parts)
    targets = torch.from_numpy(codes[0])
    learnt = data, targets, len(weights), weights[targets]
    if config.patterns:
        return MiniRocket(int(config.patterns), seed).fit(*learnt)
    orders = tuple(range(1, int(config.ngrams) + 1))
    models = [
        NgramModel(orders, bucket_count(data.steps, orders), strength).fit(
            data, targets, len(weights), weights[targets]
        )
        for strength in (STRENGTHS if len(kept) >= CHOOSERS else STRENGTHS[:1])
    ]
    costs = weights.double().numpy()[codes[1]]
    return min(models, key=lambda model: best_loss(model.logits(kept).double().numpy(), codes[1], costs))
