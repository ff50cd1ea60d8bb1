import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.compose_file import compose_file
from sedi_engine.errors import InputError, NotFoundError, StudioError
from sedi_engine.jsonl import read_records, write_lines


def embed(texts: list[str]) -> np.ndarray:
    """Bags of letters: a real embedding of a text, if a poor one, that needs no model."""
    letters = np.array([[text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts])
    vectors = letters.astype(np.float32) + 0.01
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def refuse_to_embed(texts: list[str]) -> np.ndarray:
    raise AssertionError("embedded before the input was checked")


def make(path, count: int):
    words = np.random.default_rng(0).choice(["river", "code", "song", "tax", "bread", "moon", "zebra"], (count, 3))
    path.write_text("".join(json.dumps({"instruction": " ".join(row)}) + "\n" for row in words), encoding="utf-8")
    return path


@given(st.data())
def test_batches_are_as_many_and_as_large_as_promised(tmp_path_factory, data):
    count = data.draw(st.integers(1, 40))
    batch_size = data.draw(st.integers(1, count))
    composer = data.draw(st.sampled_from(["deal", "random"]))
    folder = tmp_path_factory.mktemp("compose")
    summary = compose_file(make(folder / "in.jsonl", count), folder / "out.jsonl", batch_size, composer, 5, embed)
    lines = read_records(folder / "out.jsonl")
    batches = math.ceil(count / batch_size)
    assert [line["batch"] for line in lines] == list(range(batches)) and summary["batches"] == batches
    assert sorted(member for line in lines for member in line["members"]) == list(range(count))
    assert {len(line["members"]) for line in lines} <= {count // batches, math.ceil(count / batches)}
    assert all(len(line["members"]) == len(line["clusters"]) for line in lines)


def test_both_composers_report_the_same_clusters(tmp_path):
    source = make(tmp_path / "in.jsonl", 30)
    labels = []
    for composer in ("deal", "random"):
        compose_file(source, tmp_path / "out.jsonl", 6, composer, 1, embed)
        lines = read_records(tmp_path / "out.jsonl")
        pairs = [pair for line in lines for pair in zip(line["members"], line["clusters"], strict=True)]
        labels.append(dict(pairs))
    assert labels[0] == labels[1]


def test_the_summary_stands_beside_the_random_control(tmp_path):
    source = make(tmp_path / "in.jsonl", 64)
    dealt = compose_file(source, tmp_path / "dealt.jsonl", 8, "deal", 1, embed)
    control = compose_file(source, tmp_path / "random.jsonl", 8, "random", 1, embed)
    assert dealt["random"] == control["random"]
    assert dealt["diversity"].keys() == dealt["random"].keys()
    assert dealt["diversity"]["largest_share"] < dealt["random"]["largest_share"]
    json.dumps(dealt, allow_nan=False)


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    source = make(tmp_path / "in.jsonl", 40)
    for name in ("a", "b"):
        compose_file(source, tmp_path / name, 8, "deal", 9, embed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_instruction_and_input_are_embedded(tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text('{"instruction": "Add.", "input": "2 and 3", "id": 7}\n{"instruction": "Go", "input": null}\n')
    seen = []
    compose_file(source, tmp_path / "out", 2, "deal", 0, lambda texts: seen.append(texts) or embed(texts))
    assert seen == [["Add.\n2 and 3", "Go"]]


GOOD = '{"instruction": "Name a colour."}'


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ("{", "not JSON"),
        ("", "blank"),
        ("[1]", "JSON list"),
        ("[" * 100_000, "not JSON"),
        ('{"input": "x"}', "no instruction"),
        ('{"instruction": 3}', "instruction is of type int"),
        ('{"instruction": " "}', "instruction is empty"),
        ('{"instruction": "a", "input": ["b"]}', "input is of type list"),
        (r'{"instruction": "\ud800"}', "surrogate"),
        (b'{"instruction": "\xff"}', "not UTF-8"),
    ],
)
def test_a_wrong_line_is_named_before_anything_is_embedded(tmp_path, bad, fault):
    source = tmp_path / "in.jsonl"
    bad = bad if isinstance(bad, bytes) else bad.encode()
    source.write_bytes(b"\n".join([GOOD.encode(), GOOD.encode(), bad, GOOD.encode()]))
    with pytest.raises(InputError, match="Line 3 of .*" + fault) as caught:
        compose_file(source, tmp_path / "out.jsonl", 2, embed=refuse_to_embed)
    assert "line 3" in caught.value.next_step
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("batch_size", [0, -1, 4])
def test_a_batch_size_out_of_range_is_said_in_words(tmp_path, batch_size):
    with pytest.raises(InputError, match=f"batch size is {batch_size}, .* 3 examples") as caught:
        compose_file(make(tmp_path / "in.jsonl", 3), tmp_path / "out", batch_size, embed=refuse_to_embed)
    assert "from 1 to 3" in caught.value.next_step


def test_an_empty_file_and_a_missing_one(tmp_path):
    (tmp_path / "empty").write_text("")
    with pytest.raises(InputError, match="0 examples"):
        compose_file(tmp_path / "empty", tmp_path / "out", 1, embed=refuse_to_embed)
    with pytest.raises(NotFoundError, match="no file"):
        compose_file(tmp_path / "missing", tmp_path / "out", 1, embed=refuse_to_embed)


@pytest.mark.parametrize("out", ["", "no/such/folder/out.jsonl"])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, out):
    with pytest.raises(InputError, match=r"not a regular file|does not exist"):
        compose_file(make(tmp_path / "in.jsonl", 3), tmp_path / out, 1, embed=refuse_to_embed)


def test_a_byte_order_mark_line_ends_of_windows_and_trailing_blanks_are_read(tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_bytes(b"\xef\xbb\xbf" + f"{GOOD}\r\n{GOOD}\r\n\n \n".encode())
    assert read_records(source) == [{"instruction": "Name a colour."}] * 2


def test_line_separators_of_unicode_do_not_end_a_line(tmp_path):
    source = tmp_path / "in.jsonl"
    write_lines(source, [{"instruction": "one\u2028two\x85three"}, {"instruction": "four"}])
    assert [record["instruction"] for record in read_records(source)] == ["one\u2028two\x85three", "four"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "out.jsonl"
    target.write_text("old")

    def records():
        yield {"a": 1}
        raise OSError(28, "No space left on device")

    with pytest.raises(StudioError, match="disk is full"):
        write_lines(target, records())
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
