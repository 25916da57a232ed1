"""What hyperrank reaches beside its rivals; uses its public names alone.

`python -m benchmarks.fronts` is the full comparison of fronts, `python -m benchmarks.quick_front` a preset
of it in minutes, `python -m benchmarks.demo` shows the main job from data to a chosen trade-off.
"""
