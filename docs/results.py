"""Write the results of runs as one document: `python docs/results.py runs/shortcuts runs/depth ... > docs/results.md`.

The introduction is kept from the document that is there, up to its first table of a study.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ablations.run import AblationRun
from reports import markdown
from resnet_space import api
from search.running.progress import format_duration

HERE = Path(__file__).parent
BEGINS = "<!-- What follows is written by docs/results.py. -->"


def section(folder: Path) -> str:
    """A run's report without its figures, one heading deeper, with the command that makes it again."""
    run = api.open_run(folder)
    assert isinstance(run, AblationRun)
    lines, kept = markdown.render(run).splitlines(), []
    for line in lines:
        if line == "## Setting":
            break
        if not line.startswith(("![", "*")) or line.startswith("**"):
            kept.append(f"#{line}" if line.startswith("#") else line)
    taken = sorted(record.seconds for record in run.records if record.seconds)
    kept.append(
        f"`resnet-space run {run.study.name}`: {len(taken)} trials, {format_duration(sum(taken))} of training, "
        f"median {taken[len(taken) // 2]:.0f} s a trial, one thread each; commit {_commit(run)}."
    )
    text = "\n".join(kept)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text


def _commit(run: AblationRun) -> str:
    return str(run.folder.read_manifest()["sessions"][-1]["commit"])[:7]


def setting(folder: Path) -> str:
    """Where the numbers come from: the last run's machine and versions."""
    lines = markdown.render(api.open_run(folder)).splitlines()
    wanted = ("- data fingerprint", "- machine", "- versions", "- data:")
    return "\n".join(["## Setting", "", *(line for line in lines if line.startswith(wanted))])


def main() -> None:
    folders = [Path(name) for name in sys.argv[1:]]
    introduction = (HERE / "results.md").read_text(encoding="utf-8").split(BEGINS)[0].rstrip()
    print("\n\n".join([introduction, BEGINS, *map(section, folders), setting(folders[-1])]))


if __name__ == "__main__":
    main()
