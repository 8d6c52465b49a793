"""Run jobs on Ray Tune. This is the only package that imports ray.

Ray reads these settings when it is imported, and Python runs this module before any other of the package.
"""

import os
import sys

# No files and no folder per trial, nothing printed, and Ctrl-C stays ours to handle.
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_PRINT_ALL_TRIAL_ERRORS", "0")
# No snapshots of the experiment while it runs: a run resumes from its store.
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "1000000000")
# Workers start side by side. By default Tune starts those of a searcher one by one.
os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", "1000000")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# `ray start` uses the user's token if there is one, but `ray.init(address=...)` uses it only in this mode.
if "ray" not in sys.modules and (
    {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys()
    or os.path.isfile(os.path.expanduser("~/.ray/auth_token"))
):
    os.environ.setdefault("RAY_AUTH_MODE", "token")
