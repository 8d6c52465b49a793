"""Simulated CUDA streams and graphs without a GPU: work is computed immediately on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from search.training import step as stepping_module


class FakeCuda:
    """Keeps track of the created streams and the current one, and records graphs or fails as requested.

    As in older versions of torch, a failed recording leaves its own stream current and the random generator in capture
    mode, and ending it fails too.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails: Exception | None = None) -> None:
        self.fails = fails
        self.made: list[Stream] = []
        self.current = self.Stream("first")
        self.modes: list[str] = []
        """The capture error modes of recordings."""
        self.recording = False
        self.generator = Generator(self)
        monkeypatch.setattr(torch.cuda, "default_generators", (self.generator,))
        monkeypatch.setattr(stepping_module, "RECORDING", [])
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
            self.generator.captured = False
            self.current = before

    def step(self, *arguments: Any) -> stepping_module.StepResult:
        if self.recording:
            self.generator.captured = True
            if self.fails:
                raise self.fails
        else:
            assert not self.generator.captured, "Offset increment outside graph capture encountered unexpectedly"
        return self.real_step(*arguments)


class Generator:
    """A random generator that stays in capture mode after a failed recording until its state is set."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda, self.captured = cuda, False

    def clone_state(self) -> Generator:
        assert not self.cuda.recording
        return Generator(self.cuda)

    def graphsafe_set_state(self, state: Generator) -> None:
        self.captured = state.captured


class Stream:
    def wait_stream(self, other: Stream) -> None:
        assert other is not self
