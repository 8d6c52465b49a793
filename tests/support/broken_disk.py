"""Disks on which writes fail: full ones, through a kernel limit, or broken ones, through SQLite's test hook."""

from __future__ import annotations

import ctypes
import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_size_t, c_ssize_t, c_void_p
from pathlib import Path
from typing import Any


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """Make the operating system refuse to write beyond this file size, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class _Vfs(Structure):
    """`sqlite3_vfs`, as defined in sqlite.org/c3ref/vfs.html."""

    _fields_ = (
        ("iVersion", c_int),
        ("szOsFile", c_int),
        ("mxPathname", c_int),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
        *((f"x{index}", c_void_p) for index in range(13)),
        ("xSetSystemCall", CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p)),
        ("xGetSystemCall", CFUNCTYPE(c_void_p, c_void_p, c_char_p)),
    )


CALLS: dict[bytes, Any] = {
    b"write": CFUNCTYPE(c_ssize_t, c_int, c_void_p, c_size_t, use_errno=True),
    b"pwrite": CFUNCTYPE(c_ssize_t, c_int, c_void_p, c_size_t, c_int64, use_errno=True),
    b"pwrite64": CFUNCTYPE(c_ssize_t, c_int, c_void_p, c_size_t, c_int64, use_errno=True),
    b"ftruncate": CFUNCTYPE(c_int, c_int, c_int64, use_errno=True),
}
"""The system calls with which SQLite writes files, by their names in its test hook. Maps, deletes and syncs are not
included."""


class Writes:
    """Counts SQLite's writes in this process; the n-th fails."""

    def __init__(self) -> None:
        self.number = 0
        self.failing: int | None = None

    @contextmanager
    def failing_at(self, number: int, code: int = errno.EIO) -> Iterator[None]:
        """Make only the n-th write from now on fail."""
        self.number, self.failing, self.code = 0, number, code
        try:
            yield
        finally:
            self.failing = None

    def fails(self) -> bool:
        self.number += 1
        if self.number != self.failing:
            return False
        ctypes.set_errno(self.code)
        return True


@contextmanager
def hooked() -> Iterator[Writes]:
    """Control SQLite's writes inside this context.

    Raises:
        OSError: the library that Python's `sqlite3` uses cannot be accessed, for example because it is linked in.
    """
    if "libsqlite3.so.0" not in Path("/proc/self/maps").read_text():
        raise OSError("Python's SQLite is not a separate library")
    library = ctypes.CDLL("libsqlite3.so.0")
    library.sqlite3_vfs_find.restype = POINTER(_Vfs)
    vfs = library.sqlite3_vfs_find(None)
    writes, hooks = Writes(), []
    for name, kind in CALLS.items():
        real = vfs.contents.xGetSystemCall(ctypes.addressof(vfs.contents), name)
        if real:
            hooks.append(kind(_hook(writes, kind(real))))
            vfs.contents.xSetSystemCall(ctypes.addressof(vfs.contents), name, ctypes.cast(hooks[-1], c_void_p))
    try:
        yield writes
    finally:
        for name in CALLS:
            # None restores the original call.
            vfs.contents.xSetSystemCall(ctypes.addressof(vfs.contents), name, None)


def _hook(writes: Writes, real: Any) -> Any:
    def call(*arguments: Any) -> int:
        return -1 if writes.fails() else int(real(*arguments))

    return call
