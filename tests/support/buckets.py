"""A local S3 server (moto) for the duration of tests; its contents are lost when it stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from socket import create_connection, socket

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "a-key-of-these-tests", "AWS_SECRET_ACCESS_KEY": "a-secret-of-these-tests"}
"""The server accepts any credentials."""


class Server:
    """An S3 server; use it as a context."""

    def __init__(self) -> None:
        with socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, bucket: str, prefix: str = "runs") -> str:
        """Return the URL of a place in a bucket; the bucket is created if necessary."""
        made = urllib.request.Request(f"http://127.0.0.1:{self.port}/{bucket}", method="PUT")
        with urllib.request.urlopen(made, timeout=30):
            return f"s3://{bucket}/{prefix}?scheme=http&endpoint_override=127.0.0.1:{self.port}&region=us-east-1"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | CREDENTIALS,
        )
        end = time.monotonic() + 60
        while True:
            assert self.process.poll() is None, "the S3 server ended"
            assert time.monotonic() < end, "the S3 server does not answer"
            try:
                create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """Make the server accept calls without answering, inside this context."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
