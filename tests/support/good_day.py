"""A day that meets a strict recipe's expectations, and how to spoil it."""

STRICT = {
    "min_rows": 24,
    "min_hours": 24,
    "max_hours_since_last_event": 2,
    "max_quarantined_share": 0.04,
    "max_duplicate_share": 0.04,
    "max_unreadable_files": 0,
    "max_mostly_quarantined_files": 0,
    "max_null_share": {"device": 0.1},
    "value_sets": {"device": ["ios", "web"]},
}
CHANNELS = {"ad": {"positive_ratio": [0.1, 0.6]}, "push": {"positive_ratio": [0.1, 0.6]}}


def good_day(day):
    """One impression of each channel an hour, and a click on every fourth."""
    impressions = [
        {
            "event_id": f"{channel}-{hour}",
            "ts": f"{day}T{hour:02}:30:00Z",
            "user_id": "u",
            "channel": channel,
            "campaign_id": "c",
            "device": ("ios", "web")[hour % 2],
        }
        for hour in range(24)
        for channel in ("ad", "push")
    ]
    clicks = [
        {"event_id": row["event_id"], "ts": row["ts"], "kind": "click"}
        for row in impressions
        if row["event_id"].endswith(("-0", "-4", "-8", "-13", "-17", "-21"))
    ]
    return impressions, clicks


def every_hour_but(hour):
    return lambda rows, clicks: ([row for row in rows if f"T{hour:02}" not in row["ts"]], clicks)


def with_devices(**devices):
    return lambda rows, clicks: (
        [{**row, "device": devices.get(row["event_id"], row["device"])} for row in rows],
        clicks,
    )


def failed(found):
    return {finding.name: finding.received for finding in found.findings if not finding.passed}
