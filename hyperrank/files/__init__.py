"""Files without pickle, written whole or not at all: values as JSON, arrays as safetensors."""

from hyperrank.files.atomic import atomic_folder, check_suffix, check_writable, write_atomically
from hyperrank.files.codec import register_codec, storable
from hyperrank.files.model_file import ModelFileError, read_model_file, write_model_file

__all__ = [
    "ModelFileError",
    "atomic_folder",
    "check_suffix",
    "check_writable",
    "read_model_file",
    "register_codec",
    "storable",
    "write_atomically",
    "write_model_file",
]
