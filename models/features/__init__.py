"""Features: raw columns to ids and numbers, and the layers that read these, offline and in the served graph alike."""
