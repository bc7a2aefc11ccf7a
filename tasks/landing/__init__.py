"""The landing zone: read, parse and split what others wrote."""
