"""CIFAR's files are pickles: they are read, and no code in them runs."""

from __future__ import annotations

import hashlib
import os
import pickle
import struct
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from resnet_space.errors import InputError
from search.data import DataSet, load
from search.data.cifar import Archive, find, read_batch
from search.data.loading import assemble

torch.set_num_threads(1)

CIFAR10 = DataSet(name="cifar10")


def python2_pickle(x: np.ndarray, labels: list[int]) -> bytes:
    """{"data": x, "labels": labels} as Python 2 and numpy 1 wrote CIFAR's batches, opcode by opcode."""
    kind = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"".join(b"M" + struct.pack("<H", side) for side in x.shape) + b"\x86"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    array += b"(K\x01" + shape + kind + b"\x89T" + struct.pack("<i", x.size) + x.tobytes() + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(U\x04data" + array + b"U\x06labels" + numbers + b"u."


def planted(marker: Path) -> bytes:
    """A batch that creates a file if it is unpickled with the pickle module."""

    class Plant:
        def __reduce__(self) -> object:
            return os.mkdir, (str(marker),)

    return pickle.dumps({b"data": Plant(), b"labels": [0]}, protocol=4)


def archived(root: Path, files: dict[str, bytes], *, folder: str = "cifar-small") -> Archive:
    """Write these files to `root`/cifar-small; return the facts that torchvision would have of them."""
    (root / folder).mkdir(parents=True)
    rows = []
    for name, content in files.items():
        (root / folder / name).write_bytes(content)
        rows.append((name, hashlib.md5(content).hexdigest()))
    return Archive(folder, "file:///nowhere", "small.tar.gz", "", tuple(rows[:-1]), (rows[-1],), b"labels", 2)


@pytest.fixture
def batch() -> tuple[np.ndarray, list[int]]:
    return np.random.RandomState(0).randint(0, 256, (20, 3072)).astype(np.uint8), [0, 1] * 10


def test_batches_become_images_channel_by_channel(tmp_path: Path, batch: tuple[np.ndarray, list[int]]) -> None:
    content = python2_pickle(*batch)
    archive = archived(tmp_path, {"data_batch_1": content, "data_batch_2": content, "test_batch": content})
    images = assemble(CIFAR10, find(CIFAR10, archive, tmp_path, False).read())
    assert [len(split) for split in (images.train, images.validation, images.test)] == [36, 4, 20]
    assert np.array_equal(images.test.x.numpy(), batch[0].reshape(20, 3, 32, 32))
    assert images.test.y.tolist() == batch[1]


def test_the_pickle_module_reads_the_same_arrays(tmp_path: Path, batch: tuple[np.ndarray, list[int]]) -> None:
    path = tmp_path / "batch"
    path.write_bytes(python2_pickle(*batch))
    x, y = read_batch(path, b"labels")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy dislikes its own old way of writing dtypes
        expected = pickle.loads(path.read_bytes(), encoding="bytes")
    assert np.array_equal(x.reshape(20, 3072), expected[b"data"])
    assert y.tolist() == expected[b"labels"]


def test_batches_written_by_python_3_are_read_too(tmp_path: Path, batch: tuple[np.ndarray, list[int]]) -> None:
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({b"data": batch[0], b"labels": batch[1]}, protocol=4))
    x, _ = read_batch(path, b"labels")
    assert np.array_equal(x.reshape(20, 3072), batch[0])


def test_a_malicious_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    path = tmp_path / "data_batch_1"
    path.write_bytes(planted(marker))
    with pytest.raises(InputError, match=r"data_batch_1: damaged: asks for \w+.mkdir.*nothing was run"):
        read_batch(path, b"labels")
    assert not marker.exists()
    pickle.loads(path.read_bytes())
    assert marker.exists(), "the pickle module does run its code"


def test_a_file_with_a_wrong_checksum_is_named_and_not_opened(
    tmp_path: Path, batch: tuple[np.ndarray, list[int]]
) -> None:
    marker = tmp_path / "was-run"
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    archived(tmp_path, dict.fromkeys(names, planted(marker)), folder="cifar-10-batches-py")
    with pytest.raises(InputError, match=r"data_batch_1: damaged: its MD5 .*delete it and get it with --download"):
        load(CIFAR10, root=tmp_path)
    assert not marker.exists()


def test_the_folder_itself_can_be_the_root(tmp_path: Path, batch: tuple[np.ndarray, list[int]]) -> None:
    archive = archived(tmp_path, {"a": python2_pickle(*batch), "b": python2_pickle(*batch)})
    assert find(CIFAR10, archive, tmp_path / "cifar-small", False).files == (
        tmp_path / "cifar-small" / "a",
        tmp_path / "cifar-small" / "b",
    )


def test_an_archive_in_the_root_is_unpacked_without_a_network(
    tmp_path: Path, batch: tuple[np.ndarray, list[int]]
) -> None:
    archive = archived(tmp_path / "made", {"a": python2_pickle(*batch), "b": python2_pickle(*batch)})
    root = tmp_path / "root"
    root.mkdir()
    with tarfile.open(root / archive.filename, "w:gz") as tar:
        tar.add(tmp_path / "made" / archive.folder, archive.folder)
    md5 = hashlib.md5((root / archive.filename).read_bytes()).hexdigest()
    packed = Archive(**{**vars(archive), "md5": md5})
    assert len(find(CIFAR10, packed, root, False).read().train.y) == 20


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"half of it")
    with pytest.raises(InputError, match=r"cifar-10-python.tar.gz: damaged: .*--download"):
        load(CIFAR10, root=tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle",
        pickle.dumps([1, 2]),
        pickle.dumps({b"labels": [0]}),
        pickle.dumps({b"data": [1], b"labels": [0]}),
        pickle.dumps({b"data": np.zeros((1, 3072), np.float64), b"labels": [0]}, protocol=4),
        pickle.dumps({b"data": np.zeros((1, 3071), np.uint8), b"labels": [0]}, protocol=4),
        pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": [0, 1]}, protocol=4),
        pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": ["cat"]}, protocol=4),
    ],
)
def test_a_file_that_is_not_a_batch_is_damaged(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "data_batch_1"
    path.write_bytes(content)
    with pytest.raises(InputError, match="data_batch_1: damaged: "):
        read_batch(path, b"labels")
