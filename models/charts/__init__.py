"""Charts: numbers in, one SVG string out."""
