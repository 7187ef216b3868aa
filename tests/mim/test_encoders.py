"""Encoders: the convolution, the positions, the attention layer, and what padding may not do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from mimdata.mim.encoders import AttentionLayer, Dropouts, TemporalConvolution, TransformerEncoder, sinusoids

NONE = Dropouts(0, 0, 0, 0)


def test_convolution_by_hand() -> None:
    encoder = TemporalConvolution(1, 1)
    encoder.convolution.weight.data = torch.tensor([[[1.0, 10.0, 100.0]]])
    values = torch.tensor([[[1.0], [2.0], [3.0]]])
    every = torch.ones(1, 3, dtype=torch.bool)
    # H[t] = 1·x[t−1] + 10·x[t] + 100·x[t+1]
    assert encoder(values, every).flatten().tolist() == [210, 321, 32]
    # A step that is not valid adds nothing to its neighbours and is zero itself.
    assert encoder(values, torch.tensor([[True, False, True]])).flatten().tolist() == [10, 0, 30]


def test_convolution_has_no_bias_and_reads_no_padding() -> None:
    encoder = TemporalConvolution(2, 4)
    values = torch.full((1, 3, 2), torch.nan)
    assert encoder(values, torch.zeros(1, 3, dtype=torch.bool)).abs().sum() == 0
    assert encoder.convolution.bias is None


def test_sinusoids_by_formula() -> None:
    table = sinusoids(4, 6)
    for t in range(4):
        for i in range(3):
            angle = t * 10_000 ** (-i / 2)
            assert table[t, i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[t, 3 + i].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_attention_layer_equals_torchs_own() -> None:
    torch.manual_seed(0)
    ours = AttentionLayer(10, 5, NONE).eval()
    theirs = nn.TransformerEncoderLayer(10, 5, 40, dropout=0, batch_first=True, norm_first=True).eval()
    pairs = [
        (theirs.self_attn.in_proj_weight, ours.queries_keys_values.weight),
        (theirs.self_attn.in_proj_bias, ours.queries_keys_values.bias),
        (theirs.self_attn.out_proj.weight, ours.gather.weight),
        (theirs.self_attn.out_proj.bias, ours.gather.bias),
        (theirs.linear1.weight, ours.widen.weight),
        (theirs.linear1.bias, ours.widen.bias),
        (theirs.linear2.weight, ours.narrow.weight),
        (theirs.linear2.bias, ours.narrow.bias),
    ]
    with torch.no_grad():
        for theirs_weight, ours_weight in pairs:
            assert theirs_weight is not None
            theirs_weight.copy_(ours_weight)
    z, mask = torch.randn(2, 6, 10), torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    expected = theirs(z, src_key_padding_mask=~mask)
    got = ours(z, mask[:, None, None, :])
    np.testing.assert_allclose(got[mask].detach(), expected[mask].detach(), atol=1e-5)


def test_padding_is_no_key_and_its_content_does_not_matter() -> None:
    torch.manual_seed(0)
    encoder = TransformerEncoder(3, width=10, heads=5, steps=12, dropouts=NONE).eval()
    values, mask = torch.randn(1, 12, 3), torch.arange(12)[None] < 7
    alone = encoder(values[:, :7], mask[:, :7])
    values[:, 7:] = torch.nan
    padded = encoder(values, mask)
    np.testing.assert_allclose(padded[:, :7].detach(), alone.detach(), atol=1e-6)
    assert padded[:, 7:].abs().sum() == 0


def test_a_row_without_any_step_is_zero_and_harms_no_gradient() -> None:
    encoder = TransformerEncoder(3, width=10, heads=5, steps=6)
    mask = torch.tensor([[False] * 4, [True] * 4])
    hidden = encoder(torch.randn(2, 4, 3), mask)
    hidden.sum().backward()
    assert hidden[0].abs().sum() == 0
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters() if p.grad is not None)


def test_gradcheck_of_the_transformer() -> None:
    torch.manual_seed(0)
    encoder = TransformerEncoder(2, width=4, heads=2, steps=5, layers=1, dropouts=NONE).double()
    mask = torch.tensor([[True, True, True], [True, False, True]])
    values = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: encoder(x, mask), (values,))


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of the 5 heads"):
        TransformerEncoder(3, width=12)
