"""Policies by which a challenger takes over, side by side on logged impressions: whose place it takes, and the cost."""
