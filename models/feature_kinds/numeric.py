"""A number that the network reads as it is, standardised on the training window."""

from __future__ import annotations

from typing import ClassVar, Literal

from ctr_retrain.models.feature_kinds.feature import NumberFeature


class Numeric(NumberFeature):
    """The number, standardised, and a flag that says whether it is missing."""

    kind: Literal["numeric"] = "numeric"
    transform: Literal["none", "log"] = "none"
    """`log` is sign(x)·ln(1 + |x|), taken before standardising."""

    meaning: ClassVar[str] = "the number, standardised, clipped at 10 deviations"
    missing: ClassVar[str] = "counts as the mean, and a flag says so"
    network_keys: ClassVar[frozenset[str]] = frozenset({"transform"})  # but no free key: weights are of a scale

    @property
    def table_rows(self) -> int:
        """None."""
        return 0

    @property
    def logarithmic(self) -> bool:
        """True where the recipe's `transform` is the logarithm."""
        return self.transform == "log"
