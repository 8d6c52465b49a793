"""YAML 1.2 and JSON are read safely: no duplicate keys, no tags, no aliases, and words such as `no` stay words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_space import InputError
from resnet_space.documents import MAX_BYTES, read, scalar, write


def refusal(text):
    with pytest.raises(InputError) as caught:
        read(text)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("true", True),
        ("1e-3", 1e-3),
        ("-6", -6),
        ("1:30", "1:30"),
        ("~", None),
    ],
)
def test_plain_word_is_what_yaml_1_2_says(text, value):
    assert scalar(text) == value


@pytest.mark.parametrize(
    "text", ["a: 1\nb: 2\na: 3\n", "x: {a: 1, a: 2}\n", '{"a": 1, "a": 2}', "x:\n- {b: 1, b: 1}\n"]
)
def test_duplicate_keys_are_refused(text):
    assert "duplicate key" in refusal(text)
    assert "give each key once" in refusal(text)


def test_duplicate_key_is_refused_with_its_line():
    assert refusal("a: 1\nb: 2\na: 3\n").startswith("text:3: ")


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.getcwd []\n",
        "a: !!python/name:os.getcwd\n",
        "a: !mine 3\n",
        "!!python/tuple [1]\n",
    ],
)
def test_tags_that_ask_for_an_object_are_refused(text):
    assert "tag" in refusal(text)


@pytest.mark.parametrize("text", ["a: &x [1]\nb: *x\n", "a: &x [*x]\n", "a: &x {p: 1}\nb: {<<: *x}\n"])
def test_aliases_are_refused(text):
    # A few hundred bytes of nested aliases can expand to gigabytes of data.
    assert "alias" in refusal(text)


@pytest.mark.parametrize("text", ["a: 2001-01-01\n", "a: !!set {b}\n", "? [1]\n: 2\n", "a: !!binary aGk=\n"])
def test_values_that_json_cannot_write_are_refused_in_terms_of_yaml(text):
    assert "JSON" not in refusal(text)
    assert "tuple" not in refusal(text)


@pytest.mark.parametrize("text", ["{", "a: b: c", "\ta: 1", "a: 'b", "a: 1\n---\nb: 2\n", "[" * 1000 + "]" * 1000])
def test_text_that_is_not_a_document_is_refused(text):
    assert refusal(text).startswith("text:")


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"net\.yaml: No such file"):
        read(tmp_path / "net.yaml")


def test_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="directory"):
        read(tmp_path)


def test_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_bytes(b"a: \xff\n")
    with pytest.raises(InputError, match=r"net\.yaml: not UTF-8 text \(byte 3\)"):
        read(path)


def test_large_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "net.yaml"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InputError, match=f"at most {MAX_BYTES} are read"):
        read(path)


def plain(words):
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
        max_leaves=8,
    )


WORDS = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"], max_codepoint=0xFFFF), max_size=8)


@given(data=st.dictionaries(WORDS, plain(WORDS), max_size=3))
def test_plain_data_comes_back_from_yaml(data):
    # With a line end it is read as text, not as a file name.
    assert read(write(data) + "\n") == data


@given(data=plain(WORDS))
def test_plain_data_comes_back_from_json(data):
    assert read(json.dumps(data) + "\n") == data


def test_character_beyond_the_basic_plane_comes_back_from_json():
    assert read(json.dumps({"title": "\U0001f600"}) + "\n") == {"title": "\U0001f600"}
