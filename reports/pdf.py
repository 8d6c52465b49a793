"""A page as PDF, printed from its HTML by an installed browser.

A browser has the layout engine that the page is written for. Libraries that print HTML without one support neither the
page's CSS nor its figures in full, or need native libraries of the same weight.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from reports import html
from reports.page import Block, Facts, Page
from resnet_space.errors import InputError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
"""Names of the program, in the order of preference: all are Chromium, and print with the same options."""
SECONDS = 120
"""A browser that takes longer is stopped."""


def render(page: Page) -> bytes:
    """Return the page as PDF.

    Raises:
        InputError: no browser is installed, or it cannot print the page.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise InputError(
            f"--format pdf: needs Chromium or a browser made of it, and the PATH has none of {', '.join(BROWSERS)}; "
            "install one, or write html and print it from another browser"
        )
    with TemporaryDirectory(prefix="resnet-space-") as folder:
        source, made = Path(folder, "report.html"), Path(folder, "report.pdf")
        source.write_text(html.render(_without_links(page)), encoding="utf-8")
        command = [browser, "--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", *_as_root()]
        command += [f"--user-data-dir={folder}/profile", "--no-pdf-header-footer", f"--print-to-pdf={made}"]
        try:
            done = subprocess.run(
                [*command, source.as_uri()],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise InputError(f"--format pdf: {browser} has not printed the page in {SECONDS} s") from None
        if not made.is_file():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise InputError(f"--format pdf: {browser} printed no page (exit status {done.returncode}): {last}")
        return made.read_bytes()


def _as_root() -> list[str]:
    """Return the option without which the browser refuses to start as root; the page is ours and has no own script."""
    return ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []


def _without_links(page: Page) -> Page:
    """Return the page with the text of each link only: a PDF would have the absolute path of a temporary folder."""

    def plain(block: Block) -> Block:
        return Facts(block.texts) if isinstance(block, Facts) else block

    return replace(
        page,
        sections=[replace(section, blocks=[plain(block) for block in section.blocks]) for section in page.sections],
    )
