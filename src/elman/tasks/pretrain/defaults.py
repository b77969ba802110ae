"""Defaults of options that are None in tasks with the option ``pretrain``, without and with it."""

from __future__ import annotations

from typing import Any

from elman.tasks.base.resolve import Config, Default, Rule, Summary


def _either(without: Any, with_pretrain: Any, name: str = "") -> Rule:
    """A value without pre-training and one with it; `name`: the option of a ``Generator`` used instead."""

    def rule(config: Config, summary: Summary) -> Any:
        if name and summary.generator is not None:
            return learnt_option(summary.generator, name)
        return without if config.pretrain is None else with_pretrain

    return rule


def learnt_option(generator: Any, name: str) -> Any:
    """An option with which a ``Generator`` was fitted."""
    return getattr(generator, "learnt_with_", {}).get(name, getattr(generator, name))


def halved(epochs: Rule) -> Rule:
    """Half as many epochs with pre-training, at least 2."""

    def rule(config: Config, summary: Summary) -> int:
        found = int(epochs(config, summary))
        return found if config.pretrain is None else max(2, found // 2)

    return rule


_BENCH = "bench/pretrain.py, 2026"

SIZES: dict[str, Default] = {
    "cell": Default(_either(None, None, "cell"), "the cell, that of a Generator if given", _BENCH),
    "hidden": Default(_either(64, 512, "hidden"), "units per layer and direction", _BENCH),
    "embed": Default(_either(64, 128, "embed"), "size of the symbol embeddings", _BENCH),
    "learning_rate": Default(_either(3e-3, 1e-3), "the peak learning rate", _BENCH),
    "dropout": Default(_either(0.3, 0.5), "dropout rate after each layer", _BENCH),
}
PRETRAINED: dict[str, Default] = {
    "symbol_dropout": Default(_either(None, 0.0), "fraction of the distinct symbols dropped", _BENCH),
    "pool": Default(_either(None, "mean+max+last"), "one row from all steps", _BENCH),
}
