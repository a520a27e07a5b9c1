"""Benchmarks: what a sweep takes beside its alternatives, measured in fresh processes. ``python -m benchmarks``."""
