"""Rules of the evidence in words, and of a campaign with nearly all rows."""

import numpy as np
import pytest

from ctr_retrain.models.documents.comparison_documents import IntervalPart
from ctr_retrain.models.documents.verdict_documents import EvidencePart, NightsNeeded
from ctr_retrain.models.ledger.dominant_campaign import describe_dominant
from ctr_retrain.models.ledger.evidence_words import evidence_words
from ctr_retrain.models.ledger.harm import harm_of

PART = IntervalPart(value=0.1, low=-0.2, high=0.4)
EVIDENCE = EvidencePart(
    question="change",
    nights=3,
    rows=150_000,
    tonight=PART,
    pooled=PART,
    margin=0.5,
    e_value=7.3,
    e_value_needed=40,
    change=1,
    champion="c",
    champion_days=9,
    earlier={"anchor": "a", "predecessor": "b"},
    against_anchor=PART,
    champion_over={"anchor": PART, "predecessor": IntervalPart(value=0.9, low=0.6, high=1.2)},
    smallest_difference=0.54,
    nights_needed=(
        NightsNeeded(share=0.01, difference=0.08, nights=None),
        NightsNeeded(share=0.1, difference=0.8, nights=4),
    ),
    nights_to_pass=5,
)


def test_the_words_say_what_is_known_what_is_needed_and_what_could_have_been_shown():
    told = " ".join(evidence_words(EVIDENCE))
    assert "Over 3 nights with 150,000 impressions the new model's cost per 1,000 against the champion c: +0.10" in told
    assert "needs evidence of 40 to take over: so far 7.3." in told
    assert "The champion against the predecessor b: +0.90 (+0.60 to +1.20), however often one looks." in told
    assert "would have shown a difference of 0.54 in four cases of five" in told
    assert "1 % cheaper no number of nights, 10 % cheaper 4." in told


def test_a_champion_is_harmful_where_the_least_that_it_costs_more_is_beyond_the_margin():
    told = harm_of(EVIDENCE)
    assert told == "it costs 0.90 more per 1,000 impressions than its predecessor b (at least 0.60; 0.50 are allowed)"
    assert harm_of(EVIDENCE.model_copy(update={"margin": 0.7})) is None
    assert harm_of(None) is None


@pytest.mark.parametrize(
    ("rows", "said"), [((80, 20), True), ((50, 50), False), ((100,), False), ((60, 30, 30), False)]
)
def test_a_campaign_with_nearly_all_rows_is_named(rows, said):
    campaigns = np.repeat([f"c{number}" for number in range(len(rows))], rows)
    told = describe_dominant(campaigns)
    assert (told is not None) == said
    assert not said or told.startswith("Campaign 'c0' has 80")
