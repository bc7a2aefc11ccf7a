"""Networks: functions from embedded ids and standardised numbers to logits."""
