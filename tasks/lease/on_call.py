"""The right of a person by hand, who never waits: the first swap raises the token, and whoever runs has lost."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ctr_retrain.tasks.lease.guarded_store import GuardedStore
from ctr_retrain.tasks.lease.lease import close_intents, is_guarded, raise_token
from ctr_retrain.tasks.lease.lease_words import describe_holder
from ctr_retrain.tasks.lease.live_process import has_ended
from ctr_retrain.tasks.lease.user_name import user_name

if TYPE_CHECKING:
    from ctr_retrain.models.documents.ref_documents import RefIntent
    from ctr_retrain.tasks.store.protocol import Ref, Store

log = logging.getLogger(__name__)


def by_hand(store: Store, command: str, tell: Callable[[str], None] = log.warning) -> Store:
    """Return the store for a command that a person types at once, whatever runs; `command` as it could be typed again.

    Nothing is taken from the run under way before the command changes a ref: one that is refused disturbs nobody.
    tell: is told whose run publishes nothing more.
    """
    return GuardedStore(store, _ByHand(command, tell))


class _ByHand:
    def __init__(self, command: str, tell: Callable[[str], None]) -> None:
        self._command, self._tell = command, tell
        self._token: int | None = None

    def swap(self, store: Store, name: str, value: dict[str, Any], expected: Ref | None) -> Ref:
        """Raise the token, swap, and only then close what the run under way was about to do.

        So what it was about to do with this very ref doesn't come between the person's look at it and the swap.
        """
        intents: tuple[RefIntent, ...] = ()
        stamp = expected.token if expected else 0
        if self._token is None:
            at = datetime.now(UTC).isoformat(timespec="seconds")
            self._token, before = raise_token(store, user_name(), self._command, at, stamp)
            intents = before.intents
            if before.holder is not None and not has_ended(before.holder):
                self._tell(
                    f"note: {describe_holder(before.holder)}, publishes nothing more and ends with exit status 5"
                )
        try:
            return store.swap_ref(name, value, expected, token=self._token if is_guarded(name) else None)
        finally:
            close_intents(store, intents, self._token)

    def check(self) -> None:
        """Do nothing: nobody takes it away."""

    def check_known(self) -> None:
        """Do nothing."""
