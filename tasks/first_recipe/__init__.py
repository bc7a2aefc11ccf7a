"""A first recipe for one's own file: a sample is read, measured by the recipe that it suggests, and written down."""
