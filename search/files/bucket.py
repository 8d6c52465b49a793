"""A bucket in a folder's place: trials' files on S3, for nodes that share no file system."""

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
"""What may stand behind the `?` of a bucket's URL."""

PATIENCE_SECONDS = 60.0
"""How long a bucket that does not answer is asked again, where a trial cannot begin without its answer."""


class Unreachable(OSError, InputError):
    """A bucket does not answer: what is in it, is not known."""


@dataclass(frozen=True)
class Bucket:
    """A place in a bucket: as much of a `pathlib.Path` as trials' files need, so that either may hold them.

    An object is there as a whole or not at all, whoever is killed as it is written. Credentials are found as AWS finds
    them, in the environment, its files or the machine's role, and never in a URL.
    """

    root: str
    """`BUCKET/PREFIX`."""
    options: tuple[tuple[str, str], ...] = ()
    path: PurePosixPath = field(default_factory=PurePosixPath)

    @classmethod
    def of(cls, url: str) -> Bucket:
        """The place that a URL names: `s3://BUCKET/PREFIX`, behind `?` what is in `OPTIONS`.

        Raises:
            InputError: it names none.
        """
        parts = urlsplit(url)
        where = f"checkpoints {re.sub('//[^/]*@', '//', url)!r}"
        if parts.scheme != "s3" or not parts.netloc:
            raise InputError(f"{where}: must be s3://BUCKET/PREFIX")
        if "@" in parts.netloc:
            raise InputError(f"{where}: has a password in it; put credentials where AWS looks: AWS_ACCESS_KEY_ID, ...")
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

    def is_file(self, *, patience: float | None = None) -> bool:
        """`patience` is how many seconds a bucket may be away, by itself `PATIENCE_SECONDS`."""
        from pyarrow.fs import FileType

        return bool(self._asked(lambda files: files.get_file_info(self._key).type, patience) == FileType.File)

    def read_bytes(self) -> bytes:
        """Raises: FileNotFoundError; Unreachable."""

        def read(files: S3FileSystem) -> bytes:
            with files.open_input_stream(self._key) as stream:
                return bytes(stream.read())

        return self._asked(read)

    def write_bytes(self, content: bytes) -> None:
        """Raises: OSError; what was there still is."""
        with _files(self.options).open_output_stream(self._key) as stream:
            stream.write(content)

    def write_text(self, text: str) -> None:
        self.write_bytes(text.encode())

    def copy(self, to: Bucket) -> None:
        """Have it there too. It does not travel for that."""
        _files(self.options).copy_file(self._key, to._key)

    def replace(self, to: Bucket) -> None:
        """Have it there, and no longer here: first the one, then the other."""
        if not self.is_file():
            raise FileNotFoundError(str(self))
        _files(self.options).move(self._key, to._key)

    def unlink(self, *, missing_ok: bool = False) -> None:
        if self.is_file():
            _files(self.options).delete_file(self._key)
        elif not missing_ok:
            raise FileNotFoundError(str(self))

    def glob(self, pattern: str) -> Iterator[Bucket]:
        """What lies here and fits, to the depth of the pattern."""
        from pyarrow.fs import FileSelector

        deep = "/" in pattern
        here = FileSelector(self._key, allow_not_found=True, recursive=deep)
        for found in self._asked(lambda files: files.get_file_info(here)):
            inside = PurePosixPath(found.path).relative_to(self._key)
            if len(inside.parts) == 1 + pattern.count("/") and inside.match(pattern):
                yield self / inside

    def remove(self) -> None:
        """All that lies under it."""
        _files(self.options).delete_dir(self._key)

    @property
    def _key(self) -> str:
        return str(PurePosixPath(self.root) / self.path)

    def _asked(self, ask: Callable[[S3FileSystem], T], patience: float | None = None) -> T:
        """What is answered, by a bucket that may be away for a while."""
        end = time.monotonic() + (PATIENCE_SECONDS if patience is None else patience)
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
"""Where files lie: a folder, or a bucket."""


def keep(place: Place, content: bytes, *, before: Place | None = None) -> None:
    """Write a file, whole or not at all. With `before`, what was there stays under that name.

    Raises:
        OSError: it could not be written; what was there is there, or at `before`.
    """
    if isinstance(place, Path):
        assert before is None or isinstance(before, Path)
        atomic.write_bytes(place, content, before=before)
        return
    # Asked once: a trial is told that it goes on without a checkpoint, and does not wait for a bucket.
    if isinstance(before, Bucket) and place.is_file(patience=0):
        place.copy(before)
    place.write_bytes(content)


@cache
def _files(options: tuple[tuple[str, str], ...]) -> S3FileSystem:
    from pyarrow.fs import S3FileSystem

    told: dict[str, Any] = dict(options)
    # One request for a small object, and none that goes on behind our back.
    return S3FileSystem(**told, allow_delayed_open=True, background_writes=False)
