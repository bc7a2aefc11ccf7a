"""A feature of a recipe, and all that a kind of feature says of itself.

A kind is a class in a file of its own. Its fields are the keys of a recipe, with their meaning below each; its methods
are the encoding offline and in the served graph, the layer that it adds to a network, and the rows that it takes of the
embedding table. `kinds.py` lists the kinds, and nothing outside this package names one.

A kind encodes its columns either as ids, which are rows of the table (`IdFeature`), or as one raw number that the
network itself standardises or finds a row for (`NumberFeature`). Recipes are also read where nothing is computed, so
whatever needs TensorFlow imports it in the function that needs it: its import takes seconds.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import ValidationInfo, model_serializer, model_validator

from ctr_retrain.models.mistakes import refuse
from ctr_retrain.models.section import Name, Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    import pyarrow as pa

Holds = Literal["text", "number", "time"]

ENCODING = 3  # version of the encoding; another number makes all encoded days anew
NAMING_KEYS = frozenset({"name", "column", "columns"})  # keys that only say which columns are read: see `sources`
JUDGING_KEYS = frozenset({"known_before"})  # keys that only the gate reads: no encoded day, network or digest has them

# Keys that each feature's document has, whatever its kind, with these values where the kind doesn't have the key.
# Recipes were stored in this form before each kind had a class of its own, and runs, encoded days and models are named
# by digests of such documents. Keys of later kinds don't belong here.
FORMER_KEYS: dict[str, Any] = {
    "buckets": 2**14, "column": "", "columns": (), "delimiter": "|", "edges": (), "harmonics": 0, "max_values": 8,
    "min_rows": 1, "pooling": "mean", "quantiles": 16, "shares": "", "transform": "none",
}  # fmt: skip


class Feature(Section):
    """One input of the model, computed from columns of the impression."""

    kind: str
    """How the columns become inputs of the network."""
    name: Name
    """Name of the feature; unique in the recipe."""
    known_before: bool = False
    """true confirms that the value is known before the decision, where the gate holds runs because it seems a leak."""

    holds: ClassVar[Holds]  # what its columns hold
    meaning: ClassVar[str]  # what the network gets of a value, for the documentation
    missing: ClassVar[str]  # what the network gets where the value is missing, for the documentation
    network_keys: ClassVar[frozenset[str]] = frozenset()  # keys that the network alone reads, and no encoded day
    free_keys: ClassVar[frozenset[str]] = frozenset()  # keys that leave each value its row: learnt weights still fit

    @property
    @abstractmethod
    def sources(self) -> tuple[str, ...]:
        """The impression's columns that are read."""

    @property
    @abstractmethod
    def table_rows(self) -> int:
        """Rows of the embedding table, the first for a missing value; 0: the feature takes no part in it."""

    @property
    def owner(self) -> str:
        """Name of the feature whose rows stand for the values: this one, or one that it shares them with."""
        return self.name

    @property
    def list_delimiter(self) -> str:
        """Separator between the values of a text that holds several; it also joins those of a landed list."""
        return ""

    def mistakes(self) -> Iterator[str]:
        """Sentences on keys that don't fit together, each "expected …, received …"."""
        yield from ()

    def has_rows_of(self, other: Feature) -> bool:
        """Tell whether a value has the same row, or number, in both, so that weights learnt for one fit the other."""
        keys = type(self).model_fields.keys() - NAMING_KEYS - JUDGING_KEYS - self.free_keys
        alike = type(other) is type(self) and self.sources == other.sources
        return alike and all(getattr(self, key) == getattr(other, key) for key in keys)

    def encoded_keys(self) -> dict[str, Any]:
        """The keys that an encoded day depends on, as JSON values, apart from columns."""
        read = type(self).model_fields.keys() - NAMING_KEYS - JUDGING_KEYS - {"shares"} - self.network_keys
        return {key: value for key, value in self.model_dump(mode="json").items() if key in read}

    @model_validator(mode="after")
    def _keys_fit(self, info: ValidationInfo) -> Self:
        """Refuse keys that another kind has, which the entry's validation names in its context, and then mistakes."""
        foreign = (info.context or {}).get("foreign", ())
        if foreign:
            known = ", ".join(sorted(type(self).model_fields.keys() - {"name", "kind"}))
            msg = f"feature {self.name!r}: expected of kind {self.kind} only {known}, received {', '.join(foreign)}"
            raise ValueError(msg)
        refuse(f"feature {self.name!r}: {mistake}" for mistake in self.mistakes())
        return self

    @model_serializer(mode="plain")
    def _document(self) -> dict[str, Any]:
        # What wasn't confirmed is left out, so that recipes of before there was anything to confirm are stored as ever.
        left_out = frozenset() if self.known_before else JUDGING_KEYS
        own = {key: getattr(self, key) for key in type(self).model_fields if key not in left_out}
        return own | {key: default for key, default in FORMER_KEYS.items() if key not in own}


class OneColumn(Feature):
    """A feature of one column."""

    column: str = ""
    """The impression's column; empty: the feature's name."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The column."""
        return (self.column or self.name,)


class IdFeature(Feature):
    """A feature whose values are encoded as ids: rows within its part of the embedding table, 0 for a missing value."""

    @property
    def slots(self) -> int:
        """Columns of the encoded ids: as many as a row has values at most."""
        return 1

    @property
    def known(self) -> npt.NDArray[np.int64]:
        """The values with rows that were fitted on the training window; none where rows follow from the recipe."""
        return np.empty(0, np.int64)

    @abstractmethod
    def encode(self, columns: Sequence[pa.Array]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Return the different values in the columns of `sources`, (values,) rising, and where they are, (n, slots).

        A value is an integer, such as a text's fingerprint. In a slot stands 0 where nothing is, else 1 + its value's
        place. This is all that an encoded day holds, so it depends on no training window.
        """

    @abstractmethod
    def rows_of(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the rows of values, of the same shape, none of them 0."""

    @abstractmethod
    def encode_in_graph(self, columns: Sequence[Any], known: Any) -> Any:
        """Return the rows in the served graph, (n, slots) int64, of tensors (n,): texts, or times in µs.

        known: `known` as a tensor, which the served graph holds as a variable.
        """

    def pool(self, embedded: Any, there: Any) -> Any:
        """Return one embedding, (batch, width), of those of the slots.

        embedded: (batch, slots, width). there: (batch, slots), 1 for slots with a value and 0 for others.
        """
        del there
        return embedded[:, 0]

    @property
    def extra_numbers(self) -> int:
        """Number of numbers that the network reads beside the embedding: the width of `numbers_beside`."""
        return 0

    def numbers_beside(self, rows: Any) -> Any:
        """Return these numbers, (batch, extra_numbers) float32, of the rows (batch,) in the first slot."""
        raise NotImplementedError


class NumberFeature(OneColumn):
    """A feature that stays one raw number until the network reads it.

    Without rows in the table it is standardised or cut into pieces; with rows, the network finds the number's row by
    edges that were fitted on the training window.
    """

    holds: ClassVar[Holds] = "number"

    @property
    def logarithmic(self) -> bool:
        """True where sign(x) · ln(1 + |x|) is read rather than x itself."""
        return False

    @property
    def piecewise(self) -> bool:
        """True where the network learns a line of straight pieces over the number, not one straight line."""
        return False

    def fit_edges(self, sample: npt.NDArray[np.float32]) -> tuple[float, ...]:
        """Return the rising edges between the numbers' rows, from a sample of the training window, NaN included."""
        raise NotImplementedError

    def find_row(self, numbers: Any, edges: Sequence[float]) -> Any:
        """Return the rows of raw numbers, both (batch,), by the fitted edges; row 0 for NaN."""
        raise NotImplementedError


def encoding_of(features: tuple[Feature, ...]) -> list[dict[str, Any]]:
    """Return all that encoded days depend on, as JSON values: two recipes with equal ones encode alike."""
    return [
        {"encoding": ENCODING},
        *({**feature.encoded_keys(), "sources": feature.sources} for feature in features),
    ]
