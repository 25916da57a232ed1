"""Benchmarks of hyperrank against its baselines, through public names only.

`python -m benchmarks.fronts suite` compares fronts in all settings, `python -m benchmarks.quick_front` on one
in minutes, `python -m benchmarks.demo` shows the way from data to a chosen trade-off.
"""
