import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from sedi_engine.bench.filter import run
from sedi_engine.errors import InputError, NotFoundError
from sedi_engine.filters.file import filter_file

SCORER = rouge_scorer.RougeScorer(["rougeL"])


def write(path, instructions):
    path.write_text("".join(json.dumps({"instruction": text}) + "\n" for text in instructions), "utf-8")
    return path


def read(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def row(index, reason=None, f1=None, nearest=None, source=None):
    return {
        "index": index,
        "verdict": "dropped" if reason else "kept",
        "reason": reason,
        "max_rouge_l": f1,
        "nearest_index": nearest,
        "nearest_source": source,
    }


def test_lines_in_order_with_verdict_and_nearest(tmp_path):
    source = write(
        tmp_path / "in.jsonl",
        [
            "Explain how tides come about",
            "Explain how tides come about",
            "Name three",
            "Explain how winds come about",
            "Explain how tides come about",
            "List the planets in order",
        ],
    )
    pool = write(tmp_path / "pool.jsonl", ["Say nothing", "List the planets in order", "List the planets in order"])
    seen = []
    summary = filter_file(
        source,
        tmp_path / "out.jsonl",
        threshold=0.85,
        pool=pool,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert read(tmp_path / "out.jsonl") == [
        row(0),
        row(1, "similar", 1.0, 0, "input"),
        row(2, "short"),
        row(3, None, 0.8000000000000002, 0, "input"),
        row(4, "similar", 1.0, 0, "input"),
        row(5, "similar", 1.0, 1, "pool"),
    ]
    assert (summary.total, summary.kept, summary.dropped) == (6, 2, {"similar": 3, "short": 1})
    assert summary.without_tokens == 0
    assert seen == [(done, 6) for done in range(1, 7)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl", "pool.jsonl"]


words = st.sampled_from(["ape", "bee", "cat", "dog", "eel", "map"])
instructions = st.lists(st.lists(words, max_size=8).map(" ".join), max_size=10)


@settings(max_examples=60, deadline=None)
@given(instructions, instructions, st.sampled_from([0.25, 0.5, 0.7, 0.85, 1.0]))
def test_without_heuristics_every_line_is_what_rouge_score_says(tmp_path_factory, pool, candidates, threshold):
    folder = tmp_path_factory.mktemp("filter")
    out = folder / "out.jsonl"
    filter_file(
        write(folder / "in.jsonl", candidates),
        out,
        threshold=threshold,
        pool=write(folder / "pool.jsonl", pool),
        heuristics=False,
    )
    members = [("pool", number, text) for number, text in enumerate(pool)]
    expected = []
    for number, text in enumerate(candidates):
        values = [SCORER.score(text, other)["rougeL"].fmeasure for _, _, other in members]
        best = max(values, default=0)
        evidence = (best, *reversed(members[values.index(best)][:2])) if best >= 0.5 else ()
        expected.append(row(number, "similar" if best > threshold else None, *evidence))
        if best <= threshold:
            members.append(("input", number, text))
    assert read(out) == expected


def test_heuristics_can_be_left_out_and_texts_without_tokens_are_counted(tmp_path):
    source = write(tmp_path / "in.jsonl", ["번역해 주세요", "번역해 주세요", ""])
    summary = filter_file(source, tmp_path / "out", threshold=0.85, heuristics=False)
    assert (summary.kept, summary.without_tokens) == (3, 2)
    summary = filter_file(source, tmp_path / "out", threshold=0.85, tokenizer="unicode")
    assert summary.dropped == {"similar": 1, "empty": 1}
    assert [line["reason"] for line in read(tmp_path / "out")] == [None, "similar", "empty"]


def test_other_fields_are_ignored_and_an_empty_output_is_no_fault(tmp_path):
    source = tmp_path / "in.jsonl"
    line = b'{"instruction": "Name three bright colours", "output": "", "input": 5}\r\n'
    source.write_bytes(b"\xef\xbb\xbf" + line + b"\n\r\n")
    assert filter_file(source, tmp_path / "out", threshold=1).kept == 1


def test_an_empty_file_gives_an_empty_file(tmp_path):
    source = write(tmp_path / "in.jsonl", [])
    assert filter_file(source, tmp_path / "out", threshold=0.85).total == 0
    assert (tmp_path / "out").read_bytes() == b""


def test_a_very_long_line_is_judged_like_any_other(tmp_path):
    long = " ".join(str(number) for number in range(200_000))
    source = write(tmp_path / "in.jsonl", [long, long])
    assert filter_file(source, tmp_path / "out", threshold=0.85).dropped == {"long": 2}
    assert filter_file(source, tmp_path / "out", threshold=0.85, heuristics=False).dropped == {"similar": 1}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'["Name three bright colours"]', "object"),
        (b"{}", "no instruction"),
        (b'{"instruction": null}', "NoneType"),
        (b'{"instruction": 7}', "int"),
        (b"", "blank"),
        (b'{"instruction": "\xff"}', "UTF-8"),
    ],
)
@pytest.mark.parametrize("place", ["source", "pool"])
def test_a_wrong_line_is_named_and_nothing_is_written(tmp_path, line, fault, place):
    good = b'{"instruction": "Name three bright colours"}\n'
    wrong, right, out = tmp_path / "wrong.jsonl", tmp_path / "right.jsonl", tmp_path / "out.jsonl"
    wrong.write_bytes(good + good + line + b"\n" + good)
    right.write_bytes(good)
    out.write_text("as it was")
    source, pool = (wrong, right) if place == "source" else (right, wrong)
    with pytest.raises(InputError) as error:
        filter_file(source, out, threshold=0.85, pool=pool)
    assert f"Line 3 of {wrong}" in str(error.value)
    assert fault in str(error.value)
    assert error.value.next_step
    assert out.read_text() == "as it was"
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("threshold", [0, -1, 1.0001, float("nan"), float("inf")])
def test_an_impossible_threshold_is_refused(tmp_path, threshold):
    source = write(tmp_path / "in.jsonl", ["Name three bright colours"])
    with pytest.raises(InputError, match="threshold"):
        filter_file(source, tmp_path / "out", threshold=threshold)
    assert not (tmp_path / "out").exists()


def test_what_is_read_is_never_overwritten(tmp_path):
    source = write(tmp_path / "in.jsonl", ["Name three bright colours"])
    other = write(tmp_path / "other.jsonl", ["Name three bright colours"])
    link = tmp_path / "link.jsonl"
    os.link(source, link)
    before = source.read_bytes()
    for out, pool in ((source, None), (link, None), (tmp_path / "." / "in.jsonl", None), (other, other)):
        with pytest.raises(InputError, match="overwritten"):
            filter_file(source, out, threshold=0.85, pool=pool)
    assert source.read_bytes() == before


def test_places_that_are_not_there_are_named(tmp_path):
    source = write(tmp_path / "in.jsonl", ["Name three bright colours"])
    with pytest.raises(NotFoundError, match=r"nowhere\.jsonl"):
        filter_file(tmp_path / "nowhere.jsonl", tmp_path / "out", threshold=0.85)
    for out in (tmp_path / "no" / "out", tmp_path):
        with pytest.raises(InputError, match="no"):
            filter_file(source, out, threshold=0.85)


def test_the_bench_finds_no_difference_to_alpacas_loop_and_a_large_gain():
    report = run(sizes=(50, 400), candidates=20, reference_candidates=5)
    assert [pool["different"] for pool in report["pools"]] == [0, 0]
    assert report["pools"][1]["ratio"] > 20
    assert report["texts"] == 420
    assert report["candidates"] == 20
