"""Nouns: the CTR model, what it is made of and what it is judged by. Pure: no services, no environment, no clock."""
