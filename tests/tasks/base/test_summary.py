"""The summary of a fitted model; its law for every task is in laws/test_printed.py."""

from __future__ import annotations

import elman


def test_layers_and_choices() -> None:
    clf = elman.Classifier(hidden=4, embed=4, epochs=1, verbose=False).fit(["a b", "c"] * 4, ["x", "y"] * 4)
    found = clf.summary()
    assert found.bytes == 4 * found.parameters
    assert {one.option: one.value for one in found.chosen}["ngrams"] == 3
    assert "symbols of the longest n-gram" in str(found)
    assert max(map(len, str(found).splitlines())) <= 160
