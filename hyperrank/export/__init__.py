"""Export of fitted rankers to files that other runtimes serve, without Python or torch."""

from hyperrank.export.onnx import to_onnx

__all__ = ["to_onnx"]
