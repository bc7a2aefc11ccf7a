"""Reading of all that landed in a stream on a day: files by themselves, and small ones together."""
