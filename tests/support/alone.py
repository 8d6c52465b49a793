"""Use an exported file in a new process that has torch or onnxruntime, and cannot import this package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

BEGIN = f"""
import json, sys
from importlib.abc import MetaPathFinder

class NotOurs(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("resnet_space", "search", "ablations", "reports", "safetensors"):
            raise ImportError(name)

sys.path[:] = [place for place in sys.path if place not in ("", {str(ROOT)!r})]
sys.meta_path.insert(0, NotOurs())
try:
    import resnet_space
except ImportError:
    pass
else:
    raise SystemExit("resnet_space can be imported")

import numpy
images, labels = numpy.load("images.npy"), numpy.load("labels.npy")

def report(outputs, **more):
    wrong = int((numpy.asarray(outputs).argmax(1) != labels).sum())
    print(json.dumps({{"error": wrong / len(labels), **more}}))
"""

USES = {
    ".py": """
import torch
sys.path.insert(0, ".")
from taken import CLASSES, FACTS, load, preprocess
with torch.no_grad():
    report(load(preprocessing=False)(preprocess(torch.from_numpy(images))), facts=FACTS, classes=CLASSES)
""",
    ".py, raw": """
import torch
sys.path.insert(0, ".")
from taken import CLASSES, FACTS, load
with torch.no_grad():
    report(load(preprocessing=True)(torch.from_numpy(images)), facts=FACTS, classes=CLASSES)
""",
    ".onnx": """
import onnxruntime
session = onnxruntime.InferenceSession("taken.onnx", providers=["CPUExecutionProvider"])
facts = session.get_modelmeta().custom_metadata_map
report(session.run(None, {"images": images})[0], facts=facts, classes=json.loads(facts["classes"]))
""",
    ".pt2": """
import torch
extra = {"facts.json": ""}
network = torch.export.load("taken.pt2", extra_files=extra).module()
facts = json.loads(extra["facts.json"])
mean, std = (torch.tensor(json.loads(facts[f"{name}_uint8"])).view(-1, 1, 1) for name in ("mean", "std"))
with torch.no_grad():
    report(network((torch.from_numpy(images).float() - mean) / std), facts=facts, classes=json.loads(facts["classes"]))
""",
    ".pt2, raw": """
import torch
extra = {"facts.json": ""}
network = torch.export.load("taken.pt2", extra_files=extra).module()
facts = json.loads(extra["facts.json"])
with torch.no_grad():
    report(network(torch.from_numpy(images)), facts=facts, classes=json.loads(facts["classes"]))
""",
    "hub": """
import torch
config = json.loads(open("taken/config.json").read())
network = torch.hub.load("taken", "model", source="local", preprocessing=True)
with torch.no_grad():
    report(network(torch.from_numpy(images)), facts=config["facts"], classes=list(config["id2label"].values()))
""",
    "preprocessor_config.json": """
import torch
config, pre = (json.loads(open(f"taken/{name}.json").read()) for name in ("config", "preprocessor_config"))
assert pre["do_rescale"] and pre["do_normalize"] and not pre["do_resize"]
mean, std = (torch.tensor(pre[name]).view(-1, 1, 1) for name in ("image_mean", "image_std"))
network = torch.hub.load("taken", "model", source="local")
with torch.no_grad():
    outputs = network((torch.from_numpy(images) * pre["rescale_factor"] - mean) / std)
    report(outputs, facts=config["facts"], classes=list(config["id2label"].values()))
""",
}
"""Programs that use an export, named `taken`, by format; each reports the error on raw test images."""


def use(name: str, folder: Path) -> dict[str, Any]:
    """Run a program of `USES` in a folder with the export and the raw test images; return what it reports."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", BEGIN + USES[name]], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
