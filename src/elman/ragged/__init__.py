"""Ragged batches: sequences of unequal length without padding."""

from elman.ragged.collation import collate
from elman.ragged.ragged import Ragged

__all__ = ["Ragged", "collate"]
