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
SIGNAL = {
    "kind": "ratio_changed",
    "subject": "ad",
    "level": "warning",
    "since": "2026-03-07",
    "size": 0.4,
    "summary": "The ratio fell by 40 %.",
    "touches": ["android"],
    "channel": "ad",
    "expected": [0.01, 0.02],
    "received": 0.006,
    "details": ["Look at the logger."],
    "commands": ["ctr-retrain status"],
}
INCIDENT = {
    **SIGNAL,
    "id": "0123456789abcdef",
    "opened": "2026-03-07",
    "last_seen": "2026-03-07",
    "resolved": None,
    "earlier": [],
    "changes": [{"day": "2026-03-07", "what": "opened", "level": "warning", "summary": "The ratio fell by 40 %."}],
}
LOOK = {"day": "2026-03-07", "at": "2026-03-08T04:00:00+00:00", "looked_at": ["ratio_changed"], "signals": [SIGNAL]}
SAID = {
    "what": "acknowledged",
    "kind": "ratio_changed",
    "subject": "ad",
    "until": None,
    "day": "2026-03-07",
    "by": "eva",
    "reason": "at it",
    "at": "2026-03-08T05:00:00+00:00",
}
TOLD = {
    "kind": "ratio_changed",
    "subject": "ad",
    "incident": INCIDENT["id"],
    "level": "warning",
    "size": 0.4,
    "touches": ["android"],
    "over": False,
}
MESSAGE = {
    **SIGNAL,
    "id": "fedcba9876543210",
    "incident": INCIDENT["id"],
    "change": "opened",
    "recipe": "demo",
    "date": "2026-03-07",
    "report": "root/index.html",
    "runbook": "docs/runbook.md#ratio-changed",
}
BEFORE = {  # as refs were written before they said their format, and younger kinds as they were written first
    "refs-recipe-name": {"current": "demo"},
    "refs-days": {"current": "a", "history": [{"current": "a", "at": "2026-03-02T04:00:00+00:00"}]},
    "refs-accepted": {**DECISION, "history": [{**DECISION, "at": "2026-03-02T04:00:00+00:00"}]},
    "refs-alerted": {"alerts": [{**ALERT, "cause": "Check the click logger."}], "posted": True},
    "refs-incidents": {
        "incidents": [INCIDENT],
        "before": [],
        "through": None,
        "looks": [LOOK],
        "handled": [SAID],
    },
    "refs-lease": {
        "token": 3,
        "holder": {
            "id": "0123456789abcdef",
            "host": "night",
            "machine": "fedcba9876543210",
            "process": 7,
            "started": "1234",
            "who": "eva",
            "command": "daily --date 2026-03-07",
            "since": "2026-03-08T04:00:00+00:00",
        },
        "beat": 12,
        "intents": [{"id": "ab", "ref": "runs/2026-03-07", "value": {"current": "a", "history": ["a"]}}],
        "raised": {"who": "eva", "command": "rollback", "at": "2026-03-07T12:00:00+00:00", "token": 2},
    },
    "refs-ledger": {
        "nights": [
            {
                "day": "2026-03-07",
                "run_id": "2026-03-07-0123abcd",
                "question": "change",
                "challenger": "0123456789abcdef",
                "champion": "fedcba9876543210",
                "champion_version": "2026-03-06-0123abcd",
                "earlier": {"anchor": "2026-03-01-0123abcd"},
                "prices": "0011223344556677",
                "validation": ["2026-03-04"],
                "figures": {"cost_delta_per_1000": {"estimate": -0.1, "standard_error": 0.2}},
                "changed": {
                    "cost_delta_per_1000": [
                        {"day": "2026-03-04", "rows": 9, "positives": 1, "if_positive": -0.98, "if_negative": 0.02}
                    ]
                },
            }
        ],
        "changes": [
            {
                "challenger": "0123456789abcdef",
                "champion": "fedcba9876543210",
                "opened": "2026-03-07",
                "share": 0.5,
                "number": 1,
            }
        ],
    },
    "refs-nights": {
        "day": "2026-03-07",
        "attempts": [
            {
                "host": "night",
                "process": 7,
                "started": "1234",
                "began": "2026-03-08T04:00:00+00:00",
                "ended": "2026-03-08T04:05:00+00:00",
                "end": "done",
                "decision": "hold",
                "error": "",
            }
        ],
    },
    "refs-outbox": {
        "told": [TOLD],
        "pending": [{"message": MESSAGE, "at": "2026-03-08T04:00:00+00:00", "addressed": ["ab"], "taken_by": ["ab"]}],
        "delivered": ["0011223344556677"],
        "sender": {"host": "night", "process": 7, "started": "1234", "at": "2026-03-08T04:00:00+00:00"},
    },
    "refs-runs": {"current": "2026-03-07-ab", "history": ["2026-03-07-ab"]},
    "refs-champion": {"current": "2026-03-07-ab", "history": [TENURE], "barred": ["2026-03-06-cd"]},
}
