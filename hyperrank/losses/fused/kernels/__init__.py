"""Triton kernels of the weighted losses; importing them needs Triton."""
