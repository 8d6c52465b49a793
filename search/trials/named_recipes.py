"""The named recipes, as they would be written in a study. To add one, add a row.

Lengths of warm-ups are parts of the training, and so hold for any length: `{base: resnet50-a3, epochs: 10}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NamedRecipe:
    """A recipe with its origin."""

    fields: Mapping[str, Any]
    source: str
    """The paper or program that it is from."""
    expected: str = ""
    """The error that the source publishes for it."""
    cost: str = ""
    """How long the training is."""
    differs: str = ""
    """What the source does in addition, which is not in the recipe."""


PADDED = {"pad": 4, "flip": True}
CROPPED = {"resized_crop": 0.08, "flip": True}
SMOOTHED = {"kind": "cross_entropy", "smoothing": 0.1}


def _a(
    epochs: int, *, lr: float, decay: float, smoothing: float, mixup: float, magnitude: int, repeats: int
) -> dict[str, Any]:
    """Return a procedure of 2110.00476, table 2."""
    return {
        "epochs": epochs,
        "batch_size": 2048,
        "optimizer": "lamb",
        "lr": lr,
        "weight_decay": decay,
        "decay_norms_and_biases": False,
        # Rates of timm: 1e-4 at the start of the warm-up, 1e-6 at the end.
        "warm_up": {"kind": "linear", "part": 5 / epochs, "start": 1e-4 / lr},
        "schedule": {"kind": "cosine", "floor": 1e-6 / lr},
        "loss": {"kind": "binary_cross_entropy", "smoothing": smoothing, "threshold": 0.0},
        "augmentation": {
            **CROPPED,
            # timm counts magnitudes to 10, torchvision and we to 30.
            "policy": {"kind": "rand_augment", "magnitude": 3 * magnitude},
            "mixup": mixup,
            "cutmix": 1.0,
            "repeats": repeats,
        },
        "autocast": "bf16",
    }


RAND_AUGMENT = "RandAugment has torchvision's ranges"

NAMED: dict[str, NamedRecipe] = {
    "paper-cifar": NamedRecipe(
        {
            "steps": 64_000,
            "schedule": {"kind": "steps", "milestones": (0.5, 0.75), "decay": 0.1},
            "warm_up": {"lr": 0.01, "until_error": 0.8},
            "augmentation": PADDED,
        },
        source="1512.03385, section 4.2; 1603.05027, appendix",
        expected="CIFAR-10: ResNet-20 8.75 %, ResNet-56 6.97 %, ResNet-110 6.61 % (mean of 5)",
        cost="64,000 steps: 182 epochs of 45,000 images",
    ),
    "fast": NamedRecipe(
        {
            "epochs": 20,
            "lr": 0.2,
            "nesterov": True,
            "weight_decay": 5e-4,
            "augmentation": PADDED,
            "autocast": "bf16",
        },
        source="a ninth of the steps of paper-cifar, with one cycle (1708.07120)",
        cost="20 epochs",
    ),
    "airbench": NamedRecipe(
        {
            "epochs": 10,
            "batch_size": 1024,
            # 11.5 per 1024 images and divided by 1 + 1 / (1 - momentum), as the source counts it.
            "lr": 1.5,
            "momentum": 0.85,
            "nesterov": True,
            "weight_decay": 1.33e-3,
            "warm_up": {"kind": "linear", "part": 0.23, "start": 0.2},
            "schedule": {"kind": "linear", "floor": 0.07},
            "loss": {"kind": "cross_entropy", "smoothing": 0.2},
            "augmentation": {"pad": 2, "flip": True, "test_flip": True},
            "autocast": "bf16",
        },
        source="2404.00498, airbench94",
        expected="CIFAR-10: 6 %, with the source's own network; of residual networks nothing is published",
        cost="10 epochs",
        differs="a whitening first layer, Lookahead, alternating flips, a larger rate for the biases of BN",
    ),
    "paper-imagenet": NamedRecipe(
        {
            "epochs": 90,
            "batch_size": 256,
            "schedule": {"kind": "steps", "milestones": (1 / 3, 2 / 3), "decay": 0.1},
            "augmentation": CROPPED,
        },
        source="1603.05027, appendix; torchvision's ResNet50_Weights.IMAGENET1K_V1",
        expected="ImageNet: ResNet-50 23.87 % (torchvision)",
        cost="90 epochs",
    ),
    "torchvision-v2": NamedRecipe(
        {
            "epochs": 600,
            "batch_size": 1024,
            "lr": 0.5,
            "weight_decay": 2e-5,
            "decay_norms_and_biases": False,
            "warm_up": {"kind": "linear", "part": 5 / 600, "start": 0.01},
            "schedule": "cosine",
            "loss": SMOOTHED,
            # 0.99998 per image of a batch, over 32 steps of 1024 images and 600 epochs.
            "averaging": {"kind": "ema", "decay": 1 - 2e-5 * 1024 * 32 / 600, "every": 32},
            "augmentation": {
                **CROPPED,
                "policy": "trivial_augment_wide",
                "erasing": 0.1,
                "mixup": 0.2,
                "cutmix": 1.0,
                "repeats": 4,
            },
        },
        source="torchvision's ResNet50_Weights.IMAGENET1K_V2",
        expected="ImageNet: ResNet-50 19.14 %",
        cost="600 epochs",
        differs="trains at 176 pixels and tests at 224",
    ),
    "resnet50-a1": NamedRecipe(
        _a(600, lr=5e-3, decay=0.01, smoothing=0.1, mixup=0.2, magnitude=7, repeats=3),
        source="2110.00476, procedure A1",
        expected="ImageNet: ResNet-50 19.6 %",
        cost="600 epochs",
        differs=f"stochastic depth 0.05 is a field of the network; {RAND_AUGMENT}",
    ),
    "resnet50-a2": NamedRecipe(
        _a(300, lr=5e-3, decay=0.02, smoothing=0.0, mixup=0.1, magnitude=7, repeats=3),
        source="2110.00476, procedure A2",
        expected="ImageNet: ResNet-50 20.2 %",
        cost="300 epochs",
        differs=f"stochastic depth 0.05 is a field of the network; {RAND_AUGMENT}",
    ),
    "resnet50-a3": NamedRecipe(
        _a(100, lr=8e-3, decay=0.02, smoothing=0.0, mixup=0.1, magnitude=6, repeats=1),
        source="2110.00476, procedure A3",
        expected="ImageNet: ResNet-50 21.9 %",
        cost="100 epochs",
        differs=f"trains at 160 pixels and tests at 224; {RAND_AUGMENT}",
    ),
    "convnext": NamedRecipe(
        {
            "epochs": 300,
            "batch_size": 4096,
            "optimizer": "adamw",
            "lr": 4e-3,
            "weight_decay": 0.05,
            "decay_norms_and_biases": False,
            "warm_up": {"kind": "linear", "part": 20 / 300, "start": 1e-3},
            "schedule": {"kind": "cosine", "floor": 2.5e-4},
            "loss": SMOOTHED,
            "averaging": {"kind": "ema", "decay": 0.9999},
            "augmentation": {
                **CROPPED,
                "policy": {"kind": "rand_augment", "magnitude": 27},
                "erasing": 0.25,
                "mixup": 0.8,
                "cutmix": 1.0,
            },
            "autocast": "bf16",
        },
        source="2201.03545, section 2.1 and appendix A",
        expected="ImageNet: ResNet-50 21.2 %",
        cost="300 epochs",
        differs=f"stochastic depth 0.1 is a field of the network; {RAND_AUGMENT}",
    ),
    # Small images of digits: no crops and no flips, which would change what the images show.
    "digits": NamedRecipe(
        {"epochs": 10, "batch_size": 64}, source="scikit-learn's digits, for studies on a laptop", cost="10 epochs"
    ),
    "smoke": NamedRecipe(
        {"epochs": 1, "batch_size": 64, "schedule": "constant", "lr": 0.05},
        source="only to test that a study runs; not for results",
        cost="1 epoch",
    ),
}
"""By name, in the order in which lists show them."""
