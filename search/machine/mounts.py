"""Which file system a path is on, and whether several machines share it."""

from __future__ import annotations

import re
from pathlib import Path

# fmt: off
NETWORK_TYPES = frozenset((
    "afs", "beegfs", "ceph", "cifs", "davfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs3", "nfs4",
    "ocfs2", "orangefs", "panfs", "pvfs2", "smb3", "smbfs", "wekafs",
))
"""Types of file systems that several machines write to."""
FUSE_NETWORK_TYPES = frozenset((
    "beegfs", "blobfuse", "blobfuse2", "ceph", "ceph-fuse", "davfs2", "gcsfuse", "geesefs", "glusterfs", "goofys",
    "juicefs", "mount-s3", "mountpoint-s3", "quobyte", "rclone", "s3fs", "seaweedfs", "smbnetfs", "sshfs",
))
"""Likewise, for types `fuse.TYPE`."""
# fmt: on


def mounts() -> str:
    """Return Linux's mount table; empty on other systems."""
    try:
        return Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def network_mount(path: Path, table: str) -> tuple[str, str] | None:
    """Return the mount point and type of the network file system that a path is on; None for a local one.

    Args:
        table: lines as in /proc/mounts: device, folder, type, and more; a backslash and three octal digits encode a
            character.
    """
    whole = path.resolve()
    found: tuple[int, str, str] | None = None
    for line in table.splitlines():
        device, folder, kind, *_ = [*line.split(" "), "", "", ""]
        folder = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), folder)
        # Of two mounts on one folder, the later one is visible.
        if device and folder and whole.is_relative_to(folder) and (found is None or len(folder) >= found[0]):
            found = len(folder), folder, kind
    if found is None or not (found[2] in NETWORK_TYPES or found[2].removeprefix("fuse.") in FUSE_NETWORK_TYPES):
        return None
    return found[1], found[2]
