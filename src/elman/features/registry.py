"""The registry of features and static inputs."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from elman.features.audio import Sound
from elman.features.base import Feature, Static
from elman.features.category import Category
from elman.features.chords import Chords
from elman.features.images import Images
from elman.features.number import Number
from elman.features.numbers import Numbers
from elman.features.text import Text
from elman.features.tokens import Tokens
from elman.features.words import Words

FEATURES: dict[str, type[Feature]] = {
    feature.kind: feature
    for feature in (
        Text,
        Tokens,
        Words,
        Numbers,
        Images,
        Chords,
        Sound,
    )
}
#: Static inputs.
STATICS: dict[str, type[Static]] = {static.kind: static for static in (Number, Category)}
#: Those that may read one of several columns.
COLUMNS: dict[str, type[Feature]] = {kind: feature for kind, feature in FEATURES.items() if feature.is_column}


def saved_feature(feature: Any) -> dict[str, Any]:
    """The config of a fitted feature, or of several columns, with its kind.

    >>> saved_feature(Chords().fit([[[60]]]))
    {'kind': 'chords', 'lowest': 60, 'highest': 60}
    """
    return {"kind": feature.kind, **feature.config()}


def restored_feature(config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, str]) -> Feature:
    """The inverse of `saved_feature`, for one column. Raises `ModelFileError` or ``KeyError`` for what cannot be.

    >>> restored_feature({"kind": "chords", "lowest": 60, "highest": 60}, {}, {}).describe()
    'chords, notes 60 to 60'
    """
    return FEATURES[config["kind"]].restore(config, tensors, files)
