"""Write the results of runs as one document: `python docs/results.py runs/shortcuts runs/depth ... > docs/results.md`.

The introduction of the existing document, up to the marker `BEGINS`, is kept.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from ablations.run import AblationRun
from reports import markdown
from reports.page import Picture
from resnet_space import api
from search.running.progress import format_duration

HERE = Path(__file__).parent
BEGINS = "<!-- What follows is written by docs/results.py. -->"
LEFT_OUT = ("Setting", "Test images")
"""Sections of reports that the document does not have: the setting is there once, and images fill pages."""


def section(folder: Path) -> str:
    """Return a run's report without figures and `LEFT_OUT`, one heading level deeper, and the command to repeat it."""
    run = api.open_run(folder)
    assert isinstance(run, AblationRun)
    page = api.document(run)
    found = [
        replace(section, blocks=blocks)
        for section in page.sections
        if section.heading not in LEFT_OUT
        if (blocks := [block for block in section.blocks if not isinstance(block, Picture)])
    ]
    # The heading is the study's name, to which other documents refer.
    lines = markdown.render(replace(page, title=page.question, sections=found)).splitlines()
    lines[:1] = [f"# {run.study.name}", "", f"**{lines[0].removeprefix('# ')}**"]
    background = [f"After {run.study.source}." if run.study.source else "", run.study.notes]
    taken = sorted(record.seconds for record in run.records if record.seconds)
    return "\n".join(
        [
            *(f"#{line}" if line.startswith("#") else line for line in lines),
            "",
            *(each for line in background if line for each in (markdown.escape(line), "")),
            f"`resnet-space run {run.study.name}`: {len(taken)} trials, {format_duration(sum(taken))} of training, "
            f"median {taken[len(taken) // 2]:.0f} s a trial, one thread each; commit {_commit(run)}.",
        ]
    )


def _commit(run: AblationRun) -> str:
    return str(run.folder.read_manifest()["sessions"][-1]["commit"])[:7]


def setting(folder: Path) -> str:
    """Return where the numbers come from: the last run's machine and versions."""
    lines = markdown.render(api.document(api.open_run(folder))).splitlines()
    wanted = ("- data fingerprint", "- machine", "- versions", "- data:")
    return "\n".join(["## Setting", "", *(line for line in lines if line.startswith(wanted))])


def main() -> None:
    folders = [Path(name) for name in sys.argv[1:]]
    introduction = (HERE / "results.md").read_text(encoding="utf-8").split(BEGINS)[0].rstrip()
    print("\n\n".join([introduction, BEGINS, *map(section, folders), setting(folders[-1])]))


if __name__ == "__main__":
    main()
