import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sedi_engine.signals import TOKENS_PER_CHUNK, example_loss


def plain(hidden, weight, targets):
    """Loss, its gradient and the signals by torch's own autograd, straight from their definitions."""
    hidden, weight = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
    logits = hidden @ weight.T
    nll = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    hidden_gradient, weight_gradient, a = torch.autograd.grad(nll, (hidden, weight, logits))
    return nll, hidden_gradient, a.norm(dim=1).mean(), weight_gradient.norm() / len(targets)


def make(tokens: int, words: int, width: int, seed: int, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(tokens, width, generator=generator, dtype=dtype)
    weight = torch.randn(words, width, generator=generator, dtype=dtype)
    return hidden, weight, torch.randint(words, (tokens,), generator=generator)


def check(hidden, weight, targets, tolerance):
    nll, gradient, el2n, grand = plain(hidden, weight, targets)
    hidden = hidden.clone().requires_grad_()
    fused = example_loss(hidden, weight, targets)
    (0.25 * fused.nll).backward()
    torch.testing.assert_close(fused.nll, nll, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(hidden.grad, 0.25 * gradient, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(fused.loss, nll.detach() / len(targets), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(fused.el2n, el2n, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(fused.grand, grand, rtol=tolerance, atol=tolerance)


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(2, 40), st.integers(1, 9), st.integers(0, 10**6))
def test_everything_agrees_with_autograd(tokens, words, width, seed):
    check(*make(tokens, words, width, seed), tolerance=1e-9)


@pytest.mark.parametrize("tokens", [TOKENS_PER_CHUNK, TOKENS_PER_CHUNK + 1, 2 * TOKENS_PER_CHUNK + 7])
def test_examples_longer_than_a_chunk(tokens):
    check(*make(tokens, 30, 8, seed=1), tolerance=1e-9)


def test_float32_stays_close_to_float64():
    hidden, weight, targets = make(60, 500, 32, seed=2)
    exact = example_loss(hidden, weight, targets)
    rough = example_loss(hidden.float(), weight.float(), targets)
    for name in ("nll", "loss", "el2n", "grand"):
        torch.testing.assert_close(getattr(rough, name).double(), getattr(exact, name), rtol=1e-5, atol=1e-5)


def test_half_precision_is_raised_for_the_softmax():
    hidden, weight, targets = make(20, 50, 8, seed=3, dtype=torch.bfloat16)
    hidden.requires_grad_()
    fused = example_loss(hidden, weight, targets)
    fused.nll.backward()
    assert fused.nll.dtype == torch.float32 and hidden.grad.dtype == torch.bfloat16


def test_examples_together_make_the_loss_of_the_whole_batch():
    hidden, weight, targets = make(17, 25, 6, seed=4)
    whole = torch.nn.functional.cross_entropy(hidden @ weight.T, targets)
    parts = [example_loss(h, weight, y) for h, y in zip(hidden.split(5), targets.split(5), strict=True)]
    torch.testing.assert_close(sum(part.nll for part in parts) / 17, whole)


def test_huge_logits_give_finite_signals():
    hidden, weight, targets = make(5, 10, 4, seed=5)
    fused = example_loss(hidden * 1e6, weight, targets)
    assert all(torch.isfinite(value) for value in (fused.nll, fused.el2n, fused.grand))


def test_a_right_and_certain_prediction_has_no_signal():
    weight = torch.eye(4, dtype=torch.float64)
    fused = example_loss(1000 * weight, weight, torch.arange(4))
    assert fused.loss == fused.el2n == fused.grand == 0


def test_no_graph_is_kept_without_a_gradient():
    fused = example_loss(*make(5, 10, 4, seed=6))
    assert not fused.nll.requires_grad
    assert not (fused.loss.requires_grad or fused.el2n.requires_grad or fused.grand.requires_grad)
