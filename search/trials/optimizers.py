"""Optimisers as data: `torch.optim` has some, `timm.optim` the others. To add one, add a class.

A kind's fields are those of its optimiser, by the same names, except for those of every recipe: `lr` and
`weight_decay`, and `momentum` and `nesterov` for the kinds that take them.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from resnet_space.catalogues import OneOf
from resnet_space.description import Kind, kinds
from resnet_space.numbers import Above0, AtLeast0, Below1, Positive

Betas = tuple[Below1, Below1]
"""How much of the running mean of gradients, and of that of their squares, a step keeps."""


OF_THE_RECIPE = ("lr", "weight_decay", "momentum", "nesterov")


class OptimizerKind(Kind):
    """An optimiser."""

    torch_class: ClassVar[str] = ""
    """Its class in `torch.optim`; empty if `timm.optim` creates it, under the name of the kind."""
    takes: ClassVar[tuple[str, ...]] = ()
    """Fields of the recipe that it has in addition to `lr` and `weight_decay`: of `momentum`, `nesterov`."""
    moments: ClassVar[int] = 2
    """Number of tensors in its state that are as large as the weights."""
    elementwise: ClassVar[bool] = True
    """Whether each weight changes by its own gradients alone, so that fused networks train as each of them does."""
    fused: ClassVar[bool] = False
    """Whether torch has one kernel for all weights. Its steps launch the same kernels every time, so that a CUDA graph
    can record them."""

    @property
    def why_apart(self) -> str:
        """Why networks with this optimiser train one by one; "" if they can train as one."""
        return "" if self.elementwise else f"the optimiser {self.kind} uses norms of whole weight tensors"

    @classmethod
    def _unknown(cls, name: object) -> str:
        if name in OF_THE_RECIPE:
            return f"{name!r} is a field of the recipe: recipe.{name}"
        return super()._unknown(name)


class SGD(OptimizerKind):
    """v <- momentum v + g + weight_decay w; w <- w - lr v. Torch's fused SGD.

    With `nesterov`, w changes by g + weight_decay w + momentum v instead of v.
    """

    torch_class = "SGD"
    takes = ("momentum", "nesterov")
    moments = 1
    fused = True

    kind: Literal["sgd"] = "sgd"


class Adam(OptimizerKind):
    """w <- w - lr m / (sqrt(v) + eps), with m and v the running means of g and g^2, and decay in g. 1412.6980."""

    torch_class = "Adam"
    fused = True

    kind: Literal["adam"] = "adam"
    betas: Betas = (0.9, 0.999)
    eps: Above0 = 1e-8


class AdamW(OptimizerKind):
    """Adam whose decay, lr weight_decay w, is not in the gradient. 1711.05101."""

    torch_class = "AdamW"
    fused = True

    kind: Literal["adamw"] = "adamw"
    betas: Betas = (0.9, 0.999)
    eps: Above0 = 1e-8


class NAdam(OptimizerKind):
    """Adam with Nesterov's momentum, which grows by `momentum_decay`. Dozat 2016."""

    torch_class = "NAdam"

    kind: Literal["nadam"] = "nadam"
    betas: Betas = (0.9, 0.999)
    eps: Above0 = 1e-8
    momentum_decay: AtLeast0 = 4e-3


class NAdamW(OptimizerKind):
    """NAdam with the decay of AdamW, as in the MLCommons benchmark of training algorithms. 2306.07179."""

    kind: Literal["nadamw"] = "nadamw"
    betas: Betas = (0.9, 0.999)
    eps: Above0 = 1e-8


class RAdam(OptimizerKind):
    """Adam that starts as SGD with momentum, until the variance of v is small. 1908.03265."""

    torch_class = "RAdam"

    kind: Literal["radam"] = "radam"
    betas: Betas = (0.9, 0.999)
    eps: Above0 = 1e-8


class RMSprop(OptimizerKind):
    """v <- momentum v + g / (sqrt(s) + eps), with s the running mean of g^2; w <- w - lr v. Tieleman, Hinton 2012."""

    torch_class = "RMSprop"
    takes = ("momentum",)

    kind: Literal["rmsprop"] = "rmsprop"
    alpha: Below1 = 0.99
    eps: Above0 = 1e-8


class RMSpropTF(OptimizerKind):
    """RMSprop as TensorFlow has it: g / sqrt(s + eps), s from 1, and the learning rate within the momentum."""

    takes = ("momentum",)

    kind: Literal["rmsproptf"] = "rmsproptf"
    alpha: Below1 = 0.9
    eps: Above0 = 1e-10


class SGDW(OptimizerKind):
    """SGD whose decay is not in the gradient: w <- w - lr weight_decay w. 1711.05101."""

    takes = ("momentum", "nesterov")
    moments = 1

    kind: Literal["sgdw"] = "sgdw"


class Adan(OptimizerKind):
    """Adam with a third running mean, of the differences of gradients, for Nesterov's momentum. 2208.06677."""

    moments = 4

    kind: Literal["adan"] = "adan"
    betas: tuple[Below1, Below1, Below1] = (0.98, 0.92, 0.99)
    eps: Above0 = 1e-8


class Lion(OptimizerKind):
    """w <- w - lr (sign(beta1 m + (1 - beta1) g) + weight_decay w); m <- beta2 m + (1 - beta2) g. 2302.06675."""

    moments = 1

    kind: Literal["lion"] = "lion"
    betas: Betas = (0.9, 0.99)


class Lamb(OptimizerKind):
    """Adam whose step for each weight tensor has the tensor's norm. 1904.00962.

    As timm has it, gradients are first clipped to a common norm of `max_grad_norm`.
    """

    elementwise = False

    kind: Literal["lamb"] = "lamb"
    betas: Betas = (0.9, 0.999)
    eps: Above0 = 1e-6
    max_grad_norm: Above0 | None = 1.0


class Lars(OptimizerKind):
    """SGD whose step for each weight tensor has `trust_coeff` times the tensor's norm. 1708.03888."""

    takes = ("momentum", "nesterov")
    moments = 1
    elementwise = False

    kind: Literal["lars"] = "lars"
    trust_coeff: Above0 = 1e-3
    eps: Above0 = 1e-8


class Muon(OptimizerKind):
    """SGD with momentum whose step for each weight matrix is orthogonalised, by `ns_steps` steps of Newton and Schulz.

    Jordan et al. 2024; of convolutions, the matrix of 2502.16982. AdamW for norms and biases, with `betas`.
    """

    takes = ("momentum", "nesterov")
    elementwise = False

    kind: Literal["muon"] = "muon"
    betas: Betas = (0.9, 0.95)
    ns_steps: Positive = 5


OPTIMIZERS: dict[str, type[OptimizerKind]] = kinds(OptimizerKind, globals())
"""By name: every class above that has a `kind`."""

Optimizer = Annotated[OptimizerKind, OneOf(OPTIMIZERS)]
