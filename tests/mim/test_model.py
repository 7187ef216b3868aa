"""The whole model: what padding, batch mates and absent modalities may not change, and its options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from mimdata.mim.batch import Batch, TokenBatch
from mimdata.mim.config import TrainConfig
from mimdata.mim.model import Mim
from mimdata.mim.objective import losses, targets
from mimdata.pipeline.errors import MimdataError

DIMS = {"text": 6, "audio": 4, "vision": 3}
SMALL = TrainConfig(width=10, steps=12, layers=1)
BuildBatch = Callable[..., Batch]
FUSIONS = ["add", "multiplication", "concatenation", "tensor"]


def build(config: TrainConfig = SMALL, **changes: object) -> Mim:
    """A model in evaluation mode whose gates are near their threshold, so that they open and shut."""
    torch.manual_seed(0)
    model = Mim(replace(config, **changes), DIMS)  # type: ignore[arg-type]
    with torch.no_grad():
        for purifier in model.purifiers.values():
            purifier.w4.weight.mul_(8)
            purifier.w4.bias.normal_(-2.3, 0.5)
    return model.eval()


def absent(batch: Batch, modality: str, rows: list[int]) -> Batch:
    """The batch with a modality marked absent, and garbage in its place, in some rows."""
    valid, values = batch.valid[modality].clone(), batch.values[modality].clone()
    valid[rows], values[rows] = False, torch.nan
    return replace(batch, values={**batch.values, modality: values}, valid={**batch.valid, modality: valid})


def select(batch: Batch, row: int) -> Batch:
    """One utterance by itself, without padding."""
    n = int(batch.lengths[row])
    return Batch(
        {m: v[row : row + 1, :n] for m, v in batch.values.items()},
        {m: v[row : row + 1, :n] for m, v in batch.valid.items()},
        batch.lengths[row : row + 1],
        batch.sentiment[row : row + 1],
        batch.emotions[row : row + 1],
        batch.clip_ids[row : row + 1],
    )


def test_gates_of_these_tests_both_open_and_shut(random_batch: BuildBatch) -> None:
    output = build()(random_batch([12] * 8))
    assert 0.1 < output.gates.mean() < 0.9


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("padding", ["masked", "reference"])
def test_a_clip_alone_is_predicted_as_beside_longer_ones(
    random_batch: BuildBatch, fusion: str, padding: str
) -> None:
    model, batch = build(fusion=fusion, padding=padding), random_batch([5, 3, 12, 7])
    together = model(batch).prediction
    for row in range(4):
        alone = model(select(batch, row)).prediction
        assert alone.item() == pytest.approx(together[row].item(), abs=1e-6)


def test_what_lies_in_padding_does_not_matter(random_batch: BuildBatch) -> None:
    model, batch = build(), random_batch([5, 3, 12])
    noisy = {
        m: torch.where(batch.valid[m].unsqueeze(-1), v, torch.full_like(v, torch.nan))
        for m, v in batch.values.items()
    }
    assert torch.equal(model(batch).prediction, model(replace(batch, values=noisy)).prediction)


def test_reference_padding_attends_and_is_averaged_in(random_batch: BuildBatch) -> None:
    batch = random_batch([5, 3])
    masked, reference = build()(batch), build(padding="reference")(batch)
    assert reference.steps.shape == (2, 3, 12)
    assert reference.steps.all()
    assert not torch.allclose(masked.prediction, reference.prediction, atol=1e-4)
    padded = torch.nn.functional.pad(batch.values["text"], (0, 0, 0, 7))
    hidden = build().encoders["text"](padded, torch.ones(2, 12, dtype=torch.bool))
    torch.testing.assert_close(reference.unpurified[:, 0], torch.tanh(hidden).sum(1) / 12)


def test_two_evaluations_are_equal(random_batch: BuildBatch) -> None:
    model, batch = build(), random_batch([5, 3])
    assert torch.equal(model(batch).prediction, model(batch).prediction)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("padding", ["masked", "reference"])
def test_what_an_absent_modality_holds_does_not_matter(
    random_batch: BuildBatch, fusion: str, padding: str
) -> None:
    model, batch = build(fusion=fusion, padding=padding), random_batch([5, 3, 7])
    one = model(absent(batch, "audio", [0, 2]))
    other = model(
        absent(replace(batch, values={**batch.values, "audio": batch.values["audio"] * 9}), "audio", [0, 2])
    )
    assert torch.equal(one.prediction[[0, 2]], other.prediction[[0, 2]])
    assert one.present.tolist() == [[True, False, True], [True] * 3, [True, False, True]]
    full = model(batch)
    # The row that has everything does not notice its mates' gaps.
    torch.testing.assert_close(one.prediction[1], full.prediction[1])
    assert not torch.allclose(one.prediction[0], full.prediction[0])


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("kept", [["text"], ["audio"], ["vision"], ["text", "vision"]])
def test_a_model_of_three_answers_on_any_two_or_one(
    random_batch: BuildBatch, fusion: str, kept: list[str]
) -> None:
    model, batch = build(fusion=fusion).train(), random_batch([5, 3, 7])
    for modality in DIMS:
        if modality not in kept:
            batch = absent(batch, modality, [0, 1, 2])
    output = model(batch)
    found = losses(output, targets(batch, "sentiment"), model.config)
    (found.everything + found.purifier).backward()
    assert torch.isfinite(output.prediction).all()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert torch.isfinite(parameter.grad).all(), name
            for modality in DIMS:
                if modality not in kept and f".{modality}." in name:
                    assert parameter.grad.abs().sum() == 0, f"{name} learned of an absent modality"


def test_purified_mean_over_all_steps_or_those_kept(random_batch: BuildBatch) -> None:
    batch = random_batch([12, 8])
    everything, kept = build()(batch), build(mean="kept")(batch)
    opened, steps = everything.gates.sum(-1, keepdim=True), everything.steps.sum(-1, keepdim=True)
    torch.testing.assert_close(everything.purified * steps, kept.purified * opened.clamp(min=1))


def test_without_purification_purified_is_unpurified(random_batch: BuildBatch) -> None:
    model = build(purify=False)
    output = model(random_batch([5, 3]))
    assert torch.equal(output.purified, output.unpurified)
    assert output.penalties.sum() == 0
    assert model.purifier_parameters() == []


@pytest.mark.parametrize("activation", ["tanh", "relu", "identity"])
def test_unpurified_is_the_mean_of_the_activation(random_batch: BuildBatch, activation: str) -> None:
    model, batch = build(activation=activation), random_batch([5, 3])
    f = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0), "identity": lambda x: x}[activation]
    hidden = model.encoders["audio"](batch.values["audio"], batch.valid["audio"]).detach().numpy()
    expected = [f(hidden[0, :5]).mean(0), f(hidden[1, :3]).mean(0)]
    np.testing.assert_allclose(model(batch).unpurified[:, 1].detach(), expected, atol=1e-6)


def test_classifiers_are_shared_by_purified_and_unpurified(random_batch: BuildBatch) -> None:
    model = build()
    output = model(random_batch([5, 3]))
    for i, modality in enumerate(DIMS):
        classify = model.classifiers[modality]
        torch.testing.assert_close(output.from_unpurified[:, i], classify(output.unpurified[:, i]))
        torch.testing.assert_close(output.from_purified[:, i], classify(output.purified[:, i]))


def test_modalities_of_other_names_and_numbers() -> None:
    torch.manual_seed(0)
    model = Mim(replace(SMALL, modalities=("gaze", "pulse")), {"gaze": 2, "pulse": 1}).eval()
    valid = torch.ones(2, 4, dtype=torch.bool)
    batch = Batch(
        {"gaze": torch.randn(2, 4, 2), "pulse": torch.randn(2, 4, 1)},
        {"gaze": valid, "pulse": valid},
        torch.tensor([4, 4]),
        torch.zeros(2),
        torch.zeros(2, 0),
        ("a", "b"),
    )
    assert model(batch).prediction.shape == (2, 1)


def test_several_outputs_for_emotions(random_batch: BuildBatch) -> None:
    torch.manual_seed(0)
    config = replace(SMALL, task="emotions")
    model = Mim(config, DIMS, outputs=2)
    nan = torch.nan
    batch = replace(random_batch([5, 3]), emotions=torch.tensor([[0.0, 2.0], [nan, 1.0]]))
    output = model(batch)
    found = losses(output, targets(batch, "emotions"), config)
    log_sigmoid = torch.nn.functional.logsigmoid
    first = -(log_sigmoid(-output.prediction[0, 0]) + log_sigmoid(output.prediction[0, 1])) / 2
    second = -log_sigmoid(output.prediction[1, 1])
    torch.testing.assert_close(found.fused, (first + second) / 2)


def test_losses_by_hand(random_batch: BuildBatch) -> None:
    model, batch = build(), random_batch([5, 3, 7])
    output, y = model(batch), batch.sentiment
    found = losses(output, targets(batch, "sentiment"), model.config)
    torch.testing.assert_close(found.fused, (output.prediction[:, 0] - y).abs().mean())
    expected = sum((output.from_purified[:, m, 0] - y).abs().mean() for m in range(3))
    torch.testing.assert_close(found.purified, expected)
    torch.testing.assert_close(found.penalty, 0.1 * output.penalties.sum())
    torch.testing.assert_close(found.purifier, found.penalty + found.purified)
    torch.testing.assert_close(found.everything, found.unpurified + found.inter + found.intra + found.fused)
    off = losses(output, targets(batch, "sentiment"), replace(model.config, intra=False, inter=False))
    assert off.intra.item() == off.inter.item() == 0
    assert found.inter.item() > 0


def test_word_states_of_a_fine_tuned_encoder(random_batch: BuildBatch) -> None:
    from transformers import BertConfig, BertModel

    from mimdata.mim.text_encoder import TextEncoder, from_description

    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    encoder = TextEncoder(BertModel(shape, add_pooling_layer=False)).eval()
    ids = torch.tensor([[1, 7, 8, 9, 2], [1, 5, 2, 0, 0]])
    real = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    steps = torch.tensor([[-1, 0, 0, 2, -1], [-1, 1, -1, -1, -1]])
    states, there = encoder(TokenBatch(ids, real, steps), 3)
    raw = encoder.encoder(input_ids=ids, attention_mask=real.long()).last_hidden_state
    assert there.tolist() == [[True, False, True], [False, True, False]]
    torch.testing.assert_close(states[0, 0], (raw[0, 1] + raw[0, 2]) / 2)
    torch.testing.assert_close(states[0, 2], raw[0, 3])
    torch.testing.assert_close(states[1, 1], raw[1, 1])
    assert states[0, 1].abs().sum() == 0  # [CLS] and [SEP] went nowhere
    rebuilt = from_description(encoder.describe())
    assert rebuilt.encoder.state_dict().keys() >= encoder.encoder.state_dict().keys()
    model = Mim(replace(SMALL, finetune_text=True), DIMS, text_encoder=encoder)
    batch = replace(random_batch([3, 2]), tokens=TokenBatch(ids, real, steps))
    output = model(batch)
    output.prediction.sum().backward()
    assert encoder.encoder.embeddings.word_embeddings.weight.grad.abs().sum() > 0
    assert output.steps[:, 0].tolist() == [[True, False, True], [False, True, False]]


def test_a_token_beyond_the_vocabulary_is_named() -> None:
    from transformers import BertConfig, BertModel

    from mimdata.mim.text_encoder import TextEncoder

    shape = BertConfig(
        vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    encoder = TextEncoder(BertModel(shape, add_pooling_layer=False))
    ids, real, steps = torch.tensor([[1, 50]]), torch.ones(1, 2, dtype=torch.bool), torch.tensor([[-1, 0]])
    with pytest.raises(MimdataError, match="token id 50 is beyond the encoder's vocabulary of 50"):
        encoder(TokenBatch(ids, real, steps), 1)
