"""Export of fitted rankers to ONNX."""

from hyperrank.export.onnx import to_onnx

__all__ = ["to_onnx"]
