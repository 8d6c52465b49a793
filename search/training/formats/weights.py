"""Read a trial's weights into its network."""

from __future__ import annotations

from torch import nn, random

from resnet_space import Architecture, InputError, build
from search.files.bucket import Place


def load_trained(net: Architecture, weights: Place) -> nn.Module:
    """Return the network with these weights, in evaluation mode, in float32. Torch's random generator does not change.

    It is the plain network, whatever trained it: without workarounds for a machine's wrong kernels, without fused
    layers, and not in bfloat16.

    Raises:
        InputError: the file cannot be read, or is another network's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        # Not `load_file`: it reports a file without read permission as missing.
        tensors = load(weights.read_bytes())
    except (SafetensorError, OSError) as error:
        raise InputError(f"{weights}: {error.strerror if isinstance(error, OSError) else error}") from None
    with random.fork_rng(devices=[]):
        model = build(net)
    has, needs = ({name: tuple(t.shape) for name, t in state.items()} for state in (tensors, model.state_dict()))
    wrong = [name for name in needs | has if has.get(name) != needs.get(name)]
    if wrong:
        raise InputError(
            f"{weights}: not the weights of network {net.key}; {len(wrong)} tensors are missing, superfluous or of "
            f"another shape, such as {wrong[0]!r}: {has.get(wrong[0])} in the file, {needs.get(wrong[0])} in the net"
        )
    model.load_state_dict(tensors)
    return model.eval().requires_grad_(False)
