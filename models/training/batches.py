"""The stream of training batches, read from memory-mapped arrays that may be larger than memory.

Rows on disk stand in time's order. A batch is made of runs of neighbouring rows picked at random, which the disk reads
at full speed, and permuted; weights and offsets are computed as the batch is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.features.vocabulary import UNSEEN_SHARE
from ctr_retrain.models.weights.head_weights import streaming_chance, with_heads
from ctr_retrain.models.weights.sampling import choose_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from ctr_retrain.models.training.stacked_arrays import Stacked
    from ctr_retrain.models.weights.head_weights import HeadFactors
    from ctr_retrain.models.weights.row_weights import Factors

RUN_ROWS = 64  # at most: long enough for the disk to read at full speed
PLACES = 32  # in time, of which a batch mixes rows, as long as it has so many: neighbours are alike
READERS = 2  # batches that are read at once, and kept ready


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Encoded rows with their labels, as arrays, open memory maps, or those of many days side by side."""

    ids: npt.NDArray[np.int32] | Stacked  # (n, fields)
    numeric: npt.NDArray[np.float32] | Stacked  # (n, numbers)
    label: npt.NDArray[np.uint8]  # (n,), 0 or 1
    day_index: npt.NDArray[np.int16]  # (n,), positions in the factors' days
    confidence: npt.NDArray[np.float32] | None = None  # (n,); None: each row counts fully
    # (n,), the share F of eventual outcomes that had landed; None: all labels are final
    maturity: npt.NDArray[np.float32] | None = None
    # (n, heads), labels of the recipe's heads, UNKNOWN where nobody knows them; None: no heads, or no label known
    heads: npt.NDArray[np.uint8] | None = None
    # (table rows,), the row that stands for each where its value is trained on as if it were unseen; None: none is
    unseen: npt.NDArray[np.int32] | None = None

    def __post_init__(self) -> None:
        """Raise DataRejectedError for no rows, or for arrays of different lengths."""
        arrays = (self.ids, self.numeric, self.label, self.day_index, self.confidence, self.maturity, self.heads)
        lengths = [len(array) for array in arrays if array is not None]
        if len(set(lengths)) != 1 or not lengths[0]:
            msg = f"training rows: expected arrays of one length of at least 1, received lengths {lengths}."
            raise DataRejectedError(msg)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.label)


@dataclass(frozen=True, eq=False)
class Batches:
    """Epochs of batches: ({ids, numeric, offset}, label, sample_weight), the last one of each perhaps shorter.

    offset and label: (batch, 1) float32. sample_weight: (batch,) float32; with heads, all three are (batch, labels),
    the main one first. The rows of a batch depend on the seed, the epoch and the batch's number alone, so that a stream
    can begin at any batch.
    """

    stream: Callable[[int, int], Any]  # epoch and first batch → tf.data.Dataset of the epoch's batches from there
    days_of: Callable[[int, int], dict[date, int]]  # epoch and batch → how many of its rows are of which day
    count: int  # batches of one epoch
    rows: int  # of one epoch
    batch_rows: int  # of each batch but perhaps the last
    observed: bool = False  # labels are immature, and `maturity` (batch, 1) stands among the inputs
    labels: int = 1  # the main one and the heads'

    @property
    def dataset(self) -> Any:
        """Return the whole first epoch."""
        return self.stream(0, 0)


def make_batches(
    rows: TrainingRows, factors: Factors, batch_rows: int, seed: int, heads: Sequence[HeadFactors] = ()
) -> Batches:
    """Make epochs over the rows, in orders that the seed decides.

    Each row comes exactly once an epoch, unless the factors sample: then each epoch draws its own rows. heads: factors
    of the columns of rows.heads; where the rows have none, the heads learn nothing.
    """
    heads = () if rows.heads is None else heads

    @lru_cache(maxsize=1)  # an epoch's order may hold a number for each of its rows: keep no earlier one
    def order_of(epoch: int) -> BatchOrder:
        own_seed = epoch_seed(seed, epoch)
        if not factors.samples:
            return BatchOrder(len(rows), batch_rows, own_seed)
        sampled = (factors.negative_share, factors.positive_copies)
        chosen = choose_rows(rows.label, rows.day_index, *sampled, own_seed)
        return BatchOrder(len(chosen), batch_rows, own_seed, chosen)

    def days_of(epoch: int, batch: int) -> dict[date, int]:
        index, count = np.unique(rows.day_index[order_of(epoch).rows_of(batch)], return_counts=True)
        return {factors.days[day]: int(of_day) for day, of_day in zip(index, count, strict=True)}

    def stream(epoch: int, first: int) -> Any:
        return _stream(rows, factors, order_of(epoch), first, heads)

    order = order_of(0)
    return Batches(stream, days_of, order.batches, order.rows, batch_rows, rows.maturity is not None, 1 + len(heads))


def count_streamed(rows: TrainingRows, factors: Factors, seed: int) -> tuple[int, int]:
    """Return how many rows the first epoch streams, and how many of them are positives."""
    if not factors.samples:
        return len(rows), int(np.count_nonzero(rows.label))
    chosen = choose_rows(rows.label, rows.day_index, factors.negative_share, factors.positive_copies, seed)
    return len(chosen), int(np.count_nonzero(rows.label[chosen]))


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the seed of an epoch's order; the first epoch's is the recipe's own."""
    return seed if epoch == 0 else int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])


def _stream(rows: TrainingRows, factors: Factors, order: BatchOrder, first: int, heads: Sequence[HeadFactors]) -> Any:
    """Make a tf.data.Dataset of the batches of an order, from the first one wanted on."""

    def read(number: int) -> tuple[npt.NDArray[Any], ...]:
        index = order.rows_of(int(number))
        day, label = rows.day_index[index], rows.label[index]
        confidence = None if rows.confidence is None else rows.confidence[index]
        maturity = () if rows.maturity is None else (rows.maturity[index][:, None],)
        main = (label.astype(np.float32), factors.offset(day, confidence), factors.weight(day, label, confidence))
        if heads:
            assert rows.heads is not None
            chance = streaming_chance(factors, day, label)
            more = [head.terms(rows.heads[index, i], day, confidence, chance) for i, head in enumerate(heads)]
            labels, offset, weight = with_heads(main, more)
        else:
            labels, offset, weight = main[0][:, None], main[1][:, None], main[2]
        ids = rows.ids[index] if rows.unseen is None else _some_unseen(rows.ids[index], rows.unseen, order.seed, number)
        return ids, rows.numeric[index], offset, labels, weight, *maturity

    def as_tensors(number: Any) -> tuple[dict[str, Any], Any, Any]:
        types = (tf.int32, *[tf.float32] * (4 if rows.maturity is None else 5))
        ids, numeric, offset, label, weight, *maturity = tf.numpy_function(read, [number], types, stateful=False)
        ids.set_shape((None, rows.ids.shape[1]))
        numeric.set_shape((None, rows.numeric.shape[1]))
        offset.set_shape((None, 1 + len(heads)))
        label.set_shape((None, 1 + len(heads)))
        weight.set_shape((None, 1 + len(heads)) if heads else (None,))
        inputs = {"ids": ids, "numeric": numeric, "offset": offset}
        for share in maturity:  # one, or none
            share.set_shape((None, 1))
            inputs["maturity"] = share
        return inputs, label, weight

    numbers = tf.data.Dataset.range(first, order.batches)
    return numbers.map(as_tensors, num_parallel_calls=READERS, deterministic=True).prefetch(READERS)


def _some_unseen(
    ids: npt.NDArray[np.int32], unseen: npt.NDArray[np.int32], seed: int, batch: int
) -> npt.NDArray[np.int32]:
    """Let a share of the ids of a batch, (batch, slots), at random places, be those of unseen values; in place."""
    random = np.random.default_rng((seed, batch, 1))
    places = random.integers(0, max(1, ids.size), random.binomial(ids.size, UNSEEN_SHARE))
    flat = ids.reshape(-1)
    flat[places] = unseen[flat[places]]
    return ids


@dataclass(frozen=True, eq=False)
class BatchOrder:
    """The order of an epoch: runs of neighbouring rows in random order, then a permutation within each batch.

    The shorter run at the end of the data, where there is one, always comes last.
    """

    rows: int  # streamed in the epoch
    batch_rows: int
    seed: int
    chosen: npt.NDArray[np.uint32] | None = None  # (rows,) their numbers, mostly rising; None: every row once

    @cached_property
    def runs(self) -> npt.NDArray[np.int64]:
        """Return the numbers of the runs, in the order in which they are read."""
        full, rest = divmod(self.rows, self.run_rows)
        shuffled = np.random.default_rng(self.seed).permutation(full)
        return np.append(shuffled, full) if rest else shuffled

    @property
    def run_rows(self) -> int:
        """Return the rows of a run: as many as leave a batch of rows from PLACES places, at most RUN_ROWS."""
        return min(RUN_ROWS, max(1, self.batch_rows // PLACES))

    @property
    def batches(self) -> int:
        """Return the number of batches."""
        return -(-self.rows // self.batch_rows)

    def rows_of(self, batch: int) -> npt.NDArray[np.int64]:
        """Return the row numbers of one batch, (batch_rows,), fewer in the last batch."""
        first = batch * self.batch_rows
        position = np.arange(first, min(first + self.batch_rows, self.rows))
        index = self.runs[position // self.run_rows] * self.run_rows + position % self.run_rows
        if self.chosen is not None:
            index = self.chosen[index].astype(np.int64)
        return np.random.default_rng((self.seed, batch)).permutation(index)
