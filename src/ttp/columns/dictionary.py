"""Text as codes into a list of distinct texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class Dictionary:
    """A text column, dictionary-encoded.

    Attributes:
        codes: int32 array of shape (rows,): the position of each row's text in categories; -1 is null.
        categories: the texts.
    """

    codes: Any
    categories: Sequence[str]

    def __len__(self) -> int:
        return len(self.codes)

    def __repr__(self) -> str:
        return f"<Dictionary of {len(self)} rows, {len(self.categories)} categories>"
