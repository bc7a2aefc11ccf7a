"""A text, such as a city or a campaign, with an embedding row for each hashed value."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from ctr_retrain.models.feature_kinds.hashed import HashedColumn, hashed_rows


class Categorical(HashedColumn):
    """A text's embedding row."""

    kind: Literal["categorical"] = "categorical"

    meaning: ClassVar[str] = "a text's embedding row, by TensorFlow's fingerprint"
    missing: ClassVar[str] = "a row of its own (null, absent, empty)"

    def rows_of(self, texts: Any) -> Any:
        """One row a text."""
        return hashed_rows(texts, self.buckets)[:, None]
