"""SQLite is refused on file systems that several machines share, with the alternatives."""

from __future__ import annotations

from pathlib import Path

import pytest

from resnet_space.errors import InputError
from search.machine.mounts import mounts, network_mount
from search.store import database
from search.store.store import Store

TABLE = r"""
/dev/vda1 / ext4 rw,relatime 0 0
tmpfs /tmp tmpfs rw 0 0
filer:/export /mnt/lab nfs4 rw,vers=4.2 0 0
//winds/share /mnt/with\040a\040space cifs rw 0 0
/dev/vdb /mnt/lab/scratch xfs rw 0 0
me@far:/home /mnt/far fuse.sshfs rw 0 0
mds@tcp:/work /lustre lustre rw 0 0
beegfs_nodev /mnt/bee beegfs rw 0 0
squashfuse /mnt/image fuse.squashfuse ro 0 0
filer:/old /mnt/twice nfs rw 0 0
/dev/vdc /mnt/twice ext4 rw 0 0
nonsense
"""


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/mnt/lab/runs/shortcuts/trials.db", ("/mnt/lab", "nfs4")),
        ("/mnt/lab", ("/mnt/lab", "nfs4")),
        ("/mnt/with a space/trials.db", ("/mnt/with a space", "cifs")),
        ("/mnt/far/x", ("/mnt/far", "fuse.sshfs")),
        ("/lustre/x", ("/lustre", "lustre")),
        ("/mnt/bee/x", ("/mnt/bee", "beegfs")),
        ("/mnt/lab/scratch/x", None),
        ("/mnt/laboratory/x", None),
        ("/mnt/image/x", None),
        ("/mnt/twice/x", None),
        ("/srv/x", None),
    ],
)
def test_a_path_is_on_the_file_system_mounted_nearest_to_it(path: str, found: tuple[str, str] | None) -> None:
    assert network_mount(Path(path), TABLE) == found


@pytest.mark.parametrize("table", ["", "\n", "nonsense\n"])
def test_without_a_mount_table_nothing_is_refused(table: str) -> None:
    assert network_mount(Path("/mnt/lab"), table) is None


def test_this_machines_mount_table_is_read_and_has_its_root() -> None:
    assert " / " in mounts()


def test_a_store_on_a_network_file_system_is_refused_with_the_alternative_and_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store.at(tmp_path).close()
    (tmp_path / "new").mkdir()
    monkeypatch.setattr(database, "mounts", lambda: f"{TABLE}filer:/x {tmp_path} nfs rw 0 0\n")
    for folder in (tmp_path, tmp_path / "new"):
        with pytest.raises(InputError) as caught:
            Store.at(folder)
        assert str(caught.value) == (
            f"storage 'sqlite:///{folder}/trials.db': {tmp_path} is a network file system (nfs), on which SQLite can "
            "lose data; choose --storage postgresql+psycopg://USER@HOST/DATABASE, or an --out on a disk "
            "of this machine"
        )
    assert list((tmp_path / "new").iterdir()) == []
    Store.at(tmp_path, new=False).close()
