"""What an export contains, whatever its format: trained networks, facts, and what the images must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from resnet_space import Architecture
from search.data.inputs import Inputs
from search.files.bucket import Place
from search.training.formats.weights import load_trained

Facts = dict[str, str]

Card = Callable[[str, Facts], str]
"""From the folder's name and all facts to the text of a model card, in Markdown."""

TOLERANCE = 1e-4
"""The allowed difference between the outputs of a file and of torch: max |a - b| / max(1, max |b|)."""

BATCHES = (1, 3)
"""The batch sizes of that comparison. Networks are traced with another one."""

TRACED_BATCH = 2


@dataclass(frozen=True)
class Taken:
    """A network to be written to a file: one trained network, or an ensemble of networks of one architecture.

    Attributes:
        weights: the weights of each member; more than one are an ensemble.
        facts: errors, costs and sources, as texts by name.
        inputs: what the images must be; None if an earlier version did not store it.
        raw: whether the network takes raw pixels and normalises them itself.
        library: the library whose names the weights get, such as timm; None for the names of `build(net)`.
        card: returns the text of a folder's model card.
    """

    net: Architecture
    weights: tuple[Place, ...]
    facts: Mapping[str, str]
    inputs: Inputs | None = None
    raw: bool = False
    library: str | None = None
    card: Card | None = None

    @cached_property
    def network(self) -> nn.Module:
        """The network or ensemble, for normalised images, in evaluation mode.

        Raises:
            InputError: as `load_trained`.
        """
        members = [load_trained(self.net, weights) for weights in self.weights]
        return members[0] if len(members) == 1 else Ensemble(members).eval()

    @cached_property
    def module(self) -> nn.Module:
        """The network, for images as `example` draws them."""
        return Preprocessed(self.network, self.inputs).eval() if self.raw and self.inputs else self.network

    @property
    def output(self) -> str:
        """What the network returns, (N, classes)."""
        return "probabilities" if len(self.weights) > 1 else "logits"

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.module.state_dict().values())

    @property
    def all_facts(self) -> Facts:
        """All facts as texts: the network's key and architecture, `facts`, and what the images must be."""
        own = {"key": self.net.key, "output": f"{self.output} (N, {self.net.classes})"}
        images = self.inputs.facts(raw=self.raw) if self.inputs else {}
        every = own | dict(self.facts) | own | images | {"architecture": self.net.to_json()}
        return {as_text(name): as_text(value) for name, value in every.items()}

    def example(self, batch: int, seed: int = 0) -> Tensor:
        """Return random images (batch, C, H, W) of the type that `module` takes."""
        shape, generator = (batch, *self.net.input_shape), torch.Generator().manual_seed(seed)
        if self.raw and self.inputs and self.inputs.dtype == "uint8":
            return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        return torch.randn(shape, generator=generator)

    @torch.no_grad()
    def difference(self, found: Callable[[Tensor], Tensor]) -> float:
        """Return max |a - b| / max(1, max |b|), with a the outputs of `found` and b those of `module`.

        NaN if one of them is not finite.
        """
        off = torch.zeros((), dtype=torch.float64)
        for batch in BATCHES:
            images = self.example(batch)
            a, b = found(images).double(), self.module(images).double()
            off = torch.maximum(off, (a - b).abs().max() / b.abs().max().clamp(min=1))
        return float(off)


class Preprocessed(nn.Module):
    """network((x - mean) / std), for images x (N, C, H, W) as they are stored; mean and std per channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, inputs: Inputs) -> None:
        super().__init__()
        self.network = network
        for name, values in (("mean", inputs.mean), ("std", inputs.std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = self.network((images.to(torch.float32) - self.mean) / self.std)
        return output


class Ensemble(nn.Module):
    """The mean of the members' probabilities, softmax(logits), (N, classes)."""

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([member(images).softmax(1) for member in self.members]).mean(0)


def as_text(value: object) -> str:
    """Return the value as text that UTF-8 can encode."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")
