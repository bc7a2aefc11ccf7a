"""The served model: calibrated, saved, and checked before it may answer."""
