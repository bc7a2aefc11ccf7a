"""Documents: the types of what runs and commands write as JSON, and of what others read of it."""
