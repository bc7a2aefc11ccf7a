"""Schedule: when nights are due, what a downtime left to make up for, and how long data is waited for."""
