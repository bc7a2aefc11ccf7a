"""Days of counts of the simulated world as the drift detector reads them, and the causes that planted faults have."""

from datetime import date

import numpy as np

from ctr_retrain.models.levels.drift_days import ChannelSeries, SliceTable
from ctr_retrain.models.simulation.daily_counts import DEVICE_VALUES

FIRST_DAY = date(2026, 1, 1)


def series_of(channel, days, campaigns, rows, positives):
    """A channel's series of counts, (days, campaigns, devices)."""
    tables = (
        SliceTable("campaign_id", tuple(campaigns), rows.sum(2).astype(float), positives.sum(2).astype(float)),
        SliceTable("device", DEVICE_VALUES, rows.sum(1).astype(float), positives.sum(1).astype(float)),
    )
    total, clicks = (counts.sum((1, 2)).astype(float) for counts in (rows, positives))
    hours = np.full(len(total), 24.0)
    return ChannelSeries(channel, tuple(days), total, clicks, hours, tables, np.ones(len(total), bool))


def subject_of(series, fault):
    """A fault's slice in words, or nothing where its channel as a whole is meant."""
    if not fault.of_slice:
        return ""
    table = series.tables[fault.place]
    return f"{table.column}={table.names[fault.value]}"


def causes(largest):
    """The kinds and the subject that each planted fault may be given."""
    return {
        "channel -40 %": ({"ratio_changed"}, ""),
        "android -40 %": ({"logger_down"}, "device=android"),
        "ios -40 %": ({"logger_down"}, "device=ios"),
        "web loses all": ({"logger_down"}, "device=web"),
        "bots 30 %": ({"bots"}, f"campaign_id={largest}"),
        "bots 50 %": ({"bots"}, f"campaign_id={largest}"),
        "delivered twice": ({"delivered_twice"}, ""),
        "half of the files": ({"files_missing"}, ""),
        "largest campaign dead": ({"campaign_dead"}, f"campaign_id={largest}"),
        "slide of 3 % a day": ({"slide", "ratio_changed"}, ""),
    }
