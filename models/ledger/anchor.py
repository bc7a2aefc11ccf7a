"""The anchor: the model that refreshes are held to, so that many that are each a little worse don't add up.

In clinical trials the same is called bio-creep (Everson-Stewart and Emerson 2010), and the remedy is the same:
comparison with the control that was itself shown to be good, not with the last one that was found no worse.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from ctr_retrain.models.documents.ref_documents import Tenure


def choose_anchor(tenures: Sequence[Tenure], champion: Tenure, day: date, anchor_days: int) -> Tenure:
    """Return the anchor of a champion for a run of `day`; it may be the champion itself.

    tenures: the champion's history without barred versions, oldest first. The anchor is the last version up to the
    champion that came into service as the first, as better, or by hand. After `anchor_days` it is followed by whichever
    version was in service then.
    """
    served = _until(tenures, champion)
    # Histories that older versions wrote say of none what it had to show: their first is what there is to go by.
    shown = [tenure for tenure in served if tenure.action == "override" or tenure.question in {"first", "change"}]
    anchor = (shown or served)[-1 if shown else 0]
    renewed = anchor.run_day + timedelta(days=anchor_days)
    while renewed < day:
        anchor = [tenure for tenure in served if tenure.run_day <= renewed][-1]
        renewed += timedelta(days=anchor_days)
    return anchor


def predecessor_of(tenures: Sequence[Tenure], champion: Tenure) -> Tenure | None:
    """Return the version that served before the champion; None for the first."""
    earlier = [tenure for tenure in _until(tenures, champion) if tenure.version != champion.version]
    return earlier[-1] if earlier else None


def _until(tenures: Sequence[Tenure], champion: Tenure) -> Sequence[Tenure]:
    """Return the tenures up to the champion's first, without those that a rollback repeated."""
    came = [tenure for tenure in tenures if tenure.action != "rollback"]
    places = [place for place, tenure in enumerate(came) if tenure.version == champion.version]
    return came[: places[0] + 1] if places else [champion]
