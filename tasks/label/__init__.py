"""Label: impressions of an event day joined to the outcomes that had landed by a day."""
