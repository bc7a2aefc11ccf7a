"""The verdict on a challenger and the checks that led to it; and those of what follows a promotion.

After `promote`, a fresh pass or a recalibration may make the model that serves in the place of the one that was judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from ctr_retrain.models.documents.comparison_documents import IntervalPart
from ctr_retrain.models.documents.document import Bound, Day, Number, Part, StoredDocument

Decision = Literal["promote", "hold", "reject"]
FailureKind = Literal["integrity", "leak", "evidence", "harm", "unproven"]
Question = Literal["first", "refresh", "change"]
SliceState = Literal["passed", "vetoed", "no worse than before", "too few"]


class Check(Part):
    """One thing that a challenger had to show."""

    name: str
    """Name of the check, such as cost_delta_per_1000."""
    value: Number | None
    """The figure that was received; null where there is none."""
    bound: Number | tuple[float, float] | None
    """The bound on the figure, or the lowest and the highest allowed; null where there is none."""
    tested: Bound = Field(default=None, exclude=True)
    """What was held against the bound where that isn't the figure itself: an end of its interval, or that of a sum of
    steps; where two bounds allow a range, the end that lies outside. None where it is the figure, where the range is
    kept, or where evidence of another kind tells. Not in the JSON of the check but in that of the run."""
    passed: bool
    """True if the challenger showed it."""
    settled: bool = Field(default=True, exclude=True)
    """False: it passed since its interval reaches both sides of the bound; which side is true isn't known yet.
    Not in the JSON of the check."""
    message: str = Field(alias="words")
    """A sentence with expected and received."""
    kind: FailureKind = Field("integrity", exclude=True)
    """The kind of a failure, which decides what it leads to; not in the JSON."""


class NightsNeeded(Part):
    """The nights like this one after which a model that is so much cheaper passes, in half of all cases."""

    share: float
    """By how much it is cheaper, as a share of the champion's cost."""
    difference: Number
    """The same in currency units per 1,000 impressions."""
    nights: int | None
    """The nights; null where no number that anyone waits for would do."""


class EvidencePart(Part):
    """The evidence on the cost: tonight's and that of earlier nights, and what it could have shown."""

    question: Question
    """first: cheaper than a constant; refresh: not worse than the champion; change: better than the champion."""
    nights: int
    """Nights whose evidence is added up, tonight among them."""
    rows: int
    """Impressions of these nights, each validation day's counted once."""
    tonight: IntervalPart
    """Cost per 1,000 less the champion's, on tonight's rows."""
    pooled: IntervalPart
    """The same over all nights."""
    margin: Number
    """By how much a refresh may cost more per 1,000."""
    e_value: Number | None
    """The evidence that a changed recipe is better; null for another question."""
    e_value_needed: Number | None
    """The evidence that it needs: one over its share of the year's error."""
    change: int | None
    """Which change of the recipe within a year it is."""
    champion: str | None
    """Version of the champion; null where there is none."""
    champion_days: int | None
    """Days from the champion's run to this one; null where there is no champion."""
    earlier: Mapping[str, str]
    """Versions of earlier champions that were scored too: the anchor, and the champion's predecessor."""
    against_anchor: IntervalPart | None
    """What the challenger costs more per 1,000 than the anchor, likewise; null where the champion is its own anchor."""
    champion_over: Mapping[str, IntervalPart]
    """What the champion costs more per 1,000 than each of them, by an interval that may be looked at every night."""
    dominant_campaign: str | None = Field(None, exclude_if=lambda dominant: dominant is None)
    """The campaign that has nearly all rows, and what can't be known because of it; absent where there is none."""
    smallest_difference: Number | None
    """The difference per 1,000 that tonight's rows would have told from 0 in four cases out of five."""
    nights_needed: tuple[NightsNeeded, ...]
    """Nights that differences of 1, 3 and 10 % need."""
    nights_to_pass: int | None
    """Further nights after which the difference seen so far would pass; null where it wouldn't."""
    next_refresh: IntervalPart | None = Field(None, exclude_if=lambda part: part is None)
    """What the next refresh is expected to cost more than its predecessor, by what earlier ones did once they served;
    absent where they are too few."""
    since_anchor: IntervalPart | None = Field(None, exclude_if=lambda part: part is None)
    """What the challenger costs more than the anchor, added up over the refreshes between; absent where a step isn't
    known."""


class Verdict(Part):
    """The decision on a challenger with all that led to it."""

    decision: Decision
    """promote: it goes into service; hold: there isn't enough evidence; reject: it is surely not good enough."""
    bootstrap: bool
    """True if there was no champion to compare with."""
    checks: tuple[Check, ...]
    """All checks, in order."""
    reason: str
    """The decision and the check that decided, in words."""
    evidence: EvidencePart | None = Field(default=None, exclude=True)
    """The evidence on the cost, where there was any; not in the JSON of the verdict but in that of the run."""


class VerdictDocument(StoredDocument, Verdict):
    """The decision on a run's challenger: verdict.json in the run."""


class JudgedSlice(Part):
    """One part of the validation rows: what was predicted and seen there, and what follows from it."""

    name: str
    """The part, such as campaign_id = 17."""
    rows: int
    """Impressions in it."""
    positives: int
    """Positives among them."""
    predicted: float
    """Positives that the challenger predicts."""
    predicted_before: float | None
    """Positives that the champion predicts, or the constant rate where there is none; null where neither scored."""
    calibration_ratio: float | None
    """Predicted to seen positives; null without a positive."""
    low: Bound
    """Lower end of its simultaneous interval; null where it has none."""
    high: Bound
    """Upper end of it."""
    shrunk_ratio: float | None
    """The ratio, drawn towards that of all rows by its own uncertainty; null in segments that a scan found."""
    cost_delta_per_1000: IntervalPart | None = None
    """Cost less that of the champion per 1,000 impressions, with its simultaneous interval; null where not judged."""
    state: SliceState
    """vetoed: surely beyond its bounds; no worse than before: so is the champion, and by as much; too few: positives
    are under the floor, so that nothing is said."""


class SlicesPart(Part):
    """Figures of the models on parts of the validation rows."""

    slices: tuple[JudgedSlice, ...]
    """Listed slices that were judged, by their family and size."""
    found: tuple[JudgedSlice, ...]
    """Segments that surely differ from the whole, of all values and pairs of values, the surest first."""
    scanned: int
    """Segments that the scan tried, all of which its error counts."""
    abstained: int
    """Listed slices under the floor of positives, of which nothing is said."""
    abstained_share: float
    """Largest share of the rows, over the families, in slices of which nothing is said."""
    message: str = Field(alias="words")
    """A sentence on what was judged, and on what was not."""


class SlicesDocument(StoredDocument):
    """Figures of a run's models on parts of the validation rows: slices.json in the run."""

    slices: SlicesPart
    """The slices, and the segments that were found."""


class ChannelMoney(Part):
    """A channel's prices, and what decisions at these prices cost on the validation rows."""

    channel: str
    """The channel."""
    rows: int
    """Impressions of it."""
    positive_ratio: float
    """Positives among them."""
    break_even: float
    """The probability from which on sending is worth its price; at the mean value where a cost names the value."""
    sent_share: float
    """Share of the impressions that the challenger sends."""
    sent_share_before: float | None
    """Share that the champion sends, or the constant rate where there is none; null where neither scored."""
    cost_per_1000: float
    """Cost of the challenger's decisions per 1,000 impressions."""
    send_all_per_1000: float
    """Cost per 1,000 impressions if everything is sent."""
    send_none_per_1000: float
    """Cost per 1,000 impressions if nothing is sent."""
    mean_value: float | None
    """Mean of the impressions' values; null where no cost names the value."""
    message: str = Field(alias="words")
    """A sentence with all of it."""


class PricePoint(Part):
    """Decisions of both models, and the verdict on their cost, if a needless send had another price."""

    factor: float
    """The price of a needless send, as a multiple of the recipe's; what a positive is worth stays."""
    cost_delta_per_1000: IntervalPart
    """The challenger's cost less its opponent's, in currency units."""
    cost_per_1000: float
    """The challenger's cost."""
    send_all_per_1000: float
    """Cost if everything is sent."""
    send_none_per_1000: float
    """Cost if nothing is sent."""
    decision: Decision
    """The decision by the cost alone, on these rows."""


class MoneyPart(Part):
    """Prices, break-even rates, sending all and none, and the verdict on cost at other prices."""

    currency: str
    """Currency of all of it; empty where the recipe names none."""
    channels: tuple[ChannelMoney, ...]
    """Gated channels that have rows."""
    sweep: tuple[PricePoint, ...]
    """The verdict at other prices, by rising factor; empty where there was nothing to compare with."""
    warnings: tuple[str, ...]
    """Sentences on prices at which a model hardly matters, and on money without a name."""
    message: str = Field(alias="words")
    """A sentence on where the verdict on cost changes."""


class MoneyDocument(StoredDocument):
    """Figures of a run's decisions in currency: money.json in the run."""

    money: MoneyPart
    """The prices, and what follows from them."""


class LoggedChannel(Part):
    """Reach of a channel's log below the threshold of the model that chose what is in it."""

    channel: str
    """The channel."""
    rows: int
    """Impressions of it."""
    below: int
    """Impressions whose score lies under the threshold."""
    share: float | None
    """Share of what was scored just below the threshold that the log holds, by its rows just above; null where too few
    say so, or nothing tells how the log was chosen."""
    lowest: float | None
    """Score of the lowest hundredth of the impressions, as a share of the threshold; null without scores."""


class WeightedFigures(Part):
    """Figures over all that could have been chosen: each row weighs the inverse of its propensity."""

    known_share: float
    """Share of the rows that have a propensity."""
    effective_size: float
    """Equally weighed rows that the weighed ones are worth (Kish)."""
    effective_positives: float
    """The same of the positives."""
    bound: float
    """Largest weight."""
    cut: int
    """Rows that would have weighed more."""
    cost_delta_per_1000: IntervalPart
    """The challenger's cost less its opponent's, in currency units."""
    calibration_ratio: IntervalPart
    """Predicted to seen positives of the challenger."""
    calibration_ratio_before: IntervalPart | None
    """Predicted to seen positives of the champion; null without one."""


class LogReachPart(Part):
    """Limits of what the log of the validation days can show, since somebody chose what is in it."""

    channels: tuple[LoggedChannel, ...]
    """Gated channels that have rows."""
    explored: int | None
    """Rows that were shown to explore; null where the recipe maps no such column."""
    weighted: WeightedFigures | None
    """Figures by inverse propensity; null where nearly all rows lack one."""
    message: str = Field(alias="words")
    """Sentences on what can be known, and what can't."""


class LogReachDocument(StoredDocument):
    """Limits of a run's log: log_reach.json in the run."""

    log_reach: LogReachPart
    """The log's reach, and figures by inverse propensity."""


GuardMeasure = Literal["outcomes", "head"]


class GuardedKind(Part):
    """A kind of outcome on what each model would send, over all nights that asked the same."""

    kind: str
    """The kind of outcome."""
    measure: GuardMeasure
    """outcomes: those that were seen; head: as the models' heads predict them."""
    nights: int
    """Nights that were added up."""
    ours: float
    """Outcomes on what the challengers would send."""
    theirs: float
    """Outcomes on what the champions would send."""
    ratio: IntervalPart
    """Their ratio, with its interval for one look."""
    evidence: float
    """E-value of the hypothesis that the bound is exceeded."""
    exceeded: bool
    """True if it surely is."""


class GuardrailsPart(Part):
    """Other kinds of outcomes, which have upper bounds relative to the champion."""

    kinds: tuple[GuardedKind, ...]
    """Each guarded kind by each measure that there is."""
    message: str = Field(alias="words")
    """A sentence a kind."""


class GuardrailsDocument(StoredDocument):
    """Guarded kinds of a run: guardrails.json in the run."""

    guardrails: GuardrailsPart
    """The kinds, and what each model's sends bring of them."""


class FreshPass(Part):
    """One pass more after the verdict, over days whose labels aren't final yet."""

    checks: tuple[Check, ...]
    """Checks that the fresh model had to pass to serve in the place of the model that was judged."""
    days: tuple[Day, ...]
    """The days that it was trained on."""


class FreshPassDocument(StoredDocument, FreshPass):
    """A run's fresh pass: fresh.json in the run."""


class LevelShift(Part):
    """By how much a channel's log-odds moved after the verdict, towards what mature labels say of its level."""

    channel: str
    """The channel; empty for all, where the served graph doesn't read the channel."""
    rows: int
    """Rows of the calibration slice and of the validation days that it rests on."""
    positives: int
    """Positives among them."""
    predicted: float
    """Positives that the judged model predicts on the same rows."""
    shift: float
    """What is added to the log-odds, drawn towards 0 and towards the other channels by its own uncertainty."""
    standard_error: float
    """How far the level of the days that the model serves may be from it, one standard deviation."""


class Recalibration(Part):
    """The level of a promoted model, brought up to date with the labels of the validation days."""

    checks: tuple[Check, ...]
    """Checks that the recalibrated model had to pass to serve in the place of the model that was judged."""
    days: tuple[Day, ...]
    """The days whose labels it was fitted on: of the calibration slice, and of validation."""
    shifts: tuple[LevelShift, ...]
    """By how much each channel moved, or would have where a check failed; empty where nothing could be fitted."""


class RecalibrationDocument(StoredDocument, Recalibration):
    """A run's recalibration: recalibration.json in the run."""
