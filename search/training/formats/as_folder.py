"""A network as a folder in the layout of Hugging Face, which torch.hub loads too. Nothing is sent anywhere."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from resnet_space.errors import InputError
from search.data.inputs import Inputs
from search.files.atomic import write_text
from search.training.formats.as_python import NAME, as_python
from search.training.formats.taken import Taken

BILINEAR = 2
"""Pillow's number for it, which preprocessor_config.json uses."""


def as_folder(taken: Taken, to: Path) -> list[Path]:
    """Write a folder and return the paths of its files.

    `model.safetensors` and `model.py` are those of `as_python`; `hubconf.py` makes `torch.hub.load(DIR, "model",
    source="local")` work; `config.json` and `preprocessor_config.json` have the names that image classifiers on Hugging
    Face use; `README.md` is the text of `Taken.card`. The folder appears when it is complete.

    Raises:
        InputError: it exists and is not empty or not a folder; or as `as_python`.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise InputError(f"{to}: exists already{' and is not empty' if to.is_dir() else ''}; choose another --to")
    # The folder can come from somebody else, and so can this name in it: mkdir fails then.
    building = to.absolute().with_name(f".{to.absolute().name}.{os.getpid()}")
    building.mkdir()
    try:
        paths = as_python(taken, building / "model.py")
        texts = {
            "hubconf.py": HUBCONF,
            "config.json": _json(_config(taken)),
            **({"preprocessor_config.json": _json(_preprocessor(taken.inputs, taken.raw))} if taken.inputs else {}),
            **({"README.md": taken.card(to.absolute().name, taken.all_facts)} if taken.card else {}),
        }
        for name, text in texts.items():
            write_text(building / name, text)
        building.replace(to)
    except InputError as error:
        raise InputError(str(error).replace(str(building), str(to))) from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return [to / name for name in sorted([*(path.name for path in paths), *texts])]


HUBCONF = '''\
"""For torch.hub: `torch.hub.load(DIR, "model", source="local")` returns the network with its trained weights."""

import importlib.util
from pathlib import Path

dependencies = ["torch"]

_spec = importlib.util.spec_from_file_location("resnet_space_exported_model", Path(__file__).with_name("model.py"))
_model = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_model)


def model(**options):
    """The network, in evaluation mode; options are those of `load` in model.py."""
    return _model.load(**options)
'''


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _config(taken: Taken) -> dict[str, Any]:
    facts = taken.all_facts
    channels, *size = taken.net.input_shape
    names = [str(name) for name in taken.inputs.classes] if taken.inputs else [str(i) for i in range(taken.net.classes)]
    return {
        "model_type": "resnet-space",
        "architectures": [NAME],
        "num_channels": channels,
        "image_size": size,
        "num_labels": taken.net.classes,
        "id2label": {str(at): name for at, name in enumerate(names)},
        "label2id": {name: at for at, name in enumerate(names)},
        "torch_dtype": "float32",
        "output": taken.output,
        "resnet_space": json.loads(facts.pop("architecture")),
        "facts": facts,
    }


def _preprocessor(inputs: Inputs, raw: bool) -> dict[str, Any]:
    """What to do with an image before the network: resize and crop, rescale, normalise, in this order."""
    _, height, width = inputs.shape
    whole = inputs.dtype == "uint8"
    scale = 255 if whole else 1
    fitting = {"size": {"shortest_edge": height}, "crop_size": {"height": height, "width": width}, "resample": BILINEAR}
    return {
        "image_processor_type": "BitImageProcessor",
        "do_convert_rgb": inputs.fitted,
        "do_resize": inputs.fitted,
        "do_center_crop": inputs.fitted,
        **(fitting if inputs.fitted else {}),
        "do_rescale": whole and not raw,
        "rescale_factor": 1 / scale,
        "do_normalize": not raw,
        "image_mean": [value / scale for value in inputs.mean],
        "image_std": [value / scale for value in inputs.std],
    }
