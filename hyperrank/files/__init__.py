"""Files without pickle, written whole or not at all: values as JSON, arrays as safetensors."""

from hyperrank.files.codec import storable
from hyperrank.files.model_file import (
    FORMAT,
    ModelFileError,
    packed,
    read_model_file,
    unpacked,
    write_atomically,
    write_model_file,
)

__all__ = [
    "FORMAT",
    "ModelFileError",
    "packed",
    "read_model_file",
    "storable",
    "unpacked",
    "write_atomically",
    "write_model_file",
]
