"""Intervals over seeds and images contain the difference of the populations as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ablations import effects
from ablations.two_way import over_divisions, two_way, variance_of_images, with_images

IMAGES, DRAWS = 400, 300


def wrong(hardness: NDArray[np.float64], seeds: int, spread: float, rng: np.random.Generator) -> NDArray[np.int_]:
    """(seeds, I) of 0 and 1: an image's chance of an error is its hardness, shifted by what the seed is worth."""
    chance = np.clip(hardness + spread * rng.standard_normal((seeds, 1)), 0, 1)
    return (rng.random((seeds, len(hardness))) < chance).astype(int)


def covered(seeds: int, *, own: float, spread: float) -> tuple[float, float]:
    """The shares of intervals, over seeds and over both, that contain the difference of two equal networks: 0.

    Each network finds some images hard that the other does not: hardness is drawn for each network and image, from the
    same distribution. `own` is the share of images with a hardness of their own.
    """
    rng = np.random.default_rng(seeds)
    inside = np.zeros(2)
    for _ in range(DRAWS):
        common = rng.beta(0.05, 0.45, IMAGES)
        arms = [np.where(rng.random(IMAGES) < own, rng.beta(0.05, 0.45, IMAGES), common) for _ in range(2)]
        found = two_way(wrong(arms[0], seeds, spread, rng) - wrong(arms[1], seeds, spread, rng))
        inside += (found.low <= 0 <= found.high, found.low_images <= 0 <= found.high_images)
    return float(inside[0] / DRAWS), float(inside[1] / DRAWS)


@pytest.mark.parametrize(("seeds", "most"), [(3, 0.8), (5, 0.65), (10, 0.5), (20, 0.35)])
def test_two_equal_networks_with_hard_images_of_their_own_differ_on_these_images_and_not_on_images_like_them(
    seeds: int, most: float
) -> None:
    """With more seeds, the interval over seeds is ever surer of a difference that only these images make."""
    over_seeds, over_both = covered(seeds, own=1.0, spread=0.0)
    assert over_seeds < most
    assert over_both > 0.93


@pytest.mark.parametrize("seeds", [3, 10])
@pytest.mark.parametrize("spread", [0.0, 0.02])
def test_without_hard_images_of_their_own_both_intervals_hold(seeds: int, spread: float) -> None:
    over_seeds, over_both = covered(seeds, own=0.0, spread=spread)
    assert over_seeds > 0.92
    assert over_both >= over_seeds


@pytest.mark.parametrize("seeds", [5, 20])
def test_over_divisions_of_the_same_images_the_interval_on_new_images_holds_and_the_other_does_not(seeds: int) -> None:
    """Two equal networks with hard images of their own, tested on another fifth of the same images by each seed."""
    rng, test, train = np.random.default_rng(seeds), IMAGES // 5, IMAGES * 7 // 10
    inside = np.zeros(2)
    for _ in range(DRAWS):
        d = rng.beta(0.05, 0.45, IMAGES) - rng.beta(0.05, 0.45, IMAGES)
        each = [d[rng.permutation(IMAGES)[:test]].mean() for _ in range(seeds)]
        paired = effects.difference(
            dict(enumerate(each)), dict.fromkeys(range(seeds), 0.0), planned=range(seeds), resampled=False
        )
        assert paired.delta is not None
        assert paired.low is not None
        assert paired.high is not None
        found = over_divisions(paired.delta, paired.low, paired.high, seeds, train=train, test=test)
        inside += (found.low <= 0 <= found.high, found.low_images <= 0 <= found.high_images)
    assert inside[0] / DRAWS < 0.9
    assert inside[1] / DRAWS > 0.93


@pytest.mark.parametrize("seeds", [3, 10])
def test_with_both_parts_the_interval_over_both_holds(seeds: int) -> None:
    assert covered(seeds, own=0.5, spread=0.01)[1] > 0.93


def test_the_variance_of_images_is_that_of_the_model() -> None:
    rng = np.random.default_rng(0)
    seeds, images, sigma = 6, 500, 0.3
    found = [
        variance_of_images(
            0.1 * rng.standard_normal((seeds, 1))
            + sigma * rng.standard_normal(images)
            + 0.5 * rng.standard_normal((seeds, images))
        )
        for _ in range(200)
    ]
    assert np.mean(found) == pytest.approx(sigma**2 / images, rel=0.05)


D = arrays(int, st.tuples(st.integers(2, 6), st.integers(2, 30)), elements=st.integers(-1, 1))


@given(D)
def test_the_interval_over_both_contains_that_over_seeds_and_has_the_same_middle(d: NDArray[np.int_]) -> None:
    found = two_way(d)
    assert found.low_images <= found.low + 1e-12
    assert found.high <= found.high_images + 1e-12
    assert found.low_images + found.high_images == pytest.approx(2 * found.delta, abs=1e-12)
    assert 0 <= found.share <= 1


@given(D)
def test_exchanging_the_arms_changes_the_sign(d: NDArray[np.int_]) -> None:
    one, other = two_way(d), two_way(-d)
    assert (one.low_images, one.high_images) == pytest.approx((-other.high_images, -other.low_images), abs=1e-12)
    assert one.differing == other.differing


@given(D, st.randoms(use_true_random=False))
def test_the_order_of_seeds_and_images_does_not_matter(d: NDArray[np.int_], random: np.random.Generator) -> None:
    rng = np.random.default_rng(random.randrange(2**32))  # type: ignore[attr-defined]
    mixed = d[rng.permutation(len(d))][:, rng.permutation(d.shape[1])]
    assert variance_of_images(mixed) == pytest.approx(variance_of_images(d), abs=1e-15)


@given(D)
def test_over_seeds_it_is_the_paired_t_interval(d: NDArray[np.int_]) -> None:
    found = two_way(d)
    arm = dict(enumerate(d.mean(axis=1).tolist()))
    paired = effects.difference(arm, dict.fromkeys(arm, 0.0), planned=arm, resampled=False)
    assert (found.delta, found.low, found.high) == pytest.approx((paired.delta, paired.low, paired.high), abs=1e-9)


def test_arms_that_decide_alike_have_an_interval_without_width() -> None:
    found = two_way(np.zeros((3, 50), int))
    assert (found.low_images, found.high_images, found.share, found.differing) == (0, 0, 0, 0)


def test_one_seed_gives_an_upper_bound_for_the_images() -> None:
    d = np.random.default_rng(1).integers(-1, 2, (5, 200))
    assert variance_of_images(d[:1]) >= variance_of_images(d)
    with pytest.raises(ValueError, match="1 seed; an interval needs two"):
        two_way(d[:1])
    assert with_images(0.0, -0.1, 0.1, d[:1]).high_images > 0.1


def test_an_interval_that_is_not_symmetric_stays_so() -> None:
    d = np.random.default_rng(1).integers(-1, 2, (5, 200))
    found = with_images(0.0, -0.01, 0.3, d)
    assert found.low_images < -0.01
    assert found.high_images > 0.3
    assert -found.low_images < found.high_images


def test_the_interval_widens_with_the_confidence() -> None:
    d = np.random.default_rng(1).integers(-1, 2, (5, 200))
    assert two_way(d, 0.99).high_images > two_way(d, 0.95).high_images
