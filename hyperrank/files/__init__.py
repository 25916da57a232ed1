"""Files without pickle, written whole or not at all: values as JSON, arrays as safetensors."""

from hyperrank.files.atomic import write_atomically
from hyperrank.files.container import FORMAT, ModelFileError, read_model_file, write_model_file
from hyperrank.files.packed import packed, unpacked
from hyperrank.files.plain import storable

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
