"""Files without pickle, written whole or not at all: values as JSON, arrays as safetensors."""

from hyperrank.files.atomic import atomic_folder, check_suffix, check_writable, write_atomically
from hyperrank.files.codec import register_codec, storable
from hyperrank.files.model_file import (
    FORMAT,
    ModelFileError,
    packed,
    read_model_file,
    unpacked,
    write_model_file,
)

__all__ = [
    "FORMAT",
    "ModelFileError",
    "atomic_folder",
    "check_suffix",
    "check_writable",
    "packed",
    "read_model_file",
    "register_codec",
    "storable",
    "unpacked",
    "write_atomically",
    "write_model_file",
]
