from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, BatchEncoding, pipeline

from conftest import GLOSSES, SENTENCES
from kgloss_hf.models.modeling import PRESETS, build_model, freeze_unused, transfer
from kgloss_hf.runtime.configuration_kgloss import KGlossRnnConfig
from kgloss_hf.runtime.modeling_rnn import RnnEncoderDecoderModel, _AdditiveAttention
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast
from tests.command_server import Forks

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def batch(tokenizer: KGlossTokenizerFast) -> BatchEncoding:
    """Return four pairs of unequal length."""
    batch = tokenizer(SENTENCES, text_target=GLOSSES, padding=True, return_tensors="pt")
    batch["labels"][batch["labels"] == tokenizer.pad_token_id] = -100
    return batch


@pytest.fixture
def model(tokenizer: KGlossTokenizerFast) -> RnnEncoderDecoderModel:
    return build_model("rnn", tokenizer).eval()


@pytest.fixture(scope="module")
def trained(tokenizer: KGlossTokenizerFast, batch: BatchEncoding) -> RnnEncoderDecoderModel:
    """Return a small model that has memorised the four pairs."""
    with mock.patch.dict(PRESETS["rnn"].__dict__, {"hidden_size": 128, "embedding_size": 64}):
        model = build_model("rnn", tokenizer).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(100):
        optimizer.zero_grad()
        model(**batch).loss.backward()
        optimizer.step()
    return model.eval()


@pytest.fixture
def tiny() -> RnnEncoderDecoderModel:
    """Return a model with six ids, few enough for an exhaustive search: [PAD], [BOS], [EOS] and three glosses."""
    torch.manual_seed(3)
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    model = RnnEncoderDecoderModel(KGlossRnnConfig(vocab_size=6, embedding_size=4, hidden_size=8, **special)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    return model


def _until_end(sequence: torch.Tensor, end: int) -> list[int]:
    """Return a generated row without its padding, for which `generate` uses [EOS] if the id of [PAD] is 0."""
    ids = sequence.tolist()
    return ids[: ids.index(end) + 1] if end in ids else ids


def test_additive_attention_by_hand() -> None:
    attention = _AdditiveAttention(query_size=1, key_size=1, hidden_size=2)
    with torch.no_grad():
        attention.query.weight.copy_(torch.tensor([[1.0], [2.0]]))
        attention.query.bias.copy_(torch.tensor([0.0, 0.5]))
        attention.key.weight.copy_(torch.tensor([[3.0], [-1.0]]))
        attention.energy.weight.copy_(torch.tensor([[1.0, -2.0]]))
    encoded = torch.tensor([[[0.1], [0.2], [5.0]]])
    padding = torch.tensor([[False, False, True]])
    weights = attention(torch.tensor([[0.3]]), attention.key(encoded), padding)
    # v · tanh(W s + U h + b): tanh(0.3 + 0.3) - 2 tanh(0.6 + 0.5 - 0.1), tanh(0.3 + 0.6) - 2 tanh(0.6 + 0.5 - 0.2)
    energies = torch.tensor([0.537050 - 2 * 0.761594, 0.716298 - 2 * 0.716298])
    torch.testing.assert_close(weights[0, :2], energies.exp() / energies.exp().sum(), rtol=1e-5, atol=1e-6)
    assert weights[0, 2] == 0
    assert weights.sum().item() == pytest.approx(1)


def test_encoder_is_a_bidirectional_gru(model: RnnEncoderDecoderModel, batch: BatchEncoding) -> None:
    encoder = model.encoder
    stock = torch.nn.GRU(256, 512, batch_first=True, bidirectional=True)
    for suffix, half in (("", encoder.rightwards), ("_reverse", encoder.leftwards)):
        stock.load_state_dict({name + suffix: value for name, value in half.state_dict().items()}, strict=False)
    lengths = batch["attention_mask"].sum(1)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        encoder.embedding(batch["input_ids"]), lengths, batch_first=True, enforce_sorted=False
    )
    expected = torch.nn.utils.rnn.pad_packed_sequence(stock(packed)[0], batch_first=True)[0]
    states = encoder(batch["input_ids"], batch["attention_mask"])[0]
    real = batch["attention_mask"].bool()
    torch.testing.assert_close(states[real], expected[real])


def test_padding_changes_nothing(model: RnnEncoderDecoderModel, batch: BatchEncoding) -> None:
    targets = torch.tensor([[model.config.bos_token_id, 50, 60]])
    losses, tokens = [], []
    for row in range(4):
        length = batch["attention_mask"][row].sum()
        source = batch["input_ids"][row : row + 1]
        alone = model(source[:, :length], decoder_input_ids=targets).logits
        padded = model(source, batch["attention_mask"][row : row + 1], decoder_input_ids=targets).logits
        other = torch.where(batch["attention_mask"][row] == 1, source, 77)
        torch.testing.assert_close(padded, alone)
        torch.testing.assert_close(
            model(other, batch["attention_mask"][row : row + 1], decoder_input_ids=targets).logits, alone
        )
        labels = batch["labels"][row : row + 1]
        labels = labels[labels != -100].unsqueeze(0)
        losses.append(model(source[:, :length], labels=labels).loss * labels.numel())
        tokens.append(labels.numel())
    torch.testing.assert_close(model(**batch).loss, sum(losses) / sum(tokens))


@pytest.mark.parametrize("mask", [[0, 1, 1], [1, 0, 1], [0, 0, 0]])
def test_padding_elsewhere_is_refused(model: RnnEncoderDecoderModel, mask: list[int]) -> None:
    with pytest.raises(ValueError, match="padding_side='right'"):
        model.encoder(torch.tensor([[5, 6, 7]]), torch.tensor([mask]))


def test_loss_is_that_of_the_logits_and_restricted_that_of_what_is_emitted(
    model: RnnEncoderDecoderModel, batch: BatchEncoding
) -> None:
    labels = batch["labels"]
    inputs = torch.cat([torch.full((4, 1), model.config.bos_token_id), labels[:, :-1].clamp(min=0)], dim=1)
    logits = model(batch["input_ids"], batch["attention_mask"], decoder_input_ids=inputs).logits
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    torch.testing.assert_close(model(**batch).loss, expected)
    torch.testing.assert_close(model(**batch, num_items_in_batch=2 * (labels != -100).sum()).loss, expected / 2)
    logits[:, :, model.generation_config.suppress_tokens] = -torch.inf
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    model.token_loss.restrict(model.generation_config.suppress_tokens, model.config.vocab_size)
    torch.testing.assert_close(model(**batch).loss, expected)


@pytest.mark.parametrize("restricted", [False, True])
def test_every_parameter_gets_a_gradient(model: RnnEncoderDecoderModel, batch: BatchEncoding, restricted: bool) -> None:
    freeze_unused(model)
    if restricted:
        model.token_loss.restrict(model.generation_config.suppress_tokens, model.config.vocab_size)
    model.train()(**batch).loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_steps_one_by_one_give_what_the_whole_gives(model: RnnEncoderDecoderModel, batch: BatchEncoding) -> None:
    source = {
        "attention_mask": batch["attention_mask"],
        "encoder_outputs": model.encoder(batch["input_ids"], batch["attention_mask"]),
    }
    targets = torch.randint(5, 60, (4, 5))
    whole = model(**source, decoder_input_ids=targets).logits
    past, logits = None, []
    for step in targets.split(1, dim=1):
        output = model(**source, decoder_input_ids=step, past_key_values=past, use_cache=True)
        past = output.past_key_values
        logits.append(output.logits)
    torch.testing.assert_close(torch.cat(logits, dim=1), whole)


def test_learns_the_pairs_by_heart(
    trained: RnnEncoderDecoderModel, tokenizer: KGlossTokenizerFast, batch: BatchEncoding
) -> None:
    assert trained(**batch).loss.item() < 0.02
    for options in ({"num_beams": 1}, {"num_beams": 4}, {"num_beams": 4, "use_cache": False}):
        sequences = trained.generate(batch["input_ids"], attention_mask=batch["attention_mask"], **options)
        for row, labels in zip(sequences, batch["labels"], strict=True):
            assert _until_end(row[1:], tokenizer.eos_token_id) == labels[labels != -100].tolist()


def test_untrained_generation_emits_only_glosses(
    model: RnnEncoderDecoderModel, tokenizer: KGlossTokenizerFast, batch: BatchEncoding
) -> None:
    source = {name: batch[name] for name in ("input_ids", "attention_mask")}
    sequences = model.generate(**source, do_sample=True, num_beams=1, temperature=5.0, max_length=40)
    tokens = {token for row in sequences for token in tokenizer.convert_ids_to_tokens(row, skip_special_tokens=True)}
    assert len(tokens) > 10
    assert tokens <= {*tokenizer.glosses, "Number", "Alpha"}


@pytest.mark.parametrize("use_cache", [True, False])
def test_beam_search_finds_the_best_of_all(tiny: RnnEncoderDecoderModel, use_cache: bool) -> None:
    sources = torch.tensor([[1, 3, 4, 2], [1, 5, 2, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    output = tiny.generate(
        sources, attention_mask=mask, num_beams=27, max_length=5, length_penalty=0.0, suppress_tokens=[0, 1],
        use_cache=use_cache, return_dict_in_generate=True, output_scores=True,
    )  # fmt: skip
    for row in range(2):
        best: tuple[float, list[int]] = (-torch.inf, [])
        for length in range(1, 5):
            for glosses in itertools.product((3, 4, 5), repeat=length - 1):
                for last in (2,) if length < 4 else (2, 3, 4, 5):
                    target = torch.tensor([[1, *glosses, last]])
                    logits = tiny(sources[row : row + 1], mask[row : row + 1], decoder_input_ids=target[:, :-1]).logits
                    logits = logits[0].log_softmax(1)
                    score = logits.gather(1, target[0, 1:, None]).sum().item()
                    best = max(best, (score, target[0].tolist()))
        assert _until_end(output.sequences[row], end=2) == best[1]
        assert output.sequences_scores[row].item() == pytest.approx(best[0], abs=1e-4)


def test_saved_and_loaded(
    model: RnnEncoderDecoderModel, tokenizer: KGlossTokenizerFast, batch: BatchEncoding, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").exists()
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    assert type(loaded) is RnnEncoderDecoderModel
    source = {"input_ids": batch["input_ids"], "decoder_input_ids": batch["labels"].clamp(min=0)}
    assert torch.equal(loaded(**source).logits, model(**source).logits)
    assert loaded.generation_config.suppress_tokens == model.generation_config.suppress_tokens
    options = json.loads((tmp_path / "tokenizer_config.json").read_text("utf-8"))
    del options["tokenizer_class"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(options), "utf-8")
    assert type(AutoTokenizer.from_pretrained(tmp_path)) is KGlossTokenizerFast  # through the model's configuration


@pytest.mark.parametrize("task", ["text2text-generation", "text-to-gloss"])
def test_pipeline(trained: RnnEncoderDecoderModel, tokenizer: KGlossTokenizerFast, tmp_path: Path, task: str) -> None:
    trained.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    outputs = pipeline(task, model=str(tmp_path))(SENTENCES, batch_size=2)
    assert outputs[2]["glosses"] == ["이것", "흙", "그릇", "4C", "만들다", "완료"]
    assert outputs[0]["glosses"] == GLOSSES[0]


def test_no_transfer(model: RnnEncoderDecoderModel, tokenizer: KGlossTokenizerFast, checkpoint: str) -> None:
    with pytest.raises(ValueError, match="two BERTs, found RnnEncoderDecoderModel, which is trained from scratch"):
        transfer(model, tokenizer, checkpoint)


def test_learns_in_bfloat16(model: RnnEncoderDecoderModel, batch: BatchEncoding) -> None:
    expected = model(**batch).loss.item()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(**batch).loss
    loss.backward()
    assert loss.item() == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize(
    "first",
    [
        "AutoModelForSeq2SeqLM",
        *(pytest.param(f"EncoderDecoder{kind}", marks=pytest.mark.slow) for kind in ("Model", "Config")),
    ],
)
def test_registered_whatever_is_imported_first(first: str) -> None:
    code = (
        f"import kgloss_hf; from transformers import {first}\n"
        "from transformers import AutoConfig, AutoModelForSeq2SeqLM\n"
        "config = AutoConfig.for_model('kgloss-rnn', vocab_size=9, hidden_size=2)\n"
        "print(type(AutoModelForSeq2SeqLM.from_config(config)).__name__)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.split() == ["RnnEncoderDecoderModel"], result.stderr[-3000:]


def test_example_script(tmp_path: Path, forks: Forks) -> None:
    rows = [f"{sentence},{' '.join(glosses)}" for sentence, glosses in zip(SENTENCES[:3], GLOSSES[:3], strict=True)]
    (tmp_path / "pairs.csv").write_text("\n".join(["text,glosses", *(f"{n} {row}" for n in range(8) for row in rows)]))
    options = ["--preset=rnn", "--num_train_epochs=1", "--num_beams=1", f"--output_dir={tmp_path / 'run'}"]
    result = forks.example("run_text2gloss.py", f"--dataset={tmp_path}/pairs.csv", *options)
    assert result.returncode == 0, result.stderr[-3000:]
    metrics = json.loads((tmp_path / "run" / "model" / "metrics.json").read_text("utf-8"))
    assert set(metrics["scores"]) == {"copy", "nearest neighbour", "rnn"}
    text_to_gloss = pipeline("text2text-generation", model=str(tmp_path / "run" / "model"))
    assert type(text_to_gloss.model) is RnnEncoderDecoderModel
    assert set(text_to_gloss(SENTENCES[2])["glosses"]) <= {*text_to_gloss.tokenizer.glosses, "4C", "Number", "Alpha"}
