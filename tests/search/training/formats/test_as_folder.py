"""A folder has the layout of Hugging Face: weights, configurations, a model card, and code that needs only torch."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from resnet_space import Architecture, InputError
from resnet_space.testing.networks import stirred
from search.data.inputs import Inputs
from search.data.pictures import read_picture
from search.training.export import export

NET = Architecture.of(
    {"input_shape": [3, 8, 8], "classes": 2, "stem": {"channels": 4}, "stages": [{"units": 1, "channels": 4}]}
)
INPUTS = Inputs((3, 8, 8), "uint8", (51.0, 0.0, 102.0), (25.5, 51.0, 51.0), ("cat", "d*g"), "pictures", fitted=True)
FILES = ["README.md", "config.json", "hubconf.py", "model.py", "model.safetensors", "preprocessor_config.json"]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save_file(stirred(NET).state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


@pytest.fixture
def out(tmp_path: Path, weights: Path) -> Path:
    facts: dict[str, str | float] = {"data": "imagefolder", "test_error": 0.25, "arm": "pl*in"}
    paths = export(
        NET, tmp_path / "out", weights=weights, inputs=INPUTS, facts=facts, card=lambda *given: json.dumps(given)
    )
    assert paths == [tmp_path / "out" / name for name in FILES]
    return tmp_path / "out"


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_the_folder_has_these_files_and_no_others(out: Path) -> None:
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert [path.name for path in out.parent.iterdir() if path.name.startswith(".")] == []


def test_the_configuration_has_the_classes_and_the_architecture(out: Path) -> None:
    config = read(out / "config.json")
    assert config["id2label"] == {"0": "cat", "1": "d*g"}
    assert (config["num_labels"], config["num_channels"], config["image_size"]) == (2, 3, [8, 8])
    assert Architecture.of(config["resnet_space"]) == NET
    assert config["facts"]["test_error"] == "0.25"


def test_the_preprocessing_is_in_the_units_of_the_usual_image_processors(out: Path) -> None:
    found = read(out / "preprocessor_config.json")
    assert found["image_mean"] == pytest.approx([0.2, 0, 0.4])
    assert found["image_std"] == pytest.approx([0.1, 0.2, 0.2])
    assert found["rescale_factor"] == 1 / 255
    assert (found["do_resize"], found["do_center_crop"], found["do_rescale"], found["do_normalize"]) == (True,) * 4
    assert (found["size"], found["crop_size"]) == ({"shortest_edge": 8}, {"height": 8, "width": 8})


def test_of_a_network_that_normalises_the_preprocessing_says_so(weights: Path, tmp_path: Path) -> None:
    export(NET, tmp_path / "raw", weights=weights, inputs=INPUTS, preprocessing=True)
    found = read(tmp_path / "raw" / "preprocessor_config.json")
    assert (found["do_rescale"], found["do_normalize"], found["do_resize"]) == (False, False, True)
    assert runpy.run_path(str(tmp_path / "raw" / "model.py"))["load"]()(
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    ).shape == (1, 2)


def test_the_card_gets_the_folders_name_and_the_facts(out: Path) -> None:
    name, facts = read(out / "README.md")
    assert name == "out"
    assert (facts["arm"], facts["key"]) == ("pl*in", NET.key)


def test_the_network_of_the_folder_is_the_trained_one(out: Path) -> None:
    model, x = stirred(NET).eval(), torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        found = torch.hub.load(str(out), "model", source="local")(x)
        torch.testing.assert_close(found, model(x))


def test_a_picture_is_read_as_the_training_pictures_were(out: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    picture = Image.fromarray(random.integers(0, 256, (13, 20, 4), np.uint8), "RGBA")
    picture.save(tmp_path / "picture.png")
    found = runpy.run_path(str(out / "model.py"))["read_picture"](tmp_path / "picture.png")
    assert found.shape == (1, 3, 8, 8)
    assert np.array_equal(found[0].numpy(), read_picture(tmp_path / "picture.png", 8))
    Image.fromarray(random.integers(0, 60000, (9, 9)).astype(np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match=r"deep\.png: more than 8 bits per channel"):
        runpy.run_path(str(out / "model.py"))["read_picture"](tmp_path / "deep.png")


def test_a_folder_that_is_not_empty_and_a_file_are_refused(out: Path, weights: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(InputError, match=r"/out: exists already and is not empty; choose another --to$"):
        export(NET, out, weights=weights, inputs=INPUTS)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"/file: exists already; choose another --to$"):
        export(NET, tmp_path / "file", weights=weights)
    (tmp_path / "empty").mkdir()
    export(NET, tmp_path / "empty", weights=weights)
    assert (tmp_path / "empty" / "config.json").is_file()


def test_without_knowledge_of_the_images_there_is_no_preprocessing(weights: Path, tmp_path: Path) -> None:
    export(NET, f"{tmp_path}/net-v1.2/", weights=weights)
    found = sorted(path.name for path in (tmp_path / "net-v1.2").iterdir())
    assert found == ["config.json", "hubconf.py", "model.py", "model.safetensors"]
    with pytest.raises(InputError, match=r"--with-preprocessing: the mean and standard deviation .* are not known"):
        export(NET, tmp_path / "b", weights=weights, preprocessing=True)


def test_an_error_names_the_folder_and_leaves_nothing(weights: Path, tmp_path: Path) -> None:
    tensors = stirred(NET.replace(classes=3)).state_dict()
    save_file(tensors, weights)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(InputError, match=r"weights\.safetensors: not the weights of network"):
        export(NET, tmp_path / "out", weights=weights, inputs=replace(INPUTS, classes=("a", "b")))
    assert sorted(path.name for path in tmp_path.iterdir()) == before
