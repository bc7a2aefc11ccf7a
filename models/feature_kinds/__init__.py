"""Kinds of features, one file each: a kind's recipe keys, its encoding, its layer and its rows of the table."""
