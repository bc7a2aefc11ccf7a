"""The landing zone: reading, parsing and splitting the files that others wrote."""
