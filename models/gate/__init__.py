"""The gate: the verdict on a challenger, by rules that a recipe bounds."""
