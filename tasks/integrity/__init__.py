"""Integrity: what is stored is typed, checked and verified before it is believed."""
