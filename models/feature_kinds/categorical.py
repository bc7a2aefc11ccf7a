"""A text, such as a city or a campaign, with an embedding row for each value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ctr_retrain.models.feature_kinds.fingerprints import TextColumn

if TYPE_CHECKING:
    from collections.abc import Sequence


class Categorical(TextColumn):
    """A text's embedding row."""

    kind: Literal["categorical"] = "categorical"

    meaning: ClassVar[str] = "a text's embedding row"
    missing: ClassVar[str] = "a row of its own (null, absent, empty)"

    def texts_of(self, columns: Sequence[Any]) -> Any:
        """One value a text."""
        return columns[0][:, None]
