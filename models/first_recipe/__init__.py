"""A first recipe from a look at somebody's own file: which column is what, what it says, and what is unsure."""
