"""CONTRIBUTING's table is correct: rows added to a copy of the tree as it describes, with no other change, pass the
tests of their catalogues."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent, indent
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("resnet_space", "search", "ablations", "reports", "tests", "docs", "pyproject.toml", "CONTRIBUTING.md")


@dataclass(frozen=True)
class Addition:
    """A new row: its name, its text, the text before which it is inserted, and the tests that must include it."""

    name: str
    file: str
    text: str
    before: str
    tests: tuple[str, ...]
    depth: int = 0
    """Indentation of its lines, in spaces."""
    named_before: str = ""
    """If set, its name is also inserted as a line before this one, in a tuple."""
    other_files: Mapping[str, str] = field(default_factory=dict)
    """Additional new files, by path."""

    def write_to(self, folder: Path) -> None:
        """Add the row to a copy of the tree."""
        path = folder / self.file
        above, anchor, below = path.read_text(encoding="utf-8").partition(self.before)
        assert anchor, f"{self.file} has no {self.before!r}"
        own = indent(dedent(self.text).lstrip("\n"), " " * self.depth)
        if self.named_before:
            below = below.replace(self.named_before, f"    {self.name},\n{self.named_before}", 1)
        path.write_text(f"{above}{own}{anchor}{below}", encoding="utf-8")
        for other, text in self.other_files.items():
            assert not (folder / other).exists()
            (folder / other).write_text(dedent(text).lstrip("\n"), encoding="utf-8")


ADDITIONS = {
    "a shortcut": Addition(
        name="branch_only_gate",
        file="resnet_space/shortcuts.py",
        text='''
            class BranchOnlyGate(GatedShortcut):
                """x + g*F(x), with g = sigmoid(conv(x)). For a test."""

                kind: Literal["branch_only_gate"] = "branch_only_gate"
                fusing = "elementwise"

                def combine(self, x: Any, f: Any, g: Any) -> Any:
                    return x + g * f


        ''',
        before="SHORTCUTS: dict",
        tests=(
            "resnet_space/test_shortcuts.py",
            "resnet_space/test_units.py",
            "resnet_space/test_keys.py",
            "resnet_space/test_round_trips.py",
            "resnet_space/test_wrong_input.py",
            "search/training/test_fused_forms.py",
            "bad_input",
        ),
    ),
    "a branch": Addition(
        name="pyramid",
        file="resnet_space/branches.py",
        text='''
            class PyramidBranch(BranchKind):
                """3x3, 1x1, both as wide as the stage. For a test."""

                kind: Literal["pyramid"] = "pyramid"

                def chain(self, in_channels: int, channels: int, stride: int, scale: Fraction) -> Chain:
                    return (Convolution((3, 3), in_channels, channels, stride), Convolution((1, 1), channels, channels))


        ''',
        before="BRANCHES: dict",
        tests=("resnet_space/test_units.py", "resnet_space/test_round_trips.py", "bad_input"),
    ),
    "an order": Addition(
        name="bn_first",
        file="resnet_space/orders.py",
        text="""
                # 1610.02915, figure 6d.
                "bn_first": Order(first="bn", last="bn", stem="bn", tail="bn relu"),
        """,
        before="}\n\nOrderName",
        depth=4,
        tests=(
            "resnet_space/test_units.py",
            "resnet_space/test_round_trips.py",
            "resnet_space/test_wrong_input.py",
            "search/training/test_fused_forms.py",
            "bad_input",
        ),
    ),
    "a data set": Addition(
        name="stripes",
        file="search/data/catalogue.py",
        text="""
                    "stripes": Row(
                        "100 pictures of horizontal or vertical stripes; no download",
                        loader="search.data.stripes:stripes",
                        origin="made",
                        classes=2,
                        shape=(1, 8, 8),
                    ),
        """,
        before="    }\n)\n",
        depth=8,
        other_files={
            "search/data/stripes.py": '''
                """Horizontal or vertical stripes. For a test."""

                from pathlib import Path

                import numpy as np

                from search.data.description import DataSet
                from search.data.source import Contents, Labelled, Source


                def stripes(data: DataSet, root: Path | None, download: bool) -> Source:
                    y = np.arange(100) % 2
                    lying = np.arange(8)[:, None] % 2 * np.full((8, 8), 255)
                    x = np.array([lying.T if label else lying for label in y], np.uint8)[:, None]
                    train = Labelled(x, y.astype(np.int64))
                    return Source(files=(), read=lambda: Contents(train=train, classes=2, names=("lying", "standing")))
            ''',
        },
        tests=("search/data/test_description.py", "search/data/test_load.py", "bad_input"),
    ),
    "an optimiser": Addition(
        name="adamax",
        file="search/trials/optimizers.py",
        text='''
            class Adamax(OptimizerKind):
                """Adam with the largest gradient in place of v. 1412.6980, section 7.1. For a test."""

                torch_class = "Adamax"

                kind: Literal["adamax"] = "adamax"
                betas: Betas = (0.9, 0.999)
                eps: Above0 = 1e-8


        ''',
        before="OPTIMIZERS: dict",
        tests=("search/training/test_optimizers.py", "search/training/test_options_together.py", "bad_input"),
    ),
    "a sampler": Addition(
        name="twice",
        file="search/samplers/kinds.py",
        text='''
            class Twice(SamplerKind):
                """The shorter one of two uniform random draws. For a test."""

                kind: Literal["twice"] = "twice"

                def strategy(self, space: Space, objectives: tuple[str, ...], seed: int) -> Strategy:
                    return _Shorter(space, seed)


            class _Shorter(Experience):
                def __init__(self, space: Space, seed: int) -> None:
                    super().__init__()
                    self._space, self._seed = space, seed

                def propose(self, number: int) -> Assignment | None:
                    both = (self._space.draw(Random(f"{self._seed} {number} {which}")) for which in (0, 1))
                    return min(both, key=lambda assignment: (len(assignment), str(assignment)))


        ''',
        before="SAMPLERS: dict",
        tests=("search/samplers/test_samplers.py", "bad_input"),
    ),
    "a stopping rule": Addition(
        name="above_median",
        file="search/samplers/stopping.py",
        text='''
            class AboveMedian(StoppingKind):
                """Stops trials at epoch `grace` whose error is above the median of the earlier ones. For a test."""

                kind: Literal["above_median"] = "above_median"
                grace: Count = 1

                def rungs(self, epochs: int) -> tuple[int, ...]:
                    return (self.grace,) if self.grace < epochs else ()

                def why_stopped(self, own: Values, others: Sequence[Values]) -> str | None:
                    errors = sorted(values[0] for values in others)
                    return "its error is above the median" if errors and own[0] > errors[len(errors) // 2] else None


        ''',
        before="STOPPING: dict",
        tests=("search/samplers/test_stopping.py", "bad_input"),
    ),
    "a measure of trials": Addition(
        name="last_lr",
        file="search/measures/catalogue.py",
        text="""
                # The learning rate of the last step. For a test.
                Measure("last_lr", "last learning rate", "", "epochs", "lr", decimals=4),
        """,
        before='    )\n}\n"""Measures of trials',
        depth=8,
        tests=("search/measures/test_catalogue.py", "bad_input"),
    ),
    "a design": Addition(
        name="ends",
        file="ablations/designs.py",
        text='''
            class Ends(DesignKind):
                """The baseline, and every factor at its last level. For a test."""

                kind: Literal["ends"] = "ends"

                def _over(self, factors: Factors, start: dict[str, str]) -> Design:
                    last = {name: [*factor.choices][-1] for name, factor in factors.items()}
                    cells = (Cell(BASELINE, start), Cell("ends", last))
                    return Design(cells, BASELINE, (Estimate("ends", tuple(factors), "ends", BASELINE),))


        ''',
        before="DESIGNS: dict",
        tests=("ablations/test_designs.py", "bad_input"),
    ),
    "a report section": Addition(
        name="costs",
        file="reports/document/ablation.py",
        text='''
            def costs(run: AblationRun, _: Sequence[Published]) -> Section:
                """For a test."""
                return Section("Costs", [Text([f"{arm.arm}: {arm.macs} MACs" for arm in run.summaries])])


        ''',
        before="SECTIONS: tuple",
        named_before="    run_setting,",
        tests=("reports/document/test_ablation.py", "reports/test_write.py"),
    ),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The result of every test of these catalogues in a copy with the additions, by `file::test`; empty if passed."""
    copy = tmp_path_factory.mktemp("contributed")
    for path in (ROOT / name for name in COPIED):
        if path.is_dir():
            shutil.copytree(path, copy / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, copy)
    for added in ADDITIONS.values():
        added.write_to(copy)
    wanted = dict.fromkeys(f"tests/{test}" for added in ADDITIONS.values() for test in added.tests)
    arguments = ["-q", "-m", "not slow and not long", "--junitxml=outcomes.xml", "-p", "no:cacheprovider", *wanted]
    code = f"import pytest, resnet_space; assert {str(copy)!r} in resnet_space.__file__; pytest.main({arguments!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, check=False)
    assert (copy / "outcomes.xml").is_file(), done.stdout + done.stderr
    cases = ElementTree.parse(copy / "outcomes.xml").iter("testcase")
    return {
        f"{case.get('classname')}::{case.get('name')}": "\n".join(
            child.text or child.tag for child in case if child.tag in ("failure", "error")
        )
        for case in cases
    }


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("row", ADDITIONS)
def test_a_row_added_as_the_table_describes_passes_the_tests_of_its_catalogue(
    row: str, outcomes: dict[str, str]
) -> None:
    added = ADDITIONS[row]
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
    [line] = [line for line in table if line.startswith(f"| {row} |")]
    assert f"`{added.file}`" in line
    for test in added.tests:
        own = f"tests.{test.removesuffix('.py').replace('/', '.')}"
        found = {name: problem for name, problem in outcomes.items() if name.startswith(own)}
        assert found, f"{test} was not run"
        assert [f"{name}: {problem}" for name, problem in found.items() if problem] == []
    assert [name for name in outcomes if added.name in name], "its tests include it automatically"
