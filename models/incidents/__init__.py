"""Incidents: what people have to know, from the first sign of it to its end."""
