"""No test sees what another one has left in a cache."""

from __future__ import annotations

import ast
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
import torch
from caches import AFTER_A_MODULE, AFTER_A_TEST, KEPT, forget

from search.kernels import gpu, soundness
from search.training import step

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("resnet_space", "search", "ablations", "reports")


def cached(path: Path) -> set[str]:
    """Names of a module's functions that are cached."""
    return {
        node.name
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
        and any("cache" in ast.unparse(decorator) for decorator in node.decorator_list)
    }


def test_of_every_cache_it_is_decided_whether_a_test_may_leave_it_to_the_next() -> None:
    decided = {
        (module, name) for table in (AFTER_A_TEST, AFTER_A_MODULE, KEPT) for module in table for name in table[module]
    }
    found = {
        (".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), name)
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for name in cached(path)
    }
    assert decided == found


@pytest.mark.parametrize("table", [AFTER_A_TEST, AFTER_A_MODULE], ids=["after a test", "after a module"])
def test_forgetting_empties_each_cache(table: dict[str, tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    for module, names in table.items():
        for name in names:
            made = cache(lambda *_: 1)
            made("once")
            monkeypatch.setattr(import_module(module), name, made)
            forget(table)
            assert made.cache_info().currsize == 0, f"{module}.{name}"


class TestTwoTestsInOrder:
    """The first leaves what it can; the second has none of it."""

    def test_the_first_pretends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
        monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
        step.RECORDING.append("a graph")  # type: ignore[arg-type]
        type(self).machine = soundness.machine_id("cpu")
        assert not gpu.has_bf16()

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    def test_the_second_sees_this_machine_as_it_is(self) -> None:
        assert gpu.has_bf16()
        assert soundness.machine_id("cpu") != self.machine
        assert step.RECORDING == []

    machine = ""
