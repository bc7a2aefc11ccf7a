"""Pages for people: the templates, and how one is filled in."""
