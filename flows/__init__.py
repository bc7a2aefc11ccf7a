"""The order in which stages run: the daily flow, the backfill, the demonstrations and the command line."""
