import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedi_engine.embed import Embedder, batches_by_length, example_text
from sedi_engine.errors import WeightsError


@pytest.fixture(scope="module")
def embedder():
    return Embedder()


def test_vectors_are_unit_float32_in_the_order_of_the_texts(embedder):
    texts = ["What is the capital of France?", "Bake bread." * 40, "", "日本語のテキスト", "Name France's capital."]
    vectors = embedder.encode(texts)
    assert vectors.shape == (5, 384) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[4] > 0.7 > vectors[0] @ vectors[1]
    for text, vector in zip(texts, vectors, strict=True):
        assert embedder.encode([text])[0] == pytest.approx(vector, abs=1e-6)


def test_equal_texts_have_equal_vectors_and_progress_counts_distinct_ones(embedder):
    seen = []
    texts = ["Write a poem about rain.", "Add 2 and 3.", "Write a poem about rain."]
    vectors = embedder.encode(texts, lambda done, total: seen.append((done, total)))
    assert (vectors[0] == vectors[2]).all() and (vectors[0] != vectors[1]).any()
    assert seen[-1] == (2, 2)


def test_no_texts_no_vectors(embedder):
    assert embedder.encode([]).shape == (0, 384)


def test_a_model_that_is_not_there_is_said_in_words(tmp_path):
    with pytest.raises(WeightsError, match="cannot be loaded"):
        Embedder(str(tmp_path))


@given(st.lists(st.integers(0, 3000), max_size=60), st.integers(1, 2048))
def test_batches_hold_every_text_once_within_the_budget(lengths, budget):
    batches = list(batches_by_length(lengths, budget))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= budget


def test_an_input_stands_under_its_instruction():
    assert example_text("Add.", "2 and 3") == "Add.\n2 and 3"
    assert example_text("Add.") == "Add."
