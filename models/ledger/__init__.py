"""The ledger's mathematics: evidence of many nights added up, for verdicts that are honest for a year."""
