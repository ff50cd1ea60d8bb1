"""The index against rouge-score itself: values to the last bit, decisions, nearest text."""

import json
import random
import time
import unicodedata
from fractions import Fraction
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score import rouge_scorer, tokenizers

from sedi_engine.filters import rouge
from sedi_engine.filters.rouge import RougeIndex, tokenize

SCORER = rouge_scorer.RougeScorer(["rougeL"])
REFERENCE = tokenizers.DefaultTokenizer(use_stemmer=False)

words = st.sampled_from(["the", "the", "a", "A", "cat", "Dog's", "ran", "far", "7", "é", "日本", "--", "\u212a"])
texts = st.lists(words, max_size=9).map(" ".join)
pools = st.lists(texts, max_size=12)


def f1(one: str, other: str) -> float:
    return SCORER.score(one, other)["rougeL"].fmeasure


def nearest_by_loop(pool: list[str], text: str, at_least: float) -> tuple[int, float] | None:
    values = [f1(text, other) for other in pool]
    best = max(values, default=0)
    return (values.index(best), best) if best and best >= at_least else None


def index_of(pool: list[str], tokenizer: rouge.Tokenizer = "rouge") -> RougeIndex:
    index = RougeIndex(tokenizer)
    assert [index.add(text) for text in pool] == list(range(len(pool)))
    assert len(index) == len(pool)
    return index


@given(st.text(max_size=60))
def test_rouge_tokens_are_those_of_rouge_score(text):
    assert tokenize(text, "rouge") == REFERENCE.tokenize(text)


@given(st.text(alphabet=[chr(code) for code in range(128)], max_size=60))
def test_both_tokenizers_agree_on_ascii(text):
    assert tokenize(text, "unicode") == tokenize(text, "rouge")


@settings(max_examples=300)
@given(pools, texts, st.sampled_from([0.01, 0.3, 0.5, 0.7, 0.85, 1.0]))
def test_nearest_is_what_a_loop_over_rouge_score_finds(pool, text, at_least):
    assert index_of(pool).nearest(text, at_least) == nearest_by_loop(pool, text, at_least)


@given(pools, texts, st.fractions(Fraction(1, 2), 1, max_denominator=18))
def test_decisions_at_the_very_boundary_are_those_of_rouge_score(pool, text, boundary):
    threshold = float(boundary)
    match = index_of(pool).nearest(text, threshold)
    assert (match is not None and match.f1 > threshold) == any(f1(text, other) > threshold for other in pool)


@given(st.lists(st.text(alphabet="日本語abc한국 は", max_size=10), max_size=8), st.text(alphabet="日本語abc한국 は"))
def test_unicode_index_is_rouge_score_over_unicode_tokens(pool, text):
    class UnicodeTokens:
        def tokenize(self, text):
            return tokenize(text, "unicode")

    scorer = rouge_scorer.RougeScorer(["rougeL"], tokenizer=UnicodeTokens())
    values = [scorer.score(text, other)["rougeL"].fmeasure for other in pool]
    best = max(values, default=0)
    expected = (values.index(best), best) if best >= 0.5 else None
    assert index_of(pool, "unicode").nearest(text) == expected


@given(pools, texts)
def test_more_terms_than_code_points_changes_nothing(pool, text):
    expected = index_of(pool).nearest(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rouge, "LAST_CODE_POINT", 3)
        assert index_of(pool).nearest(text) == expected


def test_long_texts_beyond_the_signature_are_exact():
    rng = random.Random(5)
    vocabulary = [f"w{number}" for number in range(400)]
    base = [rng.choice(vocabulary) for _ in range(300)]
    pool = []
    for share in (0.05, 0.2, 0.35, 0.5, 0.65, 0.8):
        pool.append(" ".join(rng.choice(vocabulary) if rng.random() < share else word for word in base))
    for text in (" ".join(base), " ".join(base[:200]), " ".join(base[100:] + base[:100]), *pool):
        assert index_of(pool).nearest(text) == nearest_by_loop(pool, text, 0.5)


def real_like(count: int) -> list[str]:
    """Recombined seed instructions, many of them with a few words changed: F1 of every size, copies too."""
    lines = (files("sedi_engine") / "data" / "seeds.jsonl").read_text("utf-8").splitlines()
    seeds = [json.loads(line)["instruction"] for line in lines]
    rng, made = random.Random(11), []
    while len(made) < count:
        one, other = (rng.choice(seeds).split() for _ in range(2))
        text = one[: len(one) // 2 + 1] + other[len(other) // 2 :]
        if made and rng.random() < 0.6:
            text = rng.choice(made).split()
            for _ in range(rng.randint(0, 4)):
                text[rng.randrange(len(text))] = rng.choice(rng.choice(seeds).split())
        made.append(" ".join(text))
    return made


def test_a_growing_pool_of_300_instructions_is_judged_as_rouge_score_judges_it():
    candidates = real_like(300)
    tokens = [REFERENCE.tokenize(text) for text in candidates]
    values = [
        [rouge_scorer._score_lcs(tokens[late], tokens[early]).fmeasure for early in range(late)]
        for late in range(len(candidates))
    ]
    for threshold in (0.7, 0.85):
        index, members, dropped = RougeIndex(), [], 0
        for number, text in enumerate(candidates):
            best = max((values[number][member] for member in members), default=0)
            match = index.nearest(text)
            if best >= 0.5:
                first = next(at for at, member in enumerate(members) if values[number][member] == best)
                assert match == (first, best)
            else:
                assert match is None
            if best > threshold:
                dropped += 1
            else:
                index.add(text)
                members.append(number)
        assert 30 < dropped < 270


def test_texts_without_latin_letters_score_nothing_under_rouge_and_everything_under_unicode():
    assert index_of(["이 문장을 번역해 주세요"]).nearest("이 문장을 번역해 주세요") is None
    assert index_of(["이 문장을 번역해 주세요"], "unicode").nearest("이 문장을 번역해 주세요") == (0, 1.0)


@pytest.mark.parametrize("at_least", [0, -0.1, 1.01, float("nan")])
def test_an_impossible_floor_is_refused(at_least):
    with pytest.raises(ValueError, match="at_least"):
        index_of(["a b"]).nearest("a b", at_least)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Schöne Straße, ÜBER-All!", ["schöne", "strasse", "über", "all"]),
        ("日本語でTest 12個", ["日", "本", "語", "で", "test", "12", "個"]),
        ("한국어로 쓰기", ["한", "국", "어", "로", "쓰", "기"]),
        ("スーパー ｶﾞｲﾄﾞ", ["ス", "ー", "パ", "ー", "ガ", "イ", "ド"]),
        ("ＦＵＬＬ ﬁne ①", ["full", "fine", "1"]),
        ("हिन्दी में लिखो", ["हिन्दी", "में", "लिखो"]),
        ("«¿Qué tal?» don’t", ["qué", "tal", "don", "t"]),
        ("co\u00adop\u200dted zero\u200bspace", ["coopted", "zero", "space"]),
        ("❤\ufe0f ok 👍🏽", ["ok"]),
        ("snake_case \ud800 \x00", ["snake", "case"]),
        ("人々〇", ["人", "々", "〇"]),
        ("", []),
    ],
)
def test_unicode_tokens(text, tokens):
    assert tokenize(text, "unicode") == [unicodedata.normalize("NFKC", token) for token in tokens]


@given(st.text(max_size=40))
def test_unicode_tokens_do_not_depend_on_the_normal_form(text):
    forms = {tuple(tokenize(unicodedata.normalize(form, text), "unicode")) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    assert len(forms) == 1


def test_a_hostile_run_of_combining_marks_costs_little():
    started = time.process_time()
    tokenize("a" + "\u0315\u0300" * 100_000, "unicode")
    assert time.process_time() - started < 10
