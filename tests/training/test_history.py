"""The learning curve on disk and back."""

import pytest

from elman.errors import ModelFileError
from elman.training.history import History


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"metric": "a", "records": [{}], "best": 0, "stopped": ""},
        {"metric": "a", "records": [1], "best": 0, "stopped": ""},
        {"metric": "a", "records": [], "best": 1, "stopped": ""},
        {"metric": "a", "records": None, "best": 1, "stopped": ""},
    ],
)
def test_a_history_that_is_none(content):
    with pytest.raises(ModelFileError, match="history"):
        History.from_json(content)
