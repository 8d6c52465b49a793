"""Loss, accumulation, clipping, dropout and averages do what a textbook loop with them does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from steps_by_hand import Batch, random_batches, textbook
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

from resnet_space import build
from resnet_space.errors import InputError
from resnet_space.fused import draws
from search.data import Images
from search.kernels.soundness import conditions_of
from search.training import checkpoint
from search.training.evaluation import errors
from search.training.forecast import memory_of_step
from search.training.losses import binary_cross_entropy, loss_function
from search.training.members import Group, Member, beginning
from search.training.step import make_stepper
from search.training.train import train
from search.trials.averaging import ExponentialAverage, StochasticAverage
from search.trials.events import Epoch, Finished
from search.trials.recipe import Recipe
from search.trials.resources import Resources
from search.trials.trial import TrialSpec

Trial = Callable[..., TrialSpec]

RATE = 0.01
STEPS = 6


@pytest.fixture
def double() -> Iterator[None]:
    """In float32, rounding can move the input of a ReLU across its kink, and the steps that follow differ."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def ours(spec: TrialSpec, batches: Sequence[Batch]) -> tuple[Group, Tensor]:
    """The group after a step for each batch, and the losses."""
    group = Group([Member.of(spec, None, "cpu")])
    group.model.train()
    take = make_stepper(group, "cpu")
    losses = []
    for step, (x, y) in enumerate(batches, 1):
        losses.append(take([x], [y], RATE)[0][0])
        group.update_average(step, len(batches))
    return group, torch.stack(losses)


def by_hand(spec: TrialSpec, batches: Sequence[Batch], **options: Any) -> tuple[nn.Module, Tensor]:
    model, optimizer = beginning(spec, "cpu")
    for group in optimizer.param_groups:
        group["lr"] = RATE
    return model, torch.tensor(textbook(model, optimizer, batches, **options))


def same(found: nn.Module, wanted: nn.Module) -> None:
    for name, tensor in found.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, wanted.state_dict()[name], atol=1e-9, rtol=1e-9, msg=name)


def binary(logits: Tensor, y: Tensor) -> Tensor:
    """As in timm's `BinaryCrossEntropy` with smoothing 0.1, for labels that are classes."""
    classes = logits.shape[1]
    target = torch.full(logits.shape, 0.1 / classes).scatter_(1, y[:, None], 1 - 0.1 + 0.1 / classes)
    return functional.binary_cross_entropy_with_logits(logits, target)


OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "smoothing": (
        {"loss": {"kind": "cross_entropy", "smoothing": 0.1}},
        {"loss": nn.CrossEntropyLoss(label_smoothing=0.1)},
    ),
    "binary": ({"loss": {"kind": "binary_cross_entropy", "smoothing": 0.1}}, {"loss": binary}),
    "clipping": ({"clip_norm": 0.05}, {"clip": 0.05}),
    "clipping that does nothing": ({"clip_norm": 1e6}, {}),
    "accumulation": ({"accumulation": 4}, {"parts": 4}),
    "accumulation and clipping with AdamW": (
        {"accumulation": 2, "clip_norm": 0.1, "optimizer": "adamw"},
        {"parts": 2, "clip": 0.1},
    ),
}


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", OPTIONS)
def test_steps_with_an_option_are_those_of_a_textbook_loop(name: str, trial: Trial) -> None:
    fields, options = OPTIONS[name]
    batches = random_batches(STEPS)
    (group, losses), (model, wanted) = ours(trial(**fields), batches), by_hand(trial(**fields), batches, **options)
    torch.testing.assert_close(losses, wanted, atol=1e-9, rtol=1e-9)
    same(group.model, model)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_labels_can_be_distributions_over_classes(loss: str, trial: Trial) -> None:
    functions = {
        "cross_entropy": lambda logits, y: -(y * logits.log_softmax(1)).sum(1).mean(),
        "binary_cross_entropy": functional.binary_cross_entropy_with_logits,
    }
    batches = random_batches(STEPS, soft=True)
    group, losses = ours(trial(loss=loss), batches)
    model, wanted = by_hand(trial(loss=loss), batches, loss=functions[loss])
    torch.testing.assert_close(losses, wanted, atol=1e-9, rtol=1e-9)
    same(group.model, model)


def test_a_prediction_is_right_if_it_is_the_most_likely_class_of_the_label(trial: Trial) -> None:
    [(x, y)] = random_batches(1, images=16, soft=True)
    found = [
        make_stepper(Group([Member.of(trial(), None, "cpu")]), "cpu")([x], [labels], RATE)[1]
        for labels in (y, y.argmax(1))
    ]
    assert torch.equal(*found)


@given(smoothing=st.floats(0, 0.9), seed=st.integers(0, 99))
def test_a_class_is_the_distribution_with_all_weight_on_it(smoothing: float, seed: int) -> None:
    [(_, y)] = random_batches(1, seed=seed)
    logits = torch.randn(len(y), 10, generator=torch.Generator().manual_seed(seed))
    for kind in ("cross_entropy", "binary_cross_entropy"):
        loss = loss_function(Recipe.of({"epochs": 1, "loss": {"kind": kind, "smoothing": smoothing}}).loss)
        torch.testing.assert_close(loss(logits, y), loss(logits, functional.one_hot(y, 10).float()))


def test_a_threshold_makes_each_class_0_or_1_and_the_sum_counts_each_class_once() -> None:
    logits, y = torch.randn(3, 4), torch.tensor([[0.7, 0.3, 0, 0], [0.1, 0.2, 0.3, 0.4], [1.0, 0, 0, 0]])
    target = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 0]])
    wanted = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    for sum_classes, each in ((False, wanted.mean(1)), (True, wanted.sum(1))):
        found = binary_cross_entropy(logits, y, smoothing=0, threshold=0.2, sum_classes=sum_classes)
        torch.testing.assert_close(found, each.mean())


@pytest.mark.usefixtures("double")
def test_the_last_batch_of_an_epoch_is_computed_in_parts_of_at_least_two_images(trial: Trial) -> None:
    """A single image has no statistics at a map of one pixel. Parts of other sizes count by their images."""
    for images, sizes in ((5, [3, 2]), (3, [3]), (7, [3, 2, 2])):
        seen: list[int] = []

        def loss(logits: Tensor, y: Tensor, seen: list[int] = seen) -> Tensor:
            seen.append(len(y))
            return functional.cross_entropy(logits, y)

        group = Group([Member.of(trial(accumulation=4), None, "cpu")])
        group.loss = loss
        [(x, y)] = random_batches(1, images=images)
        found = make_stepper(group, "cpu")([x], [y], RATE)
        assert seen == sizes
        assert found[0].shape == found[1].shape == (1,)
        model = beginning(trial(), "cpu")[0].train()
        parts = [
            functional.cross_entropy(model(some), labels) * len(labels) / images
            for some, labels in zip(x.split(sizes), y.split(sizes), strict=True)
        ]
        torch.testing.assert_close(found[0][0], torch.stack(parts).sum().detach())


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_an_exponential_average_is_torchs(decay: float, trial: Trial) -> None:
    """With the statistics of BN, as in torchvision's training script and in timm."""
    batches, spec = random_batches(STEPS), trial(averaging={"kind": "ema", "decay": decay})
    model, optimizer = beginning(spec, "cpu")
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    for group in optimizer.param_groups:
        group["lr"] = RATE
    textbook(model, optimizer, batches, average=average)
    group, _ = ours(spec, batches)
    same(group.model, model)
    assert group.average is not None
    same(group.average, average.module)


def mean_of_numbers(averages: list[Tensor], weights: list[Tensor], number: Tensor) -> None:
    """torch's function fails for counts of batches."""
    if averages[0].is_floating_point():
        get_swa_multi_avg_fn()(averages, weights, number)


@pytest.mark.usefixtures("double")
def test_a_stochastic_average_is_torchs_of_the_last_part_of_training(trial: Trial) -> None:
    batches, spec = random_batches(STEPS), trial(averaging={"kind": "swa", "start": 0.5})
    model, optimizer = beginning(spec, "cpu")
    average = AveragedModel(model, multi_avg_fn=mean_of_numbers, use_buffers=True)
    for group in optimizer.param_groups:
        group["lr"] = RATE
    textbook(model, optimizer, batches[:2])
    textbook(model, optimizer, batches[2:], average=average)
    group, _ = ours(spec, batches)
    assert group.average is not None
    same(group.average, average.module)


def test_an_average_is_updated_after_every_so_many_steps() -> None:
    rare = ExponentialAverage(every=3, decay=0.9)
    assert [rare.number(step, 12) for step in range(1, 10)] == [None, None, 0, None, None, 1, None, None, 2]
    last = StochasticAverage(start=0.5, every=2)
    assert [last.number(step, 8) for step in range(1, 9)] == [None, None, None, 0, None, 1, None, 2]
    assert [last.weight(number) for number in range(3)] == [1, 1 / 2, 1 / 3]
    ramp = ExponentialAverage(decay=0.9, ramp=True)
    assert [ramp.weight(number) for number in (0, 1, 1000)] == pytest.approx([1, 9 / 11, 0.1])


def test_what_is_measured_and_kept_is_the_average(trial: Trial, digits: Images, tmp_path: Path) -> None:
    spec = trial(epochs=2, averaging={"kind": "ema", "decay": 0.9})
    *epochs, end = (event for event in train(spec, digits, folder=tmp_path) if isinstance(event, Epoch | Finished))
    model = build(spec.architecture)
    model.load_state_dict(load_file(tmp_path / checkpoint.WEIGHTS))
    [validation], [test] = (
        errors(model, split, digits, spec.recipe, "cpu") for split in (digits.validation, digits.test)
    )
    assert (epochs[-1].validation_error, end.test_error) == (validation, test)
    *_, plain = train(trial(epochs=2), digits, folder=tmp_path / "plain")
    assert plain.test_error != end.test_error
    assert model.state_dict().keys() == load_file(tmp_path / "plain" / checkpoint.WEIGHTS).keys()


def test_before_an_average_begins_the_weights_are_measured(trial: Trial, digits: Images) -> None:
    late = trial(epochs=2, averaging={"kind": "swa", "start": 0.9})
    found = [event.validation_error for event in train(late, digits) if isinstance(event, Epoch)]
    plain = [event.validation_error for event in train(trial(epochs=2), digits) if isinstance(event, Epoch)]
    assert found[0] == plain[0]
    never = trial(epochs=2, averaging={"kind": "ema", "every": 1000})
    assert [event.validation_error for event in train(never, digits) if isinstance(event, Epoch)] == plain


@pytest.mark.parametrize(
    "changes",
    [{}, {"unit.activation": "gelu"}, {"unit.order": "full_preactivation"}, {"unit.normalisation": "layer"}],
    ids=str,
)
def test_dropout_is_before_the_classifier_and_changes_no_name_of_a_weight(
    changes: dict[str, Any], trial: Trial
) -> None:
    net = trial().architecture.assign(changes)
    model, _ = beginning(trial(net=net, dropout=0.5), "cpu")
    assert draws(model)
    assert [*model.state_dict()] == [*beginning(trial(net=net), "cpu")[0].state_dict()]
    seen: list[Tensor] = []
    model.head[-1].register_forward_hook(lambda layer, inputs, out: seen.append(inputs[0]))
    x = random_batches(1, images=64)[0][0]
    model.train()(x)
    zeros = (seen[0] == 0).double().mean()
    assert 0.4 < zeros < 0.75, "the features themselves are rarely 0"
    model.eval()(x)
    assert (seen[1] == 0).double().mean() < 0.3


def test_memory_counts_the_moments_the_average_and_the_parts_of_a_batch() -> None:
    from resnet_space import preset

    net = preset("resnet20")

    def memory(**fields: Any) -> Any:
        return memory_of_step(net, Recipe.of({"epochs": 1, "batch_size": 64, **fields}))

    a_copy = memory().weights // 3
    assert memory(optimizer="adamw").weights == 4 * a_copy
    assert memory(optimizer="adamw", averaging="ema").weights == 5 * a_copy
    assert memory(accumulation=4).activations == memory(batch_size=16).activations
    assert memory(loss="binary_cross_entropy").activations >= memory().activations


def test_kernels_are_checked_for_the_part_of_a_batch_that_is_computed_at_a_time() -> None:
    recipe = Recipe(epochs=1, batch_size=64, accumulation=4)
    assert conditions_of(recipe, Resources()).batch == 16


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"clip_norm": 0.0}, "clip_norm: must be greater than 0, not 0"),
        ({"loss": {"kind": "cross_entropy", "smoothing": 1.0}}, "loss.smoothing: must be less than 1, not 1"),
        ({"loss": {"kind": "cross_entropy", "threshold": 0.2}}, "cross_entropy has no 'threshold'; it belongs to"),
        ({"loss": "cross_entropie"}, "did you mean 'cross_entropy'"),
        ({"averaging": {"kind": "ema", "decay": 1.0}}, "averaging.decay: must be less than 1, not 1"),
        ({"averaging": {"kind": "swa", "decay": 0.9}}, "swa has no 'decay'; it belongs to: ema"),
        ({"dropout": 1.0}, "dropout: must be less than 1, not 1"),
        (
            {"batch_size": 12, "accumulation": 5},
            "accumulation: 5 does not divide a batch of 12 into equal parts of at least 2 images; up to 64, allowed: "
            "1, 2, 3, 4, 6",
        ),
        ({"batch_size": 12, "accumulation": 12}, "accumulation: 12 does not divide"),
        ({"batch_size": 10**15, "accumulation": 3}, "accumulation: 3 does not divide"),
    ],
)
def test_a_wrong_option_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Recipe.of({"epochs": 1, **fields})
