"""Seed twins as a run's document holds them."""

from datetime import date

from ctr_retrain.models.documents.comparison_documents import IntervalPart
from ctr_retrain.models.documents.training_documents import SeedTwin


def seed_twin(day=date(2026, 3, 20), cost=0.5, error=0.1, digest="d1", changed=0.09):
    """A twin whose network costs so much less or more per 1,000 impressions."""
    around = IntervalPart(value=cost, low=cost - 0.2, high=cost + 0.2) if cost is not None else None
    return SeedTwin(
        date=day,
        recipe_digest=digest,
        rows=1000,
        changed_share=changed,
        log_loss_difference=IntervalPart(value=0.0004, low=-0.001, high=0.002),
        cost_difference=around or IntervalPart(value=None, low=None, high=None),
        cost_standard_error=error,
        seconds=1.5,
    )
