"""An export says how to normalise images, so raw images give the logits of the trained network."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from verbs import Cli

from resnet_space import Architecture, InputError, build, documents
from resnet_space.api.folders import open_folder
from search.data import DataSet, Images, load, normalise
from search.data.inputs import FACT_NAMES, Inputs
from search.running.choice import choose
from search.training.export import FORMATS, export

STUDY: dict[str, Any] = {
    "name": "taken",
    "net": "resnet20",
    "set": {"width": 0.25, "stages.*.units": 1},
    "baseline": "plain",
    "arms": {"plain": {}},
    "data": {"name": "npz", "root": "data.npz"},
    "recipe": {"base": "digits", "epochs": 15, "batch_size": 16},
    "seeds": 1,
}
NET = Architecture.of(
    {"input_shape": [1, 8, 8], "classes": 2, "stem": {"channels": 4}, "stages": [{"units": 1, "channels": 4}]}
)
INPUTS = Inputs((1, 8, 8), "uint8", (51.0,), (25.5,), ("cat", "dog"), "grey")


def arrays(*, floats: bool = False) -> None:
    """`data.npz`: 90 images of three channels, dark, middle and bright, in three classes with labels 5, 7 and 9."""
    random = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = random.normal(60 + 60 * y[:, None, None, None], 20, (90, 3, 8, 8)).clip(0, 255)
    np.savez("data.npz", x=(x / 100).astype(np.float32) if floats else x.astype(np.uint8), y=5 + 2 * y)


def ran(resnet_space: Cli) -> tuple[Tensor, Tensor]:
    """Raw test images of a run in `r`, and its trained network's logits for them, as it measures its test error."""
    Path("d.yaml").write_text(documents.write(STUDY))
    assert resnet_space("run", "d.yaml", "--inline", "--out", "r").status == 0
    images: Images = load(DataSet(name="npz", root="data.npz"))
    (weights,) = Path("r/checkpoints").glob("*/weights.safetensors")
    with open_folder(Path("r")) as stored:
        choice = choose(stored, "plain")
    model: nn.Module = build(choice.net)
    model.load_state_dict(load_file(weights))
    with torch.no_grad():
        logits = model.eval()(normalise(images.test.x, images.mean, images.std))
    wrong = (logits.argmax(1) != images.test.y).float().mean().item()
    assert wrong == pytest.approx(choice.facts["test_error"]), "as the run itself measured it"
    assert len(set(logits.argmax(1).tolist())) > 1, "or any input would do"
    return images.test.x, logits


def scaled(raw: Tensor, facts: dict[str, str], of: str) -> Tensor:
    """Normalise images as the names of the facts alone suggest."""
    x = raw.numpy().astype(np.float64) / (255 if of == "div255" else 1)
    mean, std = (np.array(json.loads(facts[f"{moment}_{of}"]))[:, None, None] for moment in ("mean", "std"))
    return torch.from_numpy(((x - mean) / std).astype(np.float32))


@pytest.mark.slow
@pytest.mark.parametrize("of", ["uint8", "div255", "float32"])
def test_onnx_and_safetensors_give_the_trained_networks_logits_for_raw_images(of: str, resnet_space: Cli) -> None:
    import onnx
    import onnxruntime

    arrays(floats=of == "float32")
    raw, logits = ran(resnet_space)
    for name in ("net.onnx", "net.safetensors"):
        taken = resnet_space("export", "r", "--arm", "plain", "--without-preprocessing", "--to", name)
        assert (taken.status, taken.err) == (0, "")

    facts = {entry.key: entry.value for entry in onnx.load("net.onnx").metadata_props}
    session = onnxruntime.InferenceSession("net.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], {"images": scaled(raw, facts, of).numpy()})
    torch.testing.assert_close(torch.from_numpy(found), logits, rtol=1e-4, atol=1e-4)
    assert json.loads(facts["classes"]) == ["5", "7", "9"]

    with safe_open("net.safetensors", framework="pt") as file:
        facts = file.metadata()
    model = build(Architecture.from_yaml(Path("net.yaml")))
    model.load_state_dict(load_file("net.safetensors"))
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(scaled(raw, facts, of)), logits, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("floats", [False, True], ids=["uint8", "float32"])
def test_python_gives_the_trained_networks_logits_for_raw_images(floats: bool, resnet_space: Cli) -> None:
    arrays(floats=floats)
    raw, logits = ran(resnet_space)
    assert resnet_space("export", "r", "--arm", "plain", "--to", "net.py").status == 0
    taken = runpy.run_path("net.py")
    with torch.no_grad():
        torch.testing.assert_close(taken["load"]()(taken["preprocess"](raw)), logits, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(taken["load"](preprocessing=True)(raw), logits, rtol=1e-4, atol=1e-4)
    assert taken["CLASSES"] == ("5", "7", "9")
    assert len(taken["MEAN"]) == len(taken["STD"]) == 3


def test_a_run_of_an_earlier_version_is_exported_and_unknown_facts_are_reported(resnet_space: Cli) -> None:
    arrays()
    ran(resnet_space)
    manifest = json.loads(Path("r/manifest.json").read_text())
    del manifest["sessions"][0]["data"]
    Path("r/manifest.json").write_text(json.dumps(manifest))
    taken = resnet_space("export", "r", "--arm", "plain", "--to", "net.py")
    assert taken.status == 0
    assert (
        "the mean and standard deviation that normalise the images, and the names of the classes, are not known: "
        in taken.err
    )
    assert "preprocess" not in runpy.run_path("net.py")
    assert resnet_space("run", "d.yaml", "--inline", "--out", "r").status == 0
    Path("net.py").unlink()
    assert resnet_space("export", "r", "--arm", "plain", "--to", "again.py").err == "", "the same run again stores them"
    assert "preprocess" in runpy.run_path("again.py")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            {"shape": [1, 8, 8]},
            r"images \(1, 8, 8\) in 3 classes, .* do not match network \w+, which takes \(3, 8, 8\) in 3",
        ),
        ({"classes": ["cat"]}, r"in 1 classes"),
        ({"mean": [1.0]}, r"with 1 means and 3 deviations"),
        ({"std": [1.0, 0.0, 1.0]}, r"manifest.json: not a manifest: sessions.0.data.std.1"),
        ({"dtype": "int4"}, r"manifest.json: not a manifest: sessions.0.data.dtype"),
    ],
)
def test_a_manifest_whose_data_are_not_the_networks_is_refused(
    facts: dict[str, Any], message: str, resnet_space: Cli
) -> None:
    arrays()
    ran(resnet_space)
    manifest = json.loads(Path("r/manifest.json").read_text())
    manifest["sessions"][0]["data"] |= facts
    Path("r/manifest.json").write_text(json.dumps(manifest))
    taken = resnet_space("export", "r", "--arm", "plain", "--to", "net.py")
    assert taken.status == 2
    assert re.search(message, taken.err)
    assert not Path("net.py").exists()


def test_the_names_of_facts_say_which_pixels_a_mean_is_of() -> None:
    assert INPUTS.facts() == {
        "input": "float32 (N, 1, 8, 8): (pixels - mean) / std, channel by channel",
        "image": "grey; uint8, 0 to 255",
        "mean_uint8": "[51.0]",
        "std_uint8": "[25.5]",
        "mean_div255": "[0.2]",
        "std_div255": "[0.1]",
        "classes": '["cat", "dog"]',
    }
    assert set(INPUTS.facts()) <= set(FACT_NAMES)
    floats = replace(INPUTS, dtype="float32").facts()
    assert set(floats) == {"input", "image", "mean_float32", "std_float32", "classes"}
    assert floats["image"] == "grey; float32, in the units of the data"


def test_for_picture_folders_the_facts_say_how_a_picture_becomes_an_image(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "train" / label).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (9, 12), (number, 0, 0)).save(tmp_path / "train" / label / f"{number}.png")
    data = DataSet.of({"name": "imagefolder", "root": str(tmp_path), "size": 8})
    found = Inputs.of(load(data).facts, data, NET.replace(input_shape=(3, 8, 8)))
    assert found.image == (
        "RGB, upright by EXIF, transparent parts on white, the shorter side scaled to 8 pixels (Pillow, bilinear), "
        "the middle 8x8 cut out"
    )
    assert found.classes == ("cat", "dog")


def untrained(folder: Path) -> Path:
    from search.training import checkpoint

    checkpoint.save_weights(folder, build(NET))
    return folder / checkpoint.WEIGHTS


@pytest.fixture
def take(tmp_path: Path) -> Callable[..., list[Path]]:
    weights = untrained(tmp_path / "trial")
    return lambda name, inputs=INPUTS: export(NET, tmp_path / name, weights=weights, inputs=inputs)


@pytest.mark.parametrize("suffix", FORMATS)
def test_names_of_classes_are_never_code_and_are_read_back_unchanged(suffix: str, tmp_path: Path) -> None:
    names = ('"""\nraise SystemExit(7)', "größer \u202e\ud800")
    out = tmp_path / f"net{suffix}"
    export(NET, out, weights=untrained(tmp_path / "trial"), inputs=replace(INPUTS, classes=names))
    if suffix == ".py":
        assert runpy.run_path(str(out))["CLASSES"] == names
        return
    if suffix == ".onnx":
        import onnx

        facts = {entry.key: entry.value for entry in onnx.load(out).metadata_props}
    elif suffix == ".pt2":
        extra = {"facts.json": ""}
        torch.export.load(out, extra_files=extra)
        facts = json.loads(extra["facts.json"])
    else:
        assert Architecture.from_yaml(tmp_path / "net.yaml") == NET
        with safe_open(out, framework="pt") as file:
            facts = file.metadata()
    assert tuple(json.loads(facts["classes"])) == names


def test_the_description_next_to_weights_has_the_facts_too_and_can_be_read(take: Any, tmp_path: Path) -> None:
    take("net.safetensors")
    text = (tmp_path / "net.yaml").read_text()
    assert text.startswith("# input: float32 (N, 1, 8, 8): (pixels - mean) / std, channel by channel\n# image: grey; ")
    assert "\n# mean_uint8: [51.0]\n" in text
    assert Architecture.from_yaml(tmp_path / "net.yaml") == NET


def test_a_description_with_other_facts_about_images_is_not_left_next_to_weights(take: Any, tmp_path: Path) -> None:
    take("net.safetensors")
    take("net.safetensors")
    with pytest.raises(InputError, match=r"net\.yaml: exists already with other contents"):
        take("net.safetensors", replace(INPUTS, mean=(3.0,)))
    (tmp_path / "net.yaml").write_text(f"# my own\n{NET.to_yaml()}")
    take("net.safetensors")
    assert (tmp_path / "net.yaml").read_text().startswith("# my own\n"), "it says nothing of images"


def test_pixels_that_are_scaled_already_are_refused(take: Any, tmp_path: Path) -> None:
    take("net.py")
    normalised = runpy.run_path(str(tmp_path / "net.py"))["preprocess"]
    assert normalised(torch.full((1, 1, 8, 8), 102, dtype=torch.uint8)).unique().tolist() == [2.0]
    with pytest.raises(TypeError, match=r"pixels must be uint8, 0 to 255, not torch\.float32"):
        normalised(torch.zeros(1, 1, 8, 8))
