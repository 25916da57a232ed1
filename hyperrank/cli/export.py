"""``hyperrank export``."""

from __future__ import annotations

from pathlib import Path

import click

from hyperrank.cli._command import Console, command
from hyperrank.cli._options import PATH, check_output

__all__ = ["export"]


@command("export", "model.safetensors model.onnx")
@click.argument("model", type=PATH)
@click.argument("onnx", type=PATH, metavar="ONNX_FILE")
@click.option("--without-reference", is_flag=True, help="Leave the reference's scores to the caller.")
@click.option("--force", is_flag=True, help="Replace what is there.")
def export(console: Console, model: Path, onnx: Path, without_reference: bool, force: bool) -> None:
    """Write MODEL as an ONNX file, which scores without Python.

    Weights and temperature stay inputs; docs/export.md has the others.
    """
    check_output(onnx, force=force, kinds=(".onnx",))
    from hyperrank.export import to_onnx
    from hyperrank.rankers import load

    ranker = load(model)
    to_onnx(ranker, onnx, include_reference=not without_reference)
    size = onnx.stat().st_size
    console.result(f"{onnx}: {size:,} bytes", {"model": str(model), "onnx": str(onnx), "bytes": size})
