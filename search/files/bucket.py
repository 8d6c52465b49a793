"""An S3 bucket in place of a folder: trials' files for nodes that share no file system."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from resnet_space.errors import InputError, unknown
from search.files import atomic

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

T = TypeVar("T")

OPTIONS = ("region", "endpoint_override", "scheme")
"""Allowed options after the `?` of a bucket's URL."""

RETRY_SECONDS = 60.0
"""How long reads of a bucket that does not answer are retried."""


class Unreachable(OSError, InputError):
    """A bucket does not answer, so its content is unknown."""


@dataclass(frozen=True)
class Bucket:
    """A place in a bucket, with the methods of `pathlib.Path` that trials' files need.

    An object is complete or not there, also if its writer is killed. Credentials come from the places that AWS uses,
    the environment, its files or the machine's role, and never from a URL.

        Bucket.of("s3://runs/a?region=eu-central-1") / "checkpoint.zip"
    """

    root: str
    """`BUCKET/PREFIX`."""
    options: tuple[tuple[str, str], ...] = ()
    path: PurePosixPath = field(default_factory=PurePosixPath)

    @classmethod
    def of(cls, url: str) -> Bucket:
        """Return the place at a URL, `s3://BUCKET/PREFIX` or `s3://BUCKET/PREFIX?region=...`; see `OPTIONS`.

        Raises:
            InputError: not such a URL, one with a password, or an unknown option.
        """
        parts = urlsplit(url)
        where = f"checkpoints {re.sub('//[^/]*@', '//', url)!r}"
        if parts.scheme != "s3" or not parts.netloc:
            raise InputError(f"{where}: must be s3://BUCKET/PREFIX")
        if "@" in parts.netloc:
            raise InputError(f"{where}: contains a password; put credentials where AWS looks: AWS_ACCESS_KEY_ID, ...")
        options = parse_qsl(parts.query)
        for name, _ in options:
            if name not in OPTIONS:
                raise unknown("option", name, OPTIONS, path=where)
        return cls(parts.netloc + parts.path.rstrip("/"), tuple(options))

    def __truediv__(self, name: str | PurePosixPath) -> Bucket:
        return Bucket(self.root, self.options, self.path / name)

    def __str__(self) -> str:
        return f"s3://{self._key}"

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def parent(self) -> Bucket:
        return Bucket(self.root, self.options, self.path.parent)

    def with_suffix(self, suffix: str) -> Bucket:
        return Bucket(self.root, self.options, self.path.with_suffix(suffix))

    def is_file(self, *, retry_seconds: float | None = None) -> bool:
        """Whether there is an object here. Retries errors for `retry_seconds`; default: `RETRY_SECONDS`."""
        from pyarrow.fs import FileType

        return bool(
            self._with_retries(lambda files: files.get_file_info(self._key).type, retry_seconds) == FileType.File
        )

    def read_bytes(self) -> bytes:
        """Return the object's content. Raises `FileNotFoundError` or `Unreachable`."""

        def read(files: S3FileSystem) -> bytes:
            with files.open_input_stream(self._key) as stream:
                return bytes(stream.read())

        return self._with_retries(read)

    def write_bytes(self, content: bytes) -> None:
        """Write an object. Raises `OSError`; the old object is then unchanged."""
        with _files(self.options).open_output_stream(self._key) as stream:
            stream.write(content)

    def write_text(self, text: str) -> None:
        self.write_bytes(text.encode())

    def copy(self, to: Bucket) -> None:
        """Copy the object within the bucket, without a download."""
        _files(self.options).copy_file(self._key, to._key)

    def replace(self, to: Bucket) -> None:
        """Move the object: first copy it, then delete it here."""
        if not self.is_file():
            raise FileNotFoundError(str(self))
        _files(self.options).move(self._key, to._key)

    def unlink(self, *, missing_ok: bool = False) -> None:
        if self.is_file():
            _files(self.options).delete_file(self._key)
        elif not missing_ok:
            raise FileNotFoundError(str(self))

    def glob(self, pattern: str) -> Iterator[Bucket]:
        """Yield the objects below here that match the pattern, at exactly its depth."""
        from pyarrow.fs import FileSelector

        deep = "/" in pattern
        selector = FileSelector(self._key, allow_not_found=True, recursive=deep)
        for found in self._with_retries(lambda files: files.get_file_info(selector)):
            inside = PurePosixPath(found.path).relative_to(self._key)
            if len(inside.parts) == 1 + pattern.count("/") and inside.match(pattern):
                yield self / inside

    def remove(self) -> None:
        """Delete everything below here."""
        _files(self.options).delete_dir(self._key)

    @property
    def _key(self) -> str:
        return str(PurePosixPath(self.root) / self.path)

    def _with_retries(self, ask: Callable[[S3FileSystem], T], retry_seconds: float | None = None) -> T:
        """Return the bucket's answer; retry for `retry_seconds` seconds while it cannot be reached."""
        end = time.monotonic() + (RETRY_SECONDS if retry_seconds is None else retry_seconds)
        while True:
            try:
                return ask(_files(self.options))
            except FileNotFoundError:
                raise
            except OSError as error:
                if time.monotonic() > end:
                    raise Unreachable(f"{self}: {next(iter(str(error).splitlines()), error)}") from error
                time.sleep(1)


Place = Path | Bucket
"""Where files are: a folder, or a bucket."""


def write_file(place: Place, content: bytes, *, backup: Place | None = None) -> None:
    """Write a file atomically. With `backup`, the old file is kept under that name.

    Raises:
        OSError: it could not be written; the old file is still at `place`, or at `backup`.
    """
    if isinstance(place, Path):
        assert backup is None or isinstance(backup, Path)
        atomic.write_bytes(place, content, backup=backup)
        return
    # No retries: a trial continues without a checkpoint and does not wait for a bucket.
    if isinstance(backup, Bucket) and place.is_file(retry_seconds=0):
        place.copy(backup)
    place.write_bytes(content)


@cache
def _files(options: tuple[tuple[str, str], ...]) -> S3FileSystem:
    from pyarrow.fs import S3FileSystem

    keywords: dict[str, Any] = dict(options)
    # One request per small object, and no writes in the background.
    return S3FileSystem(**keywords, allow_delayed_open=True, background_writes=False)
