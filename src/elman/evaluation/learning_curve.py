"""The learning curve as a picture."""

import math
import statistics
from typing import Any

from elman.evaluation import plots
from elman.evaluation.tables import spaced
from elman.training.history import History, lower_is_better

_PRESSED = 30.0  # largest value by median from which an axis is logarithmic
_LOSS = "#b3541e"
_METRIC = "#1f5f8b"  # told apart in every kind of colour blindness and in print


def learning_curve(history: History, title: str = "Learning curve") -> bytes | None:
    """Draw loss and validation metric over the epochs, as the bytes of a PNG. The epoch that was kept is marked.

    None, with a note on stderr, where matplotlib (the extra `plot`) is missing; None where there are no epochs.

    >>> learning_curve(History()) is None
    True
    """
    if not len(history):
        return None
    figure = plots.new_figure(7.2, 4.2)
    if figure is None:
        return None
    from matplotlib.ticker import MaxNLocator

    axes = figure.add_subplot()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    lines = _draw_loss(axes, history) + _draw_metric(axes, history)
    if history.best:
        lines.append(axes.axvline(history.best, color=plots.INK, linestyle=":", linewidth=1.4, label="weights kept"))
    axes.set_title(f"{plots.literal(title)}\n", loc="left", fontsize=13, color=plots.INK, fontweight="bold")
    axes.text(0, 1.03, plots.literal(_summary(history)), transform=axes.transAxes, fontsize=9.5, color="#666666")
    figure.legend(
        handles=lines, loc="outside lower center", ncols=len(lines), frameon=False, handlelength=3, fontsize=9
    )
    return plots.png(figure)


def _draw_loss(axes: Any, history: History) -> list[Any]:
    epochs, style = [r.epoch for r in history], _style(history)
    lines = axes.plot(epochs, [r.loss for r in history], color=_LOSS, label="training loss", **style)
    held_out = [r.validation.get("loss", math.nan) for r in history]
    if any(map(math.isfinite, held_out)):
        lines += axes.plot(epochs, held_out, color=_LOSS, linestyle="--", label="validation loss", **style)
    axes.set_xlabel("epoch (passes over the training sequences)", color=plots.INK)
    axes.set_ylabel("loss (mean per sequence; lower is better)", color=_LOSS)
    _fit_scale(axes, [*(r.loss for r in history), *held_out])
    axes.set_xlim(0.5, len(epochs) + 0.5)
    axes.grid(color="#e3e3e3", linewidth=0.8)
    axes.tick_params(axis="y", labelcolor=_LOSS)
    axes.spines[["top", "right"]].set_visible(False)
    return list(lines)


def _draw_metric(axes: Any, history: History) -> list[Any]:
    """The validation metric on an axis of its own, the best value in a ring."""
    values = [r.validation.get(history.metric, math.nan) for r in history]
    if history.metric == "loss" or not any(map(math.isfinite, values)):
        return []
    name = f"validation {plots.literal(spaced(history.metric))}"
    right = axes.twinx()
    lines = right.plot([r.epoch for r in history], values, color=_METRIC, label=name, **_style(history))
    if history.best:
        right.plot([history.best], [values[history.best - 1]], "o", markersize=11, fillstyle="none", color=_METRIC)
    better = "lower" if lower_is_better(history.metric) else "higher"
    right.set_ylabel(f"{name} ({better} is better)", color=_METRIC)
    _fit_scale(right, values)
    right.tick_params(axis="y", labelcolor=_METRIC)
    right.spines[["top", "left"]].set_visible(False)
    return list(lines)


def _fit_scale(axes: Any, values: list[float]) -> None:
    """A logarithmic axis where the largest value would press all others together: 30 times their median."""
    finite = [value for value in values if math.isfinite(value)]
    if finite and min(finite) > 0 and max(finite) > _PRESSED * statistics.median(finite):
        axes.set_yscale("log")


def _style(history: History) -> dict[str, Any]:
    return {"marker": "o" if len(history) <= 40 else "", "markersize": 4.0, "linewidth": 1.8}


def _summary(history: History) -> str:
    best = history.best_epoch
    value = best.validation.get(history.metric) if best else None
    kept = f"epoch {best.epoch} kept" if best else ""
    parts = [kept + (f", validation {spaced(history.metric)} {value:.4g}" if value is not None else "")]
    parts.append({"patience": "stopped early", "interrupted": "stopped by hand"}.get(history.stopped, ""))
    parts.append(f"{sum(r.seconds for r in history):,.0f} s")
    return " · ".join(filter(None, parts))
