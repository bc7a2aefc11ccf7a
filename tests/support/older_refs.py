"""Refs as they were written before they said their format, one of each kind."""

DECISION = {
    "accepted": False,
    "by": "validation",
    "reason": "failed rows",
    "day_object": "days/2026-03-01/a",
    "validation": "validations/2026-03-01/b",
}
TENURE = {
    "version": "2026-03-07-ab",
    "run_day": "2026-03-07",
    "data_through": "2026-03-04",
    "action": "promote",
    "reason": "Promoted: every check passed.",
    "at": "2026-03-08T04:00:00+00:00",
}
ALERT = {"name": "positive_ratio", "level": "critical", "channel": "ad", "expected": [0.01, 0.02], "received": 0.001}
BEFORE = {  # as refs were written before they said their format
    "refs-recipe-name": {"current": "demo"},
    "refs-days": {"current": "a", "history": [{"current": "a", "at": "2026-03-02T04:00:00+00:00"}]},
    "refs-accepted": {**DECISION, "history": [{**DECISION, "at": "2026-03-02T04:00:00+00:00"}]},
    "refs-alerted": {"alerts": [{**ALERT, "cause": "Check the click logger."}], "posted": True},
    "refs-runs": {"current": "2026-03-07-ab", "history": ["2026-03-07-ab"]},
    "refs-champion": {"current": "2026-03-07-ab", "history": [TENURE], "barred": ["2026-03-06-cd"]},
}
