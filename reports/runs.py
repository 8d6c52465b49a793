"""The kinds of runs that have reports."""

from __future__ import annotations

from typing import TypeAlias

from ablations.across.run import RunAcross
from ablations.run import AblationRun
from ablations.tuning.run import TunedRun
from search.exploring.run import SearchRun

Run: TypeAlias = AblationRun | RunAcross | TunedRun | SearchRun
