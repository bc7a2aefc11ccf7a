"""The recipe's [[training.heads]]: further kinds of outcomes that are learnt beside the label, and when each is known.

A head is one more logit over the same embeddings and hidden layers. Its label may be unknown for a row: of a channel
that doesn't have the kind, or not final yet, since kinds mature at different ages. Such rows weigh nothing in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ctr_retrain.models.section import Name, Positive, Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    # Channel → its kinds, the positive one first → the age in days from which on the kind's label is final.
    FinalAges = Mapping[str, Mapping[str, int]]

UNKNOWN = 255  # a head's label where nobody knows it, or not yet


class Head(Section):
    """A further kind of outcome that is learnt beside the label."""

    kind: Name
    """A kind of outcome in some channel's `more_kinds`, whose attribution window it has."""
    weight: Positive = 0.2
    """Weight of its loss, where the label's is 1."""
    after: str = ""
    """The positive kind that must come first: the head then learns the chance of both over all impressions (ESMM).
    Empty: it learns its own kind alone."""
    class_weight: Literal["", "balanced", "none", "effective_number"] | dict[Literal["0", "1"], Positive] = ""
    """Class weights of the head; empty: as in `[weights]`."""


def final_channels(head: Head, ages: FinalAges, age_days: int) -> tuple[str, ...]:
    """Return the channels whose labels of the head's kind, and of the kind that it comes after, are final at an age."""
    return tuple(name for name, age in _ages_of(head, ages).items() if age_days >= age)


def final_from_age(head: Head, ages: FinalAges) -> int:
    """Return the age in days from which on the head's labels are final in the first of its channels."""
    return min(_ages_of(head, ages).values())


def head_mistakes(heads: Sequence[Head], ages: FinalAges, oldest_days: int) -> Iterator[str]:
    """Find mistakes in a recipe's heads, each as a sentence; oldest_days: age of the training window's oldest day."""
    kinds = [head.kind for head in heads]
    if len(set(kinds)) != len(kinds):
        yield f"training.heads: expected different kinds, received {kinds}"
    for head in heads:
        yield from _mistakes_of(head, ages, oldest_days)


def _mistakes_of(head: Head, ages: FinalAges, oldest_days: int) -> Iterator[str]:
    """Find the first mistake in one head."""
    # The positive kinds of the channels that have the head's kind: each channel's first one.
    firsts = {next(iter(kinds)) for kinds in ages.values() if head.kind in kinds}
    if not firsts:
        known = sorted({kind for kinds in ages.values() for kind in kinds})
        yield (
            f"training.heads: expected a kind that some channel labels, one of {known}, received {head.kind!r}. Add it "
            "to more_kinds of a channel, with its window in hours"
        )
    elif firsts == {head.kind}:
        yield f"training.heads: expected another kind than the label's own, received {head.kind!r}"
    elif head.after and firsts != {head.after}:
        yield (
            f"training.heads: expected after = the positive_kind of each channel with {head.kind!r}, "
            f"{sorted(firsts)}, received {head.after!r}"
        )
    elif (final := final_from_age(head, ages)) > oldest_days:
        yield (
            f"training.heads: expected days in the window whose {head.kind!r} is final, which takes {final} days, "
            f"received a window whose oldest day is {oldest_days} days old. Raise training.window_days, or shorten the "
            "kind's window in more_kinds"
        )


def _ages_of(head: Head, ages: FinalAges) -> dict[str, int]:
    """Return channel → age in days from which on the labels of the head's kind, and of its `after`, are final."""
    return {
        name: max(kinds[kind] for kind in (head.kind, head.after or head.kind))
        for name, kinds in ages.items()
        if head.kind in kinds
    }
