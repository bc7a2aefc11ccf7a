"""Judging: metrics, costs, intervals, and the gate that weighs challenger against champion."""
