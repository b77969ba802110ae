"""What every task promises, over the table: saved = loaded, stream = predict, alone = in a batch, hostile input."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import elman
from elman import tasks
from elman.errors import ElmanError, OptionError
from elman.ops.functional import info
from elman.tasks.base.session import Session
from elman.tasks.base.task import Task
from table import TASK_VARIANTS as TASKS
from table import fitted

#: Tasks whose sequences are not answered one by one, or not step by step, and why.
WHOLE = {
    "forecast": "keeps the state of every series itself; tests/tasks/forecast/test_memory.py",
    "translate": "begins when the whole source was read",
}
#: What a task needs to be streamed.
STREAMED: dict[str, dict[str, Any]] = {
    "tag": {"ensemble_size": 1, "bidirectional": False},
    "transcribe": {"bidirectional": False},
}
HOSTILE = {
    "None": None,
    "a number": 5,
    "an object": object(),
    "objects": [object()],
    "a dict": {},
    "depths": [None, [object()]],
}
PRECISIONS = ["float32", *(["bfloat16"] if info()["bfloat16"] else [])]


@functools.cache
def model_of(task: str) -> Any:
    return fitted(task, **STREAMED.get(task, {}))


def answers(model: Any, X: Sequence[Any]) -> list[str]:
    """All bits of what a model answers for each sequence."""
    if model.task == "forecast":
        found = model.predict(frame=X).rows()
    elif model.task == "generate":
        found = model.nats(X)
    elif hasattr(model, "predict_proba"):
        found = rows(model.predict_proba(X))
    else:
        found = rows(model.predict(X))
    with np.printoptions(precision=17, threshold=10**6):
        return [repr(one) for one in found]


def rows(found: Any) -> list[Any]:
    """An answer a sequence; where there are several targets, each by its name."""
    if isinstance(found, dict):
        return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
    return list(found)


def told(model: Any, x: Any, session: Session) -> tuple[Any, Any]:
    """What a session says after all of a sequence, and what the whole sequence is answered with."""
    answer = session.answer
    if model.task == "generate":
        end = session.state["logs"][0, -1].item() if model.ends_ else 0.0  # that the text ends here counts too
        return answer.nats - end, model.nats([x])[0]
    if model.task == "tag":
        return answer.labels, list(model.predict([x])[0])
    answered = model.predict([x])
    if getattr(model, "multilabel_", False) and isinstance(answered, np.ndarray):  # a stream names the labels
        return answer.label, model.classes_[answered[0] == 1].tolist()
    return answer[0], rows(answered)[0]


def pieces_of(x: Any) -> list[Any]:
    """A sequence in pieces that a session takes."""
    return re.findall(r"\S+\s*", x) if isinstance(x, str) else [x[i : i + 1] for i in range(len(x))]


@pytest.mark.parametrize("task", TASKS)
def test_saved_is_loaded(task: str, tmp_path: Path) -> None:
    model, X = model_of(task), TASKS[task].data[0]
    model.save(tmp_path / "model")
    assert answers(elman.load(tmp_path / "model"), X) == answers(model, X)


@pytest.mark.parametrize(
    "task", [task for task, row in TASKS.items() if hasattr(tasks.TASKS[row.verb or task], "report")]
)
def test_a_report_has_the_scores_of_evaluate(task: str) -> None:
    model, (X, y, *_) = model_of(task), TASKS[task].data
    found, scores = model.report(X, y), model.evaluate(X, y)
    reports = {f"{name}.": report for name, report in found.items()} if isinstance(found, dict) else {"": found}
    for name, report in reports.items():
        made = json.loads(json.dumps(report.to_json(), allow_nan=False))
        shared = scores.keys() & {f"{name}{key}" for key in made}
        assert {f"{name}accuracy", "subset_accuracy"} & shared
        assert {key: made[key.removeprefix(name)] for key in shared} == {key: scores[key] for key in shared}
        assert "expected calibration error" in str(report)
        assert report.picture("title").startswith(b"\x89PNG")


@pytest.mark.parametrize("task", [task for task in TASKS if task != "forecast"])
def test_alone_is_in_a_batch(task: str) -> None:
    model, X = model_of(task), TASKS[task].data[0]
    alone = [answers(model, [x])[0] for x in X]
    assert answers(model, X) == alone
    assert answers(model, X[::-1]) == alone[::-1]


@pytest.mark.parametrize("task", TASKS)
def test_a_stream_is_predict(task: str) -> None:
    model, X = model_of(task), TASKS[task].data[0]
    if task in WHOLE:
        with pytest.raises(OptionError):
            model.stream()
        return
    for x in X[:4]:
        session = model.stream()
        for piece in pieces_of(x):
            session.feed(piece)
        got, expected = told(model, x, session)
        assert np.array_equal(got, expected) if isinstance(expected, np.ndarray) else got == expected


@pytest.mark.parametrize("task", [task for task in TASKS if task not in WHOLE])
def test_a_session_goes_on_from_its_state(task: str) -> None:
    """At any length: what a session remembers may grow with its steps."""
    model, piece = model_of(task), pieces_of(TASKS[task].data[0][0])[0]
    unbroken = model.stream()
    for step in range(1, 33):
        unbroken.feed(piece)
        if step in (1, 3, 10, 30):
            other = model.stream()
            other.state = unbroken.state
            assert repr(other.answer) == repr(unbroken.answer)
            one, two = unbroken.copy(), other
            for _ in range(2):
                assert repr(two.feed(piece)) == repr(one.feed(piece)), f"after {step} steps"


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_is_refused(task: str, name: str) -> None:
    if task == "forecast" and HOSTILE[name] is None:
        return  # the series that it learnt from
    with pytest.raises(ElmanError):
        answers(model_of(task), HOSTILE[name])


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_model_of_any_precision_is_diagnosed_or_refused(task: str, precision: str) -> None:
    model = fitted(task, precision=precision)
    if type(model)._diagnosis_request is Task._diagnosis_request:
        with pytest.raises(OptionError, match="cannot be diagnosed"):
            model.diagnose(TASKS[task].data[0])
    else:
        assert model.diagnose(TASKS[task].data[0]).verdict
