"""Changes to a small network that cover the complete catalogue."""

from __future__ import annotations

from typing import Any

from resnet_space.activations import ACTIVATIONS
from resnet_space.orders import ORDERS
from resnet_space.shortcuts import SHORTCUTS

TOGETHER = [name for name, kind in SHORTCUTS.items() if kind.fusing != "none" and not kind().drop]
"""Shortcuts that declare they can be fused and that draw no random numbers."""

FUSABLE: dict[str, dict[str, Any]] = {
    **{f"shortcut {kind}": {"unit.shortcut": {"kind": kind}} for kind in TOGETHER},
    **{f"order {order}": {"unit.order": order} for order in ORDERS if order != "original"},
    "transition B": {"transition": "B"},
    "transition A in full pre-activation": {"transition": "A", "unit.order": "full_preactivation"},
    "bottleneck": {"width": 2, "unit.branch": {"kind": "bottleneck", "stride_on": "1x1"}},
    "cardinality": {"width": 2, "unit.branch": {"kind": "bottleneck", "width": 4, "cardinality": 2}},
    "a single layer": {"unit.branch": "single"},
    "without normalisation": {"unit.normalisation": "none"},
    "3x3 gate": {"unit.shortcut": {"kind": "exclusive_gate", "gate_kernel": 3}},
    "max pool": {"stem.max_pool": True},
    "squeeze and excitation": {"unit.branch": {"kind": "basic", "squeeze": 4}},
    "paths": {"width": 2, "unit.branch": {"kind": "inception"}},
    "dense with compression": {"unit.shortcut": {"kind": "concatenation", "compression": 0.5}},
    "wide digits": {"width": 2},
    **{f"activation {name}": {"unit.activation": name} for name in ACTIVATIONS if name != "relu"},
    "group normalisation": {"unit.normalisation": {"kind": "group", "groups": 2}},
    "layer normalisation": {"unit.normalisation": "layer"},
    "instance normalisation": {"unit.normalisation": "instance"},
    "standardised weights": {"unit.weight_standardisation": True, "unit.branch": {"kind": "bottleneck", "width": 4}},
    "one activation": {"unit.branch": {"kind": "basic", "activation_at": [2]}},
    "5x5": {"stages.0.unit": {"branch": {"kind": "basic", "kernel": 5}}},
    "dilation": {"stages.0.unit": {"branch": {"kind": "basic", "dilation": 2}}},
    "inverted bottleneck": {
        "unit.branch": {"kind": "inverted_bottleneck", "expansion": 2},
        "unit.order": "linear_bottleneck",
        "transition": "none",
    },
    "ConvNeXt": {
        "unit.branch": {"kind": "convnext", "kernel": 3},
        "unit.shortcut": "layer_scale",
        "unit.normalisation": "layer",
        "unit.activation": "gelu",
        "unit.order": "linear_bottleneck",
        "transition": "separate",
        "stem": {"kind": "patchify", "patch": 2, "channels": 4},
        "head": "normalised",
    },
    "groups of two": {"unit.branch": {"kind": "x_block", "group_width": 2}},
    "excitation inside": {
        "unit.branch": {
            "kind": "basic",
            "attention": {"kind": "squeeze_excitation", "reduction": 2, "place": "middle", "activation": "silu"},
        }
    },
    "ECA": {"unit.branch": {"kind": "basic", "attention": "eca"}},
    "CBAM": {"unit.branch": {"kind": "basic", "attention": {"kind": "cbam", "reduction": 2, "kernel": 3}}},
    "transition D": {"transition": "D"},
    "blur pooling": {"transition": "B", "unit.blur": True, "stem.max_pool": True, "stem.blur": True},
    "deep stem": {"stem": {"kind": "deep", "channels": 4}},
    "space to depth": {"stem": {"kind": "space_to_depth", "block": 2, "channels": 4}},
    "another convolution at the end": {"head": {"kind": "convolution", "channels": 6}},
}
"""Changes for `Architecture.assign`, by name, that give networks that can be fused. Transition C is like conv1x1."""

MIXED: dict[str, list[dict[str, Any]]] = {
    "without gates": [
        {"unit.shortcut": kind} for kind in ("identity", "none", "constant_scaling", "rezero", "conv1x1", "dropout")
    ],
    "gates": [{"unit.shortcut": kind} for kind in ("exclusive_gate", "shortcut_only_gate")],
    "gates and others": [{"unit.shortcut": kind} for kind in ("identity", "exclusive_gate", "conv1x1")],
    "full pre-activation, transition B": [
        {"unit.shortcut": kind, "unit.order": "full_preactivation", "transition": "B"}
        for kind in ("identity", "conv1x1", "constant_scaling", "dropout")
    ],
}
"""Changes of networks that differ in nothing but their shortcuts, by name."""
