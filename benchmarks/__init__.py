"""What hyperrank reaches beside its rivals; uses its public names alone.

`python -m benchmarks.quick_front` compares fronts on real data in minutes, `python -m benchmarks.demo` shows
the main job from data to a chosen trade-off.
"""
