"""The best answers: distinct ones, their columns, their number."""

from typing import Any

import pytest

from elman.errors import OptionError
from elman.tasks.base.top_answers import TopAnswers, check_k, distinct, top_columns


def test_distinct_and_columns() -> None:
    own = [distinct(found, 2) for found in ([(["a"], 0.0), (["a"], -1.0), (["b"], -2.0), (["c"], -3.0)], [([], 0.0)])]
    assert own == [([["a"], ["b"]], [0.0, -2.0]), ([[]], [0.0])]
    columns = top_columns(TopAnswers(*map(list, zip(*own, strict=True))), "y", 2)
    assert columns["predicted_y"] == columns["predicted_y_1"] == [["a"], []]
    assert columns["predicted_y_2"] == [["b"], None]
    assert columns["score_2"] == [-2.0, None]


@pytest.mark.parametrize("k", [0, 1001, 1.0, True, None, "2"])
def test_what_is_no_number_of_answers(k: Any) -> None:
    with pytest.raises(OptionError, match=r"k = .* must be a whole number from 1 to 1000"):
        check_k(k)
