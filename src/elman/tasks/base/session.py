"""Sessions: streaming inference with a trained task.

Memory does not grow with the number of steps, except for the n-gram model of a classifier, which keeps the distinct
n-grams so far (at most as many as it has buckets).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, Self

from torch import Tensor

from elman.errors import DataError
from elman.ragged import Ragged


class ClassifyAnswer(NamedTuple):
    """The answer of a classifier to the steps so far."""

    label: Any  # the likeliest class; a list where there may be several labels
    probabilities: dict[Any, float]  # of every class
    steps: int  # number of steps fed


class RegressAnswer(NamedTuple):
    """The answer of a regressor to the steps so far, or with `every_step` at the last step."""

    value: Any  # the number; an array where there are several, a dict where they have names
    steps: int  # number of steps fed


class TranscribeAnswer(NamedTuple):
    """The answer of a transcriber to the steps so far."""

    transcript: Any  # a text, or a list where the training transcripts were lists
    steps: int  # number of steps fed


class TagAnswer(NamedTuple):
    """The answer of a tagger to the steps so far."""

    label: Any  # of the last step; None before the first
    labels: list[Any]  # of all steps so far
    steps: int  # number of steps fed


class MultitaskAnswer(NamedTuple):
    """The answer of a multitask model to the steps so far."""

    values: dict[str, Any]  # the likeliest class or the number, by the name of the target
    probabilities: dict[str, dict[Any, float]]  # of every class, by the name of each target that is a label
    steps: int  # number of steps fed


class Stepper(Protocol):
    """What a session needs of a trained task. States are never changed in place."""

    def read(self, value: Any, state: dict[str, Tensor]) -> tuple[Ragged, dict[str, Tensor]]:
        """The steps that a caller feeds as one sequence, and the state after reading them."""

    def initial_state(self) -> dict[str, Tensor]:
        """The state before the first step, as named tensors."""

    def advance(self, steps: Ragged, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state after at least one more step."""

    def answer(self, state: dict[str, Tensor]) -> Any:
        """The answer in this state."""


class Session:
    """Streaming inference for one client.

    The answer is bitwise equal to ``predict_proba`` on all steps fed so far. A session keeps the weights it was opened
    with, also after another ``fit``; sessions share them. A session is not thread-safe.

    >>> from elman.tasks import Classifier
    >>> texts, labels = ["good film", "fine film", "bad film", "poor film"], ["+", "+", "-", "-"]
    >>> clf = Classifier(epochs=1, hidden=4, verbose=False).fit(texts, labels)
    >>> session = clf.stream()
    >>> answer = session.feed("a good")
    >>> saved = session.state                      # a dict of tensors, to be saved or sent elsewhere
    >>> answer = session.feed("film")
    >>> answer.steps, list(answer.probabilities.values()) == clf.predict_proba(["a good film"])[0].tolist()
    (3, True)
    >>> session.state = saved                      # as if "film" had never come
    >>> session.answer.steps
    2
    """

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper
        self._state = stepper.initial_state()

    def feed(self, steps: Any) -> Any:
        """Reads one step or several, and returns the answer after the last of them.

        - a text model: a chunk of text that ends where a word ends, or a list of such chunks;
        - a model of tokens: one token, or a list of tokens;
        - a model of audio: any number of samples, or a pair (samples, rate);
        - a model of numbers: one number or one row of them, or an array [steps, width]; NaN and None are missing.

        Raises ``DataError`` for steps of another kind or width; the state is then unchanged.
        """
        values, state = self.stepper.read(steps, self._state)
        self._state = self.stepper.advance(values, state) if values.steps else state
        return self.answer

    @property
    def answer(self) -> Any:
        """The answer so far; before the first step that of an empty sequence."""
        return self.stepper.answer(self._state)

    @property
    def state(self) -> dict[str, Tensor]:
        """A copy of the state as named tensors, which safetensors can write."""
        return {name: value.clone() for name, value in self._state.items()}

    @state.setter
    def state(self, state: Any) -> None:
        fresh = self.stepper.initial_state()
        if not isinstance(state, Mapping) or set(state) != set(fresh):
            got = ", ".join(sorted(map(str, state))) if isinstance(state, Mapping) else type(state).__name__
            raise DataError(f"state must hold {', '.join(sorted(fresh))}; got {got}. Give what session.state returned.")
        for name, value in fresh.items():
            _check_like(name, state[name], value)
            # The state of a feature may be NaN (missing); that of a layer is a number, or -inf before the first step.
            if not name.startswith("feature.") and value.is_floating_point() and bool(state[name].isnan().any()):
                raise DataError(f"state[{name!r}] holds NaN. Give what session.state returned.")
        self._state = {name: state[name].detach().cpu().clone() for name in fresh}

    def copy(self) -> Self:
        """An independent session with the same state."""
        made = type(self)(self.stepper)
        made._state = dict(self._state)
        return made

    def reset(self) -> None:
        """Returns to the initial state."""
        self._state = self.stepper.initial_state()


def _check_like(name: str, got: Any, like: Tensor) -> None:
    """Refuses a saved tensor of another model. A dimension of 0 is that of a list, which may grow."""
    listed = like.dim() == 1 and len(like) == 0
    fits = isinstance(got, Tensor) and got.dtype == like.dtype and got.dim() == like.dim()
    if not fits or (not listed and got.shape != like.shape):
        what = f"{got.dtype} {list(got.shape)}" if isinstance(got, Tensor) else type(got).__name__
        raise DataError(
            f"state[{name!r}] is {what}, but this model needs {like.dtype} {list(like.shape)}. Give the state of a "
            "session of the same model."
        )


def flat(prefix: str, state: Any) -> dict[str, Tensor]:
    """The tensors of an encoder's state by name: layer.direction.field.

    >>> from elman.layers.encoder import Encoder
    >>> sorted(flat("encoder", Encoder(2, 3, "gru", layers=2).initial_state(1)))
    ['encoder.0.0.hidden', 'encoder.1.0.hidden']
    """
    return {
        f"{prefix}.{layer}.{way}.{field}": getattr(one, field)
        for layer, ways in enumerate(state)
        for way, one in enumerate(ways)
        for field in one._fields
    }


def nested(prefix: str, tensors: Mapping[str, Tensor], like: Any) -> Any:
    """The inverse of `flat`, in the structure of another state."""
    return tuple(
        tuple(
            type(one)(*[tensors[f"{prefix}.{layer}.{way}.{field}"] for field in one._fields])
            for way, one in enumerate(ways)
        )
        for layer, ways in enumerate(like)
    )


def counted(state: Mapping[str, Tensor]) -> int:
    """The number of steps that a state has seen.

    >>> import torch
    >>> counted({"steps": torch.tensor([3])})
    3
    """
    return int(state["steps"][0])
