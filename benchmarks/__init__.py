"""Benchmarks of hyperrank against its baselines, through public names only.

`python -m benchmarks.fronts` is the full comparison of fronts, `python -m benchmarks.quick_front` a preset
of it in minutes, `python -m benchmarks.demo` shows the way from data to a chosen trade-off.
"""
