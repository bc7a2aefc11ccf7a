"""Event data as plain values: columns, days, label maturity, a day's profile, drift of its positive ratio."""
