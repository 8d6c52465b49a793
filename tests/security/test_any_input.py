"""Whatever comes in, what comes out is success or an `InputError`: never another exception, never a hang.

By default each law is tried on some dozens of inputs. With `RESNET_SPACE_FUZZ_SECONDS=600` in the environment that time
is divided among the laws, each of them on ever new inputs.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resnet_space import InputError, api, build, documents, preset
from resnet_space.api import studies
from resnet_space.expressions import Expression
from resnet_space.fields import NAMES, lookup_of
from resnet_space.paths import split
from search.files.folder import RunFolder
from search.store.status import read_run_status
from search.store.store import Store
from search.training import checkpoint

SECONDS = float(os.environ.get("RESNET_SPACE_FUZZ_SECONDS", 0))
LAWS = 8

SHIPPED = {name: documents.read(Path(str(studies.SHIPPED / f"{name}.yaml"))) for name in studies.shipped()}


def few(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))


def hold(law: Callable[[], None]) -> None:
    """Try a law once, and again on other inputs as long as its share of the time lasts."""
    until = time.monotonic() + SECONDS / LAWS
    law()
    while time.monotonic() < until:
        law()


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-2, 20),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([1e308, -1e308, 5e-324, 10**400, "all", "baseline", "identity", "propagation", "../../x", ""]),
)
KEYS = st.one_of(
    st.text(max_size=10),
    st.sampled_from(["kind", "name", "net", "set", "arms", "width", "stages", "stages.*.units", "low", "high", "step"]),
)
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=8
)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all that is in plain data."""
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(found for key, value in inner for found in places(value, (*path, key)))]


def changed(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = changed(copy[path[0]], path[1:], value)
    return copy


def shipped_with_changes(draw: Callable[[Any], Any]) -> Any:
    """A study that is nearly right."""
    study = SHIPPED[draw(st.sampled_from(sorted(SHIPPED)))]
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from([path for path in places(study) if path]))
        with suppress(KeyError, IndexError, TypeError):
            study = changed(study, place, draw(PLAIN))
    return study


def test_any_study_is_one_or_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"

    @few(100)
    @given(st.data())
    def law(data: st.DataObject) -> None:
        study = shipped_with_changes(data.draw)
        with suppress(UnicodeEncodeError):
            # JSON is YAML; infinities are written as YAML knows them.
            text = json.dumps(study).replace("-Infinity", "-.inf").replace("Infinity", ".inf").replace("NaN", ".nan")
            file.write_text(text, encoding="utf-8")
            with suppress(InputError):
                loaded = studies.load(str(file))
                assert studies.of(loaded.to_dict()) == loaded, "what is loaded comes back"

    hold(law)


def test_any_text_is_a_document_or_is_refused() -> None:
    marks = st.text(st.sampled_from("{}[]:,&*!|>-?#'\"%@` \n\tab01.eE~<\\\0\x85\ufeff"), max_size=60)

    @few(200)
    @given(st.one_of(st.text(max_size=60), marks))
    def law(text: str) -> None:
        with suppress(InputError):
            documents.read(f"{text}\n")

    hold(law)


def test_any_change_by_path_is_one_or_is_refused() -> None:
    parts = st.one_of(st.sampled_from([name for path in NAMES for name in path.split(".")]), st.text(max_size=5))
    texts = st.tuples(st.lists(parts, min_size=1, max_size=4).map(".".join), st.text(max_size=20)).map("=".join)

    @few(60)
    @given(st.lists(texts, max_size=3))
    def law(given_texts: list[str]) -> None:
        with suppress(InputError):
            changes = dict(map(split, given_texts))
            studies.load("transitions", changes=changes)

    hold(law)


def test_any_filter_is_one_or_is_refused_and_its_value_is_a_truth() -> None:
    lookup = lookup_of(preset("resnet20"))
    words = [
        *(
            "depth",
            "macs",
            "unit.order",
            "shortcut",
            "stages.0.units",
            "stages.*.units",
            "original",
            "'x'",
            "and",
            "or",
        ),
        *("not", "in", "(", ")", "[", "]", ",", "<", "<=", "==", "!=", "+", "-", "*", "/", ".", "!", "\n", "\0", "é"),
        *("1", "0", "1e308", "9" * 60),
    ]
    texts = st.one_of(st.text(max_size=30), st.lists(st.sampled_from(words), max_size=14).map(" ".join))

    @few(300)
    @given(texts)
    def law(text: str) -> None:
        with suppress(InputError):
            expression = Expression(text, NAMES)
            assert expression.evaluate(lookup) in (True, False)
            assert not (expression.evaluate(lookup) and expression.refuted(lookup))
            assert expression.violation(lookup) >= 0

    hold(law)


def garbled(content: bytes, rng: random.Random) -> bytes:
    """A file that is nearly right: bytes changed, cut off, left out, said twice, or all made up."""
    kind, at = rng.randrange(5), rng.randrange(len(content) or 1)
    length = rng.choice([1, 1, 4, 64, 4096])
    if kind == 0:
        return content[:at] + rng.randbytes(length) + content[at + length :]
    if kind == 1:
        return content[:at]
    if kind == 2:
        return content[:at] + content[at + length :]
    if kind == 3:
        return content[:at] + content[at : at + length] * 2 + content[at + length :]
    return rng.randbytes(length)


def told(folder: Path) -> None:
    """What `status` and `front` ask."""
    read_run_status(RunFolder.existing(folder))
    store = Store.of(RunFolder.existing(folder))
    try:
        for ask in (store.run_status, store.results, store.frame):
            ask()
    finally:
        store.close()


@pytest.mark.parametrize("name", ["trials.db", "manifest.json", "study.yaml"])
def test_a_folder_with_any_file_garbled_is_read_or_refused(name: str, runs: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(runs / "ablation", tmp_path / "run"))
    content = (folder / name).read_bytes()

    @few(40)
    @given(st.integers(0, 2**32))
    def law(seed: int) -> None:
        (folder / name).write_bytes(garbled(content, random.Random(seed)))
        for left in folder.glob("*.db-*"):
            left.unlink()
        for read in (told, api.open_run):
            with suppress(InputError):
                read(folder)

    hold(law)


def test_a_garbled_checkpoint_is_put_aside(tmp_path: Path) -> None:
    import torch

    model = build(preset("resnet20").assign({"width": 0.125, "stages.*.units": 1, "input_shape": [1, 8, 8]}))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    checkpoint.save(tmp_path, model, optimizer, checkpoint.State(), "cpu")
    content = (tmp_path / checkpoint.NAME).read_bytes()

    @few(30)
    @given(st.integers(0, 2**32))
    def law(seed: int) -> None:
        (tmp_path / checkpoint.NAME).write_bytes(garbled(content, random.Random(seed)))
        whole = (tmp_path / checkpoint.NAME).read_bytes() == content
        try:
            checkpoint.load(tmp_path / checkpoint.NAME, model, optimizer, "cpu")
        except checkpoint.DamagedCheckpoint:
            assert not whole
            assert not (tmp_path / checkpoint.NAME).exists()
        else:
            assert whole

    hold(law)
