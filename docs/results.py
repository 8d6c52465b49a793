"""Write the results of runs as one document: `python docs/results.py runs/shortcuts runs/depth ... > docs/results.md`.

The introduction of the existing document, up to the marker `BEGINS`, is kept.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ablations.run import AblationRun
from reports import markdown
from resnet_space import api
from search.running.progress import clock_face

HERE = Path(__file__).parent
BEGINS = "<!-- What follows is written by docs/results.py. -->"


def section(folder: Path) -> str:
    """Return a run's report without figures, headings one level deeper, with the command that repeats the run."""
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
        f"`resnet-space run {run.study.name}`: {len(taken)} trials, {clock_face(sum(taken))} of training, "
        f"median {taken[len(taken) // 2]:.0f} s a trial, one thread each; commit {_commit(run)}."
    )
    text = "\n".join(kept)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text


def _commit(run: AblationRun) -> str:
    return str(run.folder.read_manifest()["sessions"][-1]["commit"])[:7]


def setting(folder: Path) -> str:
    """Return the origin of the numbers: data, machine and versions of the last run."""
    lines = markdown.render(api.open_run(folder)).splitlines()
    wanted = ("- data fingerprint", "- machine", "- versions", "- data:")
    return "\n".join(["## Setting", "", *(line for line in lines if line.startswith(wanted))])


def main() -> None:
    folders = [Path(name) for name in sys.argv[1:]]
    introduction = (HERE / "results.md").read_text(encoding="utf-8").split(BEGINS)[0].rstrip()
    print("\n\n".join([introduction, BEGINS, *map(section, folders), setting(folders[-1])]))


if __name__ == "__main__":
    main()
