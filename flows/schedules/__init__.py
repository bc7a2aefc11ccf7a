"""Schedules: nights that run by themselves, the server that is kept alive for them, and the deployments."""
