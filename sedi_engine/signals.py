"""Loss over a frozen language-model head, with the per-example signals that fall out of it for free.

With z = hWᵀ, p = softmax(z) and a = p − onehot(y), one matrix `a` gives the loss's gradient dh = aW and both
signals of Paul et al., 2021: EL2N, the row norms of `a`, and last-layer GraNd, the norm of Σ a hᵀ. The gradient
is worked out in the forward pass, so that no logits outlive an example.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# Logits of one chunk: 512 tokens × 49,152 words × 4 bytes = 100 MB.
TOKENS_PER_CHUNK = 512


@dataclass(frozen=True)
class ExampleLoss:
    """One example's loss and signals; each but `nll` is free of the graph.

    nll: Σ of the negative log-likelihoods of its T response tokens, differentiable by the hidden states.
    loss: nll / T. el2n: mean of |p − onehot| over tokens. grand: |Σ (p − onehot) hᵀ| / T.
    """

    nll: Tensor
    loss: Tensor
    el2n: Tensor
    grand: Tensor


def example_loss(hidden: Tensor, weight: Tensor, targets: Tensor) -> ExampleLoss:
    """Loss of the tokens `targets` (T,), T >= 1, predicted from `hidden` (T, d) by the head `weight` (V, d).

    The head is taken as frozen: its weight gets no gradient. Half precision is raised to float32 for the softmax.
    Several examples make a batch loss as Σ nll / Σ T over the whole batch.
    """
    nll, el2n, grand = _HeadLoss.apply(hidden, weight, targets)
    return ExampleLoss(nll, nll.detach() / len(targets), el2n, grand)


class _HeadLoss(torch.autograd.Function):
    """Σ nll, mean EL2N and GraNd of one example; only the first is differentiable."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        length = len(targets)
        nll = el2n = product = torch.zeros((), device=hidden.device)
        gradients = []
        for h, y in zip(hidden.split(TOKENS_PER_CHUNK), targets.split(TOKENS_PER_CHUNK), strict=True):
            token_nll, a = _residuals(h, weight, y)
            nll = nll + token_nll.sum()
            el2n = el2n + a.norm(dim=1).sum()
            h = h.to(a.dtype)
            product = (a @ a.T) * (h @ h.T) if length <= TOKENS_PER_CHUNK else product + a.T @ h
            if ctx.needs_input_grad[0]:
                gradients.append(a.to(weight.dtype) @ weight)
        ctx.save_for_backward(*gradients)
        # A whole example fits the Gram form, T²(V + d); a longer one needs the product AᵀH itself, V×d.
        norm = product.sum().clamp(min=0).sqrt() if length <= TOKENS_PER_CHUNK else product.norm()
        grand = norm / length
        el2n = el2n / length
        ctx.mark_non_differentiable(el2n, grand)
        return nll, el2n, grand

    @staticmethod
    def backward(ctx: Any, nll_gradient: Tensor, *unused: Tensor) -> tuple[Tensor, None, None]:
        gradient = torch.cat(ctx.saved_tensors)
        return gradient * nll_gradient.to(gradient.dtype), None, None


def _residuals(hidden: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Token losses (T,) and a = p − onehot (T, V); the logits are turned into `a` in place."""
    z = hidden @ weight.T
    z = z if z.dtype == torch.float64 else z.float()
    log_sum = z.logsumexp(dim=1)
    rows = torch.arange(len(targets), device=targets.device)
    token_nll = log_sum - z[rows, targets]
    a = z.sub_(log_sum[:, None]).exp_()
    a[rows, targets] -= 1
    return token_nll, a
