"""A number that the network reads by one straight line and, unless the recipe says otherwise, in pieces."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from ctr_retrain.models.feature_kinds.feature import NumberFeature


class Numeric(NumberFeature):
    """The number within the training window's bounds, and whether it is missing."""

    kind: Literal["numeric"] = "numeric"
    encoding: Literal["piecewise", "standardized"] = "piecewise"
    """`standardized` is one straight line: the number in standard deviations from the mean. `piecewise` has it too, and
    an embedding at each of up to 17 quantiles; a number between two of these has what lies between their embeddings."""
    transform: Literal["none", "log"] = "none"
    """`log` is sign(x)·ln(1 + |x|), taken before either."""

    meaning: ClassVar[str] = (
        "the number, standardised, and an embedding that changes in straight pieces between quantiles; what lies "
        "beyond the training window's values counts as the outermost of them"
    )
    missing: ClassVar[str] = "counts as the mean, a flag says so, and an embedding of its own"
    network_keys: ClassVar[frozenset[str]] = frozenset({"encoding", "transform"})  # none free: weights are of a scale

    @property
    def table_rows(self) -> int:
        """None."""
        return 0

    @property
    def logarithmic(self) -> bool:
        """True where the recipe's `transform` is the logarithm."""
        return self.transform == "log"

    @property
    def piecewise(self) -> bool:
        """True where the recipe's `encoding` says so."""
        return self.encoding == "piecewise"


def read_as_before(feature: dict[str, Any]) -> dict[str, Any]:
    """Return a stored feature of a model from before numbers were cut into pieces: those of it are standardised."""
    return {**feature, "encoding": "standardized"} if feature["kind"] == "numeric" else feature
