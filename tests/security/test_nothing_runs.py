"""Nothing that is read is run: no pickle in a format of ours, no import by a name in a file, no eval."""

from __future__ import annotations

import ast
import pickle
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from verbs import Cli, every_verb

from resnet_space import InputError, documents
from resnet_space.expressions import Expression

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path for room in ("resnet_space", "search", "ablations", "reports") for path in (ROOT / room).rglob("*.py")
)

RUN_DATA = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load", "tempfile.mktemp",
    "pickle.load", "pickle.loads", "marshal.loads", "shelve.open", "joblib.load", "pd.eval", "pd.read_pickle",
}  # fmt: skip
"""Calls that run what they are given, or can be made to."""


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keywords(call: ast.Call) -> dict[str, str]:
    return {word.arg or "**": ast.unparse(word.value) for word in call.keywords}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_calls_what_runs_data(path: Path) -> None:
    for name, call in calls(path):
        assert name not in RUN_DATA
        assert not name.endswith((".query", ".to_pickle")), name
        given = keywords(call)
        assert given.get("shell", "False") == "False"
        assert given.get("allow_pickle", "False") == "False"
        if name == "torch.load":
            assert given["weights_only"] == "True"
        if name in ("np.load", "numpy.load"):
            assert given["allow_pickle"] == "False"
        if name == "YAML":
            assert given in ({"typ": "'safe'", "pure": "True"}, {}), "and the one without arguments only writes"
        if name.startswith("json.dump"):
            assert given.get("allow_nan", "False") == "False"


class Gadget:
    """A pickle of it makes a file when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.mark,)


def test_the_gadget_would_have_worked(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Gadget(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()


def by_torch(path: Path, gadget: Gadget) -> None:
    torch.save({"model": gadget, "step": gadget}, path)


def by_pickle(path: Path, gadget: Gadget) -> None:
    path.write_bytes(pickle.dumps(gadget))


def by_yaml(path: Path, gadget: Gadget) -> None:
    path.write_text(f"name: !!python/object/apply:os.mknod ['{gadget.mark}']\n")


def inside(path: Path, gadget: Gadget) -> None:
    """In every cell of a database that may hold one."""
    with sqlite3.connect(path) as connection:
        for column in ("spec", "proposal", "reason", "traceback"):
            connection.execute(f"UPDATE trials SET {column} = ?", [pickle.dumps(gadget)])
    connection.close()


PLANTED: list[tuple[str, Callable[[Path, Gadget], None]]] = [
    ("checkpoints/*/checkpoint.pt", by_torch),
    ("checkpoints/*/weights.safetensors", by_torch),
    ("checkpoints/*/weights.safetensors", by_pickle),
    ("trials.db", by_pickle),
    ("trials.db", inside),
    ("manifest.json", by_pickle),
    ("study.yaml", by_yaml),
    ("study.yaml", by_pickle),
]


@pytest.mark.parametrize(("where", "plant"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_a_planted_gadget_never_runs(
    where: str, plant: Callable[[Path, Gadget], None], sent: Path, resnet_space: Cli
) -> None:
    gadget = Gadget(sent.parent / "mark")
    folder, _, name = where.rpartition("/")
    for place in sorted(sent.glob(folder)) if folder else [sent]:
        plant(place / name, gadget)
    results = every_verb(resnet_space, sent)
    assert not gadget.mark.exists()
    assert {result.status for result in results} <= {0, 1, 2}
    assert all("Traceback" not in result.err for result in results)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/name:os.getcwd",
        "!!python/module:os",
        "!!python/object/apply:os.getcwd []",
        "!!python/object/new:int [3]",
    ],
)
def test_yaml_makes_no_objects(text: str) -> None:
    with pytest.raises(InputError, match="tag"):
        documents.read(f"a: {text}")


@pytest.mark.parametrize("text", ["os:system", "builtins.eval", "resnet_space.cli:main", "../evil.py"])
@pytest.mark.parametrize(
    "path", ["data.name", "recipe", "sampler", "stopping", "net", "unit.order", "unit.shortcut", "design", "objectives"]
)
def test_no_name_in_a_file_is_imported(path: str, text: str, runs: Path, resnet_space: Cli) -> None:
    for study in ("ablation", "search"):
        assert resnet_space("plan", runs / f"{study}.yaml", "--set", f"{path}={text}").status == 2


@pytest.mark.parametrize(
    "text",
    ["__import__('os').getcwd() == 1", "depth.__class__ == 1", "[x for x in (1,)] == 1", "(lambda: 1)() == 1",
     "f'{1}' == 1", "depth ** 9 ** 9 ** 9 > 1", "exec('1')", "@depth > 1", "`depth` > 1", "depth > 1; depth > 2"],
)  # fmt: skip
def test_a_filter_is_parsed_and_never_run(text: str) -> None:
    with pytest.raises(InputError):
        Expression(text, {"depth": ()})


def test_ray_starts_no_dashboard_and_restores_nothing_from_a_folder() -> None:
    made = [each for path in (ROOT / "search" / "running" / "ray").glob("*.py") for each in calls(path)]
    [init] = [call for name, call in made if name == "ray.init"]
    assert keywords(init)["include_dashboard"] == "None if address else False"
    assert "dashboard_host" not in keywords(init)
    assert not {"tune.Tuner.restore", "tune.Tuner.can_restore", "tune.ExperimentAnalysis"} & {n for n, _ in made}
    [run] = [call for name, call in made if name == "tune.RunConfig"]
    assert keywords(run)["storage_path"] == "scratch", "a temporary folder of its own, not the run's"


def test_temporary_folders_are_made_for_their_owner_alone() -> None:
    used = {name for path in MODULES for name, _ in calls(path) if name.startswith("tempfile.")}
    assert used <= {"tempfile.TemporaryDirectory", "tempfile.mkdtemp"}, (
        "both make folders of mode 700, by no known name"
    )
    assert not [path for path in MODULES if "/tmp" in path.read_text(encoding="utf-8")]
