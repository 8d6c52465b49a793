"""Streams and graphs of CUDA without a GPU: what is launched is computed at once, on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from search import step as stepping_module


class FakeCuda:
    """Notes which streams are made and which is current, and records graphs or fails as it is asked to.

    As with torch 2.11, a recording that fails leaves its own stream current, and its end fails as well.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails: Exception | None = None) -> None:
        self.fails = fails
        self.made: list[Stream] = []
        self.current = self.Stream("first")
        self.modes: list[str] = []
        """Of recordings."""
        self.recording = False
        self.real_step = stepping_module.step
        for name in ("Stream", "stream", "current_stream", "CUDAGraph", "graph"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        monkeypatch.setattr(stepping_module, "step", self.step)
        stepping_module.side_stream.cache_clear()

    def Stream(self, device: str) -> Stream:
        self.made.append(Stream())
        return self.made[-1]

    def current_stream(self, device: str) -> Stream:
        return self.current

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    class CUDAGraph:
        def replay(self) -> None:
            pass

    @contextmanager
    def graph(self, graph: Any, capture_error_mode: str) -> Iterator[None]:
        self.modes.append(capture_error_mode)
        before, self.current, self.recording = self.current, Stream(), True
        try:
            yield
        finally:
            self.recording = False
            if self.fails:
                raise RuntimeError("the end of a capture that failed")
            self.current = before

    def step(self, *arguments: Any) -> stepping_module.Told:
        if self.recording and self.fails:
            raise self.fails
        return self.real_step(*arguments)


class Stream:
    def wait_stream(self, other: Stream) -> None:
        assert other is not self
