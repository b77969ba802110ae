"""The picture of a classification report: confusion matrix, reliability diagram, ROC and precision-recall curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from elman.evaluation import plots
from elman.evaluation.calibration import ReliabilityBin
from elman.evaluation.ranking import RankScore, precision_recall_curve, roc_curve

MOST = 6  # classes with curves
_LONGEST = 16  # letters of a label beside the confusion matrix
_Points = tuple[NDArray[np.float64], NDArray[np.float64]]


class RankCurve(NamedTuple):
    """The curves of one class, x and y of each."""

    name: str
    roc_area: float
    pr_area: float
    roc: _Points
    precision_recall: _Points

    @classmethod
    def of(cls, label: Any, rank: RankScore, positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> RankCurve:
        """The curves of the class `label`: `positive` and `scores` of each sequence, and their areas."""
        return cls(str(label), *rank, roc_curve(positive, scores), precision_recall_curve(positive, scores))


def classification_picture(
    names: Sequence[str],
    counts: NDArray[np.int64],
    bins: Sequence[ReliabilityBin],
    error: str,
    curves: Sequence[RankCurve],
    title: str,
    below: str,
    columns: Sequence[str] = (),
) -> bytes | None:
    """Draws the confusion matrix `counts` [true, answered] of the classes `names`, and the curves.

    With names of `columns` of their own the counts are those of each label.

    None, with a note on stderr, without matplotlib.

    >>> bins, curve = [ReliabilityBin(0.8, 0.9, 0.85, 0.5, 4)], (np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    >>> curves = [RankCurve("b", 0.5, 0.5, curve, curve)]
    >>> picture = classification_picture(["a", "b"], np.eye(2, dtype=np.int64), bins, "", curves, "A title", "")
    >>> picture is None or picture[1:4]
    b'PNG'
    """
    figure = plots.new_figure(11.5, 9.4)
    if figure is None:
        return None
    (matrix, reliability), (roc, precision_recall) = figure.subplots(2, 2)
    _draw_counts(matrix, names, columns, counts)
    across, up = ("probability of a label", "frequency") if columns else _CONFIDENCE
    _draw_reliability(reliability, bins, error, across, up)
    _draw_curves(roc, [(f"{curve.name}, area {curve.roc_area:.3f}", curve.roc) for curve in curves])
    _titled(roc, "ROC, one-vs-rest", "false positive rate", "recall (true positive rate)")
    roc.plot([0, 1], [0, 1], **_DIAGONAL)
    named = [(f"{curve.name}, area {curve.pr_area:.3f}", curve.precision_recall) for curve in curves]
    _draw_curves(precision_recall, named, drawstyle="steps-pre")
    _titled(precision_recall, "Precision and recall, one-vs-rest", "recall", "precision")
    figure.suptitle(plots.literal(title) + "\n", x=0.01, ha="left", fontsize=13, color=plots.INK, fontweight="bold")
    figure.text(0.01, 0.968, plots.literal(below), fontsize=9.5, color=plots.GREY, va="top")
    return plots.png(figure)


_CONFIDENCE = ("confidence (probability of the likeliest class)", "accuracy")
_DIAGONAL: dict[str, Any] = {"color": plots.GREY, "linewidth": 1.0, "linestyle": (0, (4, 2))}


def _draw_counts(axes: Any, names: Sequence[str], columns: Sequence[str], counts: NDArray[np.int64]) -> None:
    """Shaded by the share of the row, with the counts."""
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.6 else plots.INK
        axes.text(
            column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=9 if len(names) < 9 else 7
        )
    rows, short = _short(names), _short(columns or names)
    turned: dict[str, Any] = {"rotation": 45, "ha": "right"} if max(map(len, short)) > 30 // len(short) else {}
    axes.set_xticks(range(len(short)), short, fontsize=9, **turned)
    axes.set_yticks(range(len(rows)), rows, fontsize=9)
    axes.tick_params(length=0)
    if columns:
        _labelled(axes, "Answers of each label", "", "label")
    else:
        _labelled(axes, "Confusion matrix", "answered", "true")


def _short(names: Sequence[str]) -> list[str]:
    return [plots.literal(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…") for name in names]


def _draw_reliability(axes: Any, bins: Sequence[ReliabilityBin], error: str, across: str, up: str) -> None:
    """The accuracy of each bin by its confidence, by the names `up` and `across`, and how many answers it has."""
    edges, highs = [part.low for part in bins], [part.high for part in bins]
    widths = [part.high - part.low for part in bins]
    total = sum(part.answers for part in bins)
    accuracies = [part.accuracy for part in bins]
    axes.bar(edges, accuracies, widths, align="edge", color=plots.COLOURS[5], edgecolor="white", label=up)
    shares = [part.answers / total for part in bins]
    axes.hlines(shares, edges, highs, color=plots.INK, linewidth=1.4, label="share of answers")
    axes.plot([part.confidence for part in bins], accuracies, "o", color=plots.COLOURS[0], markersize=4.5)
    axes.plot([0, 1], [0, 1], **_DIAGONAL, label="calibrated")
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    _titled(axes, f"Reliability: {error}", across, up)


def _draw_curves(axes: Any, curves: Sequence[tuple[str, _Points]], **style: Any) -> None:
    for (name, (x, y)), colour in zip(curves, plots.COLOURS, strict=False):
        axes.plot(x, y, color=colour, linewidth=1.7, label=plots.literal(name), **style)
    if curves:
        axes.legend(frameon=False, fontsize=9, loc="lower left" if style else "lower right")
    else:
        axes.text(0.5, 0.5, "only one class occurs", ha="center", color=plots.GREY, fontsize=9.5)


def _titled(axes: Any, title: str, across: str, up: str) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_axisbelow(True)
    plots.plain_axes(axes)
    _labelled(axes, title, across, up)


def _labelled(axes: Any, title: str, across: str, up: str) -> None:
    axes.set_title(plots.literal(title), loc="left", fontsize=10.5, color=plots.INK)
    axes.set_xlabel(across, color=plots.INK)
    axes.set_ylabel(up, color=plots.INK)
