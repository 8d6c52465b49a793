"""More seeds: only for open comparisons, never more than the maximum, the same after a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from ablations.contrasts import Seeds
from ablations.feed import AblationFeed
from ablations.plan import AblationPlan
from ablations.run import AblationRun
from ablations.study import Ablation
from search.data import Images
from search.files.folder import RunFolder
from search.running.progress import Progress
from search.store.store import Store
from search.trials.events import Finished
from search.trials.trial import TrialSpec

Errors = Callable[[str, int], float | str]


@pytest.fixture
def plan(digits: Images) -> AblationPlan:
    arms = {
        name: {"set": {"unit.shortcut": {"kind": "exclusive_gate", "gate_bias": -place}}}
        for place, name in enumerate(("base", "clear", "open"))
    }
    study = Ablation.of(
        {
            "name": "made",
            "net": "resnet20",
            "set": {"width": 0.25, "stages.*.units": 1},
            "arms": arms,
            "baseline": "base",
            "planned": {"compare": ["clear", "open"], "test": "paired_t"},
            "data": {"name": "digits", "limit": 200},
            "recipe": "digits",
            "seeds": {"min": 3, "max": 6},
        }
    )
    return AblationPlan.of(study, digits)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.at(tmp_path)
    yield store
    store.close()


def drive(plan: AblationPlan, store: Store, errors: Errors, *, most: int = 100) -> list[tuple[str, int]]:
    """Take trials from the feed and report their results, up to `most` trials; return them as (arm, seed)."""
    names = {net.key: name for name, net in plan.architectures.items()}
    feed = AblationFeed(plan, store, Progress(total=0, already=0, steps=1))
    asked = []
    while len(asked) < most and (job := feed.next()):
        (spec,) = job.trials
        asked.append((names[spec.architecture.key], spec.seed))
        feed.tell([_end(spec, errors(*asked[-1]))])
    return asked


def _end(spec: TrialSpec, value: float | str) -> Finished:
    return Finished(spec.key, value, "because") if isinstance(value, str) else Finished(spec.key, "complete", "", value)  # type: ignore[arg-type]


def noisy(arm: str, seed: int) -> float:
    """`clear` is far from the baseline; `open` cannot be distinguished from it with any number of seeds."""
    wobble = (0.003, -0.004, 0.001, 0.002, -0.003, 0.001)[seed]
    return {"base": 0.10, "clear": 0.70 + wobble / 10, "open": 0.10 + wobble}[arm]


def test_every_arm_gets_its_first_seeds_and_then_open_arms_and_the_baseline_get_more(
    plan: AblationPlan, store: Store
) -> None:
    asked = drive(plan, store, noisy)
    assert asked[:9] == [(arm, seed) for seed in range(3) for arm in ("base", "clear", "open")]
    assert asked[9:] == [(arm, seed) for seed in range(3, 6) for arm in ("base", "open")]


def by_two(plan: AblationPlan) -> AblationPlan:
    """The same plan with analyses at three, five and six seeds."""
    return replace(plan, study=plan.study.model_copy(update={"seeds": Seeds(min=3, max=6, by=2)}))


def test_seeds_are_added_in_steps_of_by(plan: AblationPlan, store: Store) -> None:
    plan = by_two(plan)
    assert plan.study.analyses == (3, 5, 6)
    asked = drive(plan, store, noisy)
    assert asked[9:] == [(arm, seed) for seed in range(3, 6) for arm in ("base", "open")]
    assert [len(plan.study.analyses_up_to(seeds)) for seeds in (2, 3, 4, 5, 6)] == [1, 1, 1, 2, 3]


def test_no_seeds_are_added_if_all_contrasts_are_resolved(plan: AblationPlan, store: Store) -> None:
    apart = {"base": 0.1, "clear": 0.7, "open": 0.4}
    asked = drive(plan, store, lambda arm, seed: apart[arm] + 0.0001 * (seed if arm == "base" else -seed))
    assert len(asked) == 9


def test_a_resumed_run_requests_the_same_trials(plan: AblationPlan, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = Store.at(tmp_path / "whole")
    undisturbed = drive(plan, whole, noisy)
    whole.close()
    for each in (plan, by_two(plan)):
        for stop in (4, 9, 10, 12):
            folder = tmp_path / f"{stop} {len(each.study.analyses)}"
            folder.mkdir()
            store = Store.at(folder)
            before = drive(each, store, noisy, most=stop)
            assert before + drive(each, store, noisy) == undisturbed
            store.close()


def test_with_a_fixed_number_of_seeds_the_store_is_not_read_at_every_end(
    plan: AblationPlan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = replace(plan, study=plan.study.model_copy(update={"seeds": 3}))
    feed = AblationFeed(plan, store, Progress(total=0, already=0, steps=1))
    running = begun(feed)
    monkeypatch.delattr(Store, "records")
    for trial, spec in running.items():
        feed.tell([_end(spec, noisy(*trial))])
        assert not feed.next()
    assert feed.over


def test_an_arm_without_any_result_gets_no_more_seeds(plan: AblationPlan, store: Store) -> None:
    apart = {"base": 0.1, "clear": 0.7}
    asked = drive(
        plan,
        store,
        lambda arm, seed: "diverged" if arm == "open" else apart[arm] + 0.0001 * (seed if arm == "base" else -seed),
    )
    assert len(asked) == 9


def begun(feed: AblationFeed) -> dict[tuple[str, int], TrialSpec]:
    """Take all trials that the feed has now, by arm and seed."""
    names = {net.key: name for name, net in feed.plan.architectures.items()}
    found = {}
    while job := feed.next():
        found |= {(names[spec.architecture.key], spec.seed): spec for spec in job.trials}
    return found


def test_with_a_joint_test_the_next_seeds_wait_for_all_results_and_do_not_depend_on_their_order(
    plan: AblationPlan, tmp_path: Path
) -> None:
    joint = replace(plan, study=plan.study.model_copy(update={"planned": {"compare": ["clear", "open"]}}))
    assert joint.study.planned.joint
    found = []
    for chance in range(4):
        (tmp_path / str(chance)).mkdir()
        store = Store.at(tmp_path / str(chance))
        feed = AblationFeed(joint, store, Progress(total=0, already=0, steps=1))
        running, asked, rng = begun(feed), set[tuple[str, int]](), Random(chance)
        while running:
            asked |= running.keys()
            trial = rng.choice(sorted(running))
            feed.tell([_end(running.pop(trial), noisy(*trial))])
            more = begun(feed)
            assert not more or not running
            running |= more
        found.append(asked)
        store.close()
    assert all(asked == found[0] for asked in found)
    assert {seed for arm, seed in found[0] if arm == "clear"} == {0, 1, 2}
    assert {seed for arm, seed in found[0] if arm == "open"} == set(range(6))


def test_a_contrast_that_is_surely_open_does_not_wait_for_the_others(plan: AblationPlan, store: Store) -> None:
    feed = AblationFeed(plan, store, Progress(total=0, already=0, steps=1))
    first = begun(feed)
    for trial in [("open", 0), ("open", 1), ("open", 2), ("base", 0), ("base", 1)]:
        feed.tell([_end(first[trial], noisy(*trial))])
        assert not begun(feed)
    feed.tell([_end(first["base", 2], noisy("base", 2))])
    assert [*begun(feed)] == [("base", 3), ("open", 3)]


@pytest.mark.parametrize(
    ("clear", "more"), [((0.7, 0.7001, 0.7002), set()), ((0.1, 0.3, 0.5), {"base", "clear", "open"})]
)
def test_a_contrast_that_depends_on_the_others_waits_for_them(
    plan: AblationPlan, store: Store, clear: tuple[float, ...], more: set[str]
) -> None:
    """With Holm, p = 0.018 at the first of two analyses is enough next to a claim, and not next to an open contrast."""
    plan = replace(plan, study=plan.study.model_copy(update={"seeds": Seeds(min=3, max=6, by=3)}))
    feed = AblationFeed(plan, store, Progress(total=0, already=0, steps=1))
    first = begun(feed)
    for seed, error in enumerate((0.1766, 0.2, 0.2234)):
        feed.tell([_end(first["base", seed], 0.1)])
        feed.tell([_end(first["open", seed], error)])
    assert not begun(feed)
    for seed, error in enumerate(clear):
        feed.tell([_end(first["clear", seed], error)])
    assert {arm for arm, _ in begun(feed)} == more


def test_the_same_trials_are_requested_for_every_order_of_ends(plan: AblationPlan, tmp_path: Path) -> None:
    plan = by_two(plan)
    found = []
    for chance in range(8):
        (tmp_path / str(chance)).mkdir()
        store = Store.at(tmp_path / str(chance))
        feed = AblationFeed(plan, store, Progress(total=0, already=0, steps=1))
        running, asked, rng = begun(feed), set[tuple[str, int]](), Random(chance)
        while running:
            asked |= running.keys()
            trial = rng.choice(sorted(running))
            feed.tell([_end(running.pop(trial), noisy(*trial))])
            running |= begun(feed)
        assert feed.over
        found.append(asked)
        store.close()
    assert all(asked == found[0] for asked in found)
    assert len(found[0]) == 15


def test_an_analysis_waits_for_the_previous_one(plan: AblationPlan, store: Store) -> None:
    feed = AblationFeed(plan, store, Progress(total=0, already=0, steps=1))
    jobs = [feed.next() for _ in range(9)]
    assert all(jobs)
    assert feed.next() is None
    assert not feed.over, "running trials can lead to more trials"
    for job in jobs:
        assert job is not None
        (spec,) = job.trials
        feed.tell([_end(spec, "failed")])
    assert feed.next() is None
    assert feed.over


def test_the_trials_of_an_analysis_that_is_already_stored_are_counted_once(plan: AblationPlan, store: Store) -> None:
    drive(plan, store, noisy, most=10)
    total, ended = plan.count_trials(store)
    assert (total, ended) == (11, 10)
    progress = Progress(total=total, already=ended, steps=1)
    feed = AblationFeed(plan, store, progress)
    assert feed.next() is not None
    assert progress.total == 11


def fused(plan: AblationPlan) -> AblationPlan:
    resources = plan.study.resources.model_copy(update={"fuse": 3})
    return AblationPlan.of(plan.study.model_copy(update={"resources": resources}), plan.images)


def test_trials_of_one_shape_are_one_job_and_those_of_a_later_analysis_are_another(
    plan: AblationPlan, store: Store
) -> None:
    """Three arms that differ only in the initial bias of a gate."""
    feed = AblationFeed(fused(plan), store, Progress(total=0, already=0, steps=1))
    feed.begin(1)
    names = {net.key: name for name, net in plan.architectures.items()}
    asked = []
    while job := feed.next():
        asked.append([(names[spec.architecture.key], spec.seed) for spec in job.trials])
        assert not feed.over
        for spec in job.trials:
            feed.tell([_end(spec, noisy(names[spec.architecture.key], spec.seed))])
    assert asked[:3] == [[(arm, seed) for arm in ("base", "clear", "open")] for seed in range(3)]
    assert asked[3:] == [[(arm, seed) for arm in ("base", "open")] for seed in (3, 4, 5)]
    assert feed.over


def test_jobs_that_no_worker_has_taken_are_still_pending(plan: AblationPlan, store: Store) -> None:
    feed = AblationFeed(fused(plan), store, Progress(total=0, already=0, steps=1))
    feed.begin(1)
    job = feed.next()
    assert job is not None
    for spec in job.trials:
        feed.tell([_end(spec, 0.1)])
    assert not feed.over
    assert not feed.idle


def test_the_remaining_seeds_of_an_interrupted_arm_are_one_job(plan: AblationPlan, store: Store) -> None:
    plan = fused(plan)
    store.add(plan.first)
    store.write([_end(plan.first[0], 0.1)])
    feed = AblationFeed(plan, store, Progress(total=0, already=0, steps=1))
    feed.begin(1)
    jobs = [feed.next() for _ in range(3)]
    assert sorted(len(job.trials) for job in jobs if job) == [2, 3, 3]


def test_trials_of_other_data_are_in_no_analysis_and_in_no_summary(
    plan: AblationPlan, store: Store, tmp_path: Path
) -> None:
    other = replace(plan, images=replace(plan.images, fingerprint="f" * 16))
    apart = {"base": 0.1, "clear": 0.7, "open": 0.4}
    others = drive(other, store, lambda arm, seed: apart[arm])
    assert plan.count_trials(store) == (9, 0)
    asked = drive(plan, store, noisy)
    assert asked[9:] == [(arm, seed) for seed in range(3, 6) for arm in ("base", "open")]
    RunFolder(tmp_path).add_session(fingerprint=plan.images.fingerprint)
    run = AblationRun.of(plan.study, RunFolder(tmp_path), store)
    assert {arm.arm: arm.n for arm in run.summaries} == {"base": 6, "clear": 3, "open": 6}
    assert (run.others, run.counts["complete"]) == (len(others), 15)


def test_trials_of_another_study_in_the_same_database_are_not_counted(
    plan: AblationPlan, store: Store, tmp_path: Path
) -> None:
    wider = plan.study.model_copy(update={"set": {"width": 0.5, "stages.*.units": 1}})
    drive(AblationPlan.of(wider, plan.images), store, noisy)
    drive(plan, store, noisy)
    run = AblationRun.of(plan.study, RunFolder(tmp_path), store)
    assert {arm.arm: arm.n for arm in run.summaries} == {"base": 6, "clear": 3, "open": 6}
    assert (run.others, run.counts["complete"]) == (0, 15)
