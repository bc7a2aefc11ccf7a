"""Words by which other software writes yes, no, and that there is nothing, in lower case."""

YES = ("true", "t", "yes", "y")
NO = ("false", "f", "no", "n")
# Of a number, a time or a label; as texts of their own they may be values: NA is a country.
NULL_MARKERS = ("\\n", "null", "na", "n/a", "none", "#n/a", "<na>", "nan", "nat")
