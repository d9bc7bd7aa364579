"""A delegate out of a library, by TensorFlow Lite's interface for external ones.

LiteRT's load_delegate hands the library a function of Python's to say its errors to, and such a
function is code that is written as the program runs: where the units refuse that
(MemoryDenyWriteExecute) and confinement the file that libffi would write instead, it ends in
MemoryError. The interface lets it be nothing, and libedgetpu never calls it.
"""

import ctypes
from collections.abc import Mapping


class Delegate:
    """What LiteRT's Interpreter takes as one; it goes back to its library with its last user."""

    def __init__(self, library: str, options: Mapping[str, str] | None = None) -> None:
        """Have ``library``, loaded into this process, make one.

        Raises:
            OSError: The library is not here.
            AttributeError: It is of another kind.
            ValueError: It makes none.

        """
        self._pointer: int | None = None
        loaded = ctypes.CDLL(library)
        create, self._destroy = (
            loaded.tflite_plugin_create_delegate,
            loaded.tflite_plugin_destroy_delegate,
        )
        words = ctypes.POINTER(ctypes.c_char_p)
        create.argtypes = (words, words, ctypes.c_size_t, ctypes.c_void_p)
        create.restype = ctypes.c_void_p
        self._destroy.argtypes, self._destroy.restype = (ctypes.c_void_p,), None
        given = options or {}
        texts = ctypes.c_char_p * len(given)
        keys, values = (texts(*(one.encode() for one in part)) for part in (given, given.values()))
        self._pointer = create(keys, values, len(given), None)
        if self._pointer is None:
            raise ValueError(f"{library} makes no delegate")

    def __del__(self) -> None:
        if self._pointer is not None:
            self._destroy(self._pointer)

    def _get_native_delegate_pointer(self) -> int | None:
        """Return where it is: LiteRT asks for it by this name."""
        return self._pointer
