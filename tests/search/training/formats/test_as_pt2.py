"""A graph of torch.export computes the same for any batch size, has the facts, and nothing of this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from taking import NET, Take, expected, files, images

import resnet_space
from resnet_space import InputError


def test_the_graph_computes_the_same_for_any_batch_and_has_the_facts(weights: Path, take: Take, out: Path) -> None:
    assert take("net.pt2", error=0.5) == [out / "net.pt2"]
    extra = {"facts.json": ""}
    network = torch.export.load(out / "net.pt2", extra_files=extra).module()
    for batch in (1, 5):
        torch.testing.assert_close(network(images(NET)[:batch]), expected(NET, weights)[:batch])
    facts = json.loads(extra["facts.json"])
    assert (facts["key"], facts["error"]) == (NET.key, "0.5")


def test_the_file_has_no_paths_of_this_machine(take: Take, out: Path) -> None:
    take("net.pt2")
    content = (out / "net.pt2").read_bytes()
    for place in (Path(resnet_space.__file__).parent, Path(torch.__file__).parent, out):
        assert str(place).encode() not in content


def test_a_network_whose_outputs_are_not_finite_is_not_written(weights: Path, take: Take, out: Path) -> None:
    tensors = load_file(weights)
    tensors["head.2.bias"][0] = torch.nan
    save_file(tensors, out.parent / "broken")
    with pytest.raises(InputError, match=r"net\.pt2: not written, since the graph's logits differ .* by nan"):
        take("net.pt2", weights=out.parent / "broken")
    assert files(out) == {}
