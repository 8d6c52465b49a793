"""The section on test images says what holds for these images, what for others like them, and what is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pages import blocks, headings, table

from ablations.run import AblationRun
from reports import html, markdown
from reports.document import image_figures, image_tables
from reports.document.image_tables import MOST_ARMS, MOST_CLASSES, MOST_PICTURES, NOTHING_STORED, WHY_MISSING
from reports.page import Grid, Picture, Text
from resnet_space import api
from resnet_space.api import document
from search.store.store import Store

Make = Callable[..., AblationRun]
ERRORS: dict[str, list[Any]] = {
    "base": [0.10, 0.12, 0.11],
    "near": [0.12, 0.13, 0.15],
    "far": [0.40, 0.41, 0.42],
    "lost": ["diverged", "diverged", "diverged"],
}
SECTION = "Test images"


def grid(run: AblationRun, caption: str) -> Grid:
    return table(document(run), caption)


def texts(found: Grid, heading: str) -> list[str]:
    return [row[list(found.headings).index(heading)].text for row in found.rows]


def test_the_section_has_every_table_and_the_pictures(ablation: Make) -> None:
    page = document(ablation(ERRORS, predicted=True))
    found = blocks(page, SECTION)
    assert [block.caption for block in found if isinstance(block, Grid)] == [
        "On images like these",
        "Agreement",
        "Probabilities",
        "Errors by class, %",
        "Most frequent confusions, %",
        "Test images on which arms differ most",
    ]
    assert isinstance(found[-1], Picture)
    web, text = html.render(page), markdown.render(page)
    assert "data:image/png" in web
    assert "(images.svg)" in text


def test_intervals_on_images_are_bold_if_0_is_outside(ablation: Make) -> None:
    found = grid(ablation(ERRORS, predicted=True), "On images like these")
    assert texts(found, "arm") == ["near", "far"], "an arm without a complete trial has no interval"
    (near, far) = [row[2] for row in found.rows]
    assert (near.mark, far.mark) == ("", "resolved")
    assert far.text.startswith("[+2")
    assert texts(found, "deciding")[0].endswith(" of 359")
    assert found.arms == [1, 2]


def test_the_terminal_says_which_resolved_differences_exclude_0_on_new_images_too(ablation: Make) -> None:
    page = document(ablation(ERRORS, predicted=True, planned={"compare": ["near", "far"]}))
    (brief,) = [section.brief for section in page.sections if section.heading == SECTION]
    (lines,) = brief
    assert isinstance(lines, Text)
    assert lines.lines == [
        "on images like the 359 test images, 0 is also outside the intervals of 1 of 1 resolved differences."
    ]


def test_agreement_between_arms_is_beside_agreement_between_seeds(ablation: Make) -> None:
    found = grid(ablation(ERRORS, predicted=True), "Agreement")
    seeds, base = (
        [None if not text else float(text) for text in texts(found, f"decisions, {what}, %")]
        for what in ("seeds", "baseline")
    )
    assert texts(found, "arm") == ["base", "near", "far"]
    assert base[0] is None
    assert base[2] is not None
    assert seeds[2] is not None
    assert base[2] < seeds[2], "another error: it decides otherwise than the baseline"


def test_agreement_of_one_seed_is_with_the_baseline_only(ablation: Make) -> None:
    found = grid(ablation({"base": [0.1], "other": [0.2]}, predicted=True), "Agreement")
    assert "decisions, seeds, %" not in found.headings
    assert texts(found, "decisions, baseline, %")[1]


def test_probabilities_are_those_that_the_networks_gave(ablation: Make) -> None:
    found = grid(ablation({"base": [0.1, 0.1, 0.1]}, predicted=True), "Probabilities")
    # 36 of 359 wrong with probability 0.6, and the others right with 0.9, which float16 has as 0.8999.
    assert texts(found, "confidence, %") == ["86.98 ± 0.00"]
    assert texts(found, "accuracy, %") == ["89.97 ± 0.00"]
    assert texts(found, "log loss, nats") == ["0.216 ± 0.000"]
    # Of confidence 0.6 none is right, of 0.9 all.
    assert float(texts(found, "calibration error, %")[0].split()[0]) == pytest.approx(100 * (0.0601 + 0.0900), abs=0.05)


def test_confusions_are_named_by_class(ablation: Make) -> None:
    found = grid(ablation(ERRORS, predicted=True), "Most frequent confusions, %")
    pairs = zip(texts(found, "class"), texts(found, "predicted as"), strict=True)
    assert all(int(predicted) == (int(true) + 1) % 10 for true, predicted in pairs)
    rates = [sum(float(cell.text) for cell in row[2:]) for row in found.rows]
    assert rates == sorted(rates, reverse=True)


def test_errors_by_class_have_one_column_per_class(ablation: Make) -> None:
    found = grid(ablation(ERRORS, predicted=True), "Errors by class, %")
    assert list(found.headings) == ["arm", *"0123456789"]
    assert len(found.headings) <= 1 + MOST_CLASSES


def test_confusion_matrices_have_a_text_alternative_and_are_left_out_for_many_classes(
    ablation: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ablation(ERRORS, predicted=True)
    found = image_figures.confusions(run)
    assert isinstance(found, Picture)
    assert found.alt.startswith("Confusion matrices. base: ")
    assert " as " in found.alt
    assert len(found.figure.axes) == 3
    monkeypatch.setattr(image_figures, "MOST_CLASSES", 9)
    assert image_figures.confusions(run) is None
    assert image_figures.confusions(ablation({"base": [0.0]}, predicted=True, folder="right")) is None


def test_the_images_have_their_class_and_the_wrong_networks_of_each_arm(ablation: Make, digits: Any) -> None:
    found = grid(ablation(ERRORS, predicted=True), "Test images on which arms differ most")
    assert len(found.rows) == MOST_PICTURES
    for number, at, true, *answers in found.rows:
        assert true.text == str(int(digits.test.y[int(at.text)]))
        assert answers[-1].text == f"3 of 3, as {(int(true.text) + 1) % 10}"
        assert number.sort is not None


def test_many_arms_are_columns_only_up_to_a_limit(ablation: Make) -> None:
    many = {f"arm {at}": [0.1 + at / 50] * 2 for at in range(MOST_ARMS + 2)}
    found = grid(ablation(many, predicted=True), "Most frequent confusions, %")
    assert len(found.headings) == 2 + MOST_ARMS
    assert f"The first {MOST_ARMS} of {MOST_ARMS + 2} arms." in found.notes


def test_arms_that_never_err_have_no_confusions_and_no_images(ablation: Make) -> None:
    page = document(ablation({"base": [0.0, 0.0], "other": [0.0, 0.0]}, predicted=True))
    captions = [block.caption for block in blocks(page, SECTION) if isinstance(block, Grid)]
    assert captions == [
        "On images like these",
        "Agreement",
        "Probabilities",
        "Errors by class, %",
    ]
    assert not [block for block in blocks(page, SECTION) if isinstance(block, Picture)]


def test_without_stored_predictions_one_line_says_what_is_missing(ablation: Make) -> None:
    page = document(ablation(ERRORS))
    assert blocks(page, SECTION) == [Text([NOTHING_STORED])]


def test_a_folder_of_an_earlier_version_is_reported(ablation: Make, tmp_path: Path) -> None:
    """Its store has no table of predictions."""
    ablation(ERRORS, predicted=True)
    store = Store.at(tmp_path / "run")
    with store.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE predictions")
    store.close()
    page = document(api.open_run(tmp_path / "run"))
    assert blocks(page, SECTION) == [Text([NOTHING_STORED])]
    assert NOTHING_STORED.split(":")[0] in html.render(page)


def test_some_missing_or_damaged_predictions_are_counted(ablation: Make) -> None:
    run = ablation(ERRORS, predicted=True)
    (one, other) = [record.key for record in run.records if record.seed == 0 and record.status == "complete"][:2]
    kept = {key: made for key, made in run.predictions.items() if key != one} | {other: b"damaged"}
    page = document(replace(run, predictions=kept))
    assert blocks(page, SECTION)[-1] == Text(
        [
            f"1 of 9 trials have no stored predictions: {WHY_MISSING}.",
            "The predictions of 1 of 9 trials are damaged or of other images, and left out.",
        ]
    )


def test_a_run_without_results_has_no_such_section(ablation: Make) -> None:
    assert SECTION not in headings(document(ablation({"base": [None], "other": [None]})))


def test_pictures_are_shown_only_if_the_data_are_at_hand_and_the_same(
    ablation: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ablation(ERRORS, predicted=True)
    monkeypatch.setattr(image_figures, "load_if_ready", lambda _: None)
    found = image_figures.pictures(run)
    assert isinstance(found, Text)
    assert found.lines[0].startswith("Their pictures are not shown: this machine has no copy")
    monkeypatch.undo()
    other = run.study.model_copy(update={"data": run.study.data.model_copy(update={"test": 0.3})})
    found = image_figures.pictures(replace(run, study=other))
    assert isinstance(found, Text)
    assert "has other test images" in found.lines[0]


def test_seeds_with_test_images_of_their_own_have_an_interval_over_divisions(ablation: Make) -> None:
    run = ablation(ERRORS, predicted=True, data={"name": "digits", "limit": 200, "split": "seed"})
    found = grid(run, "On images like these")
    assert "deciding" not in found.headings
    assert any("Nadeau and Bengio 2003" in note for note in found.notes)
    both = run.image_interval(run.findings[0])
    assert both is not None
    # Of 3 seeds, with 200 images for training and 359 for test.
    assert both.high_images - both.delta == pytest.approx((both.high - both.delta) * (1 + 3 * 359 / 200) ** 0.5)
    captions = [block.caption for block in blocks(document(run), SECTION) if isinstance(block, Grid)]
    assert captions == [
        "On images like these",
        "Probabilities",
        "Errors by class, %",
        "Most frequent confusions, %",
    ]
    (brief,) = [section.brief for section in document(run).sections if section.heading == SECTION]
    assert "on images like each seed's 359 test images" in brief[0].lines[0]  # type: ignore[union-attr]


def test_names_of_classes_are_numbers_if_none_are_stored(ablation: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = ablation(ERRORS, predicted=True)
    monkeypatch.setattr(type(run.folder), "data", None)
    assert image_tables.class_names(run) == [*"0123456789"]
