"""The verb that checks this machine."""

from __future__ import annotations

import typer

from resnet_space.cli.options import Json
from resnet_space.cli.printing import print_json


def doctor(json: Json = False) -> None:
    """Check this machine: versions, memory, limits, GPU, data sets, and whether its kernels compute correctly."""
    from search.running.doctor import examine, summary

    findings = []
    for finding in examine():
        findings.append(finding)
        if not json:
            typer.echo(finding.line)
    if json:
        print_json(summary(findings))
    if any(finding.level == "wrong" for finding in findings):
        raise typer.Exit(1)
