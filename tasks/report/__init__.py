"""Report: a run's document and its page."""
