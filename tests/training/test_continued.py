from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from conftest import GLOSSES, SENTENCES
from kgloss_hf.data.pairs import Pair
from kgloss_hf.models.extending import extend_tokenizer
from kgloss_hf.models.modeling import EncoderDecoderModel, build_model
from kgloss_hf.models.seq2seq import build_seq2seq
from kgloss_hf.models.step import OUTPUT_BIASES
from kgloss_hf.models.vocabulary import train_tokenizer
from kgloss_hf.models.warm_start import build_warm_model, warm_tokenizer
from kgloss_hf.runtime.modeling_rnn import RnnEncoderDecoderModel
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast
from kgloss_hf.training.continued import check_options, continued_model, earlier_data, make_room
from kgloss_hf.training.encoding import encode_pairs
from kgloss_hf.training.tokenizer_run import tokenizer_for
from kgloss_hf.training.trainer import TrainingArguments, build_trainer
from kgloss_hf.training.warm import WarmStartArguments, freeze_trained
from tests.command_server import Forks
from tests.pretrained import save_pretrained_model

TINY = {"preset": "tiny", "scores": {"tiny": {}}}


def test_options_that_the_model_brings_are_refused() -> None:
    assert check_options("MODEL", TINY, "tiny", {"tokenizer": None}) == "tiny"
    assert check_options("MODEL", {"preset": None, "scores": None}, None, {}) == "continued"
    with pytest.raises(
        ValueError, match="its preset is tiny; found --preset small, --vocab_size 0, --pretext P; leave"
    ):
        check_options("MODEL", TINY, "small", {"vocab_size": 0, "analyzer": None, "pretext": "P"})
    with pytest.raises(ValueError, match="found one of run_pretext.py; pass it as --pretext"):
        check_options("MODEL", {"preset": "tiny", "scores": {}}, None, {})


def test_what_the_model_says_of_generation_stays(
    tokenizer: KGlossTokenizerFast, checkpoint: str, tmp_path: Path
) -> None:
    model = EncoderDecoderModel.from_pretrained(checkpoint)
    model.generation_config.update(num_beams=3, max_length=20, encoder_repetition_penalty=2.0)
    model.config.gloss_types = {"몸": "old", "흙": "old"}
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    extended = extend_tokenizer(tokenizer, [["처음보는글로스"]])
    model = continued_model(str(tmp_path), extended, {"몸": "new", "처음보는글로스": "new"})
    make_room(model, 12)
    config = model.generation_config
    assert (config.num_beams, config.max_length, config.encoder_repetition_penalty) == (3, 20, 2.0)
    assert model.config.gloss_types == {"몸": "old", "흙": "old", "처음보는글로스": "new"}
    make_room(model, 500)
    assert config.max_length == 129  # all its positions, and [BOS]
    assert continued_model(str(tmp_path), extended, {}, num_beams=1).generation_config.num_beams == 1
    with pytest.raises(ValueError, match="num_beams: expected 1 or more, found 0"):
        continued_model(str(tmp_path), extended, {}, num_beams=0)


def test_the_rnn_goes_on_too(tokenizer: KGlossTokenizerFast, tmp_path: Path) -> None:
    build_model("rnn", tokenizer).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = continued_model(str(tmp_path), extend_tokenizer(tokenizer, [["처음보는글로스"]]), {})
    assert isinstance(model, RnnEncoderDecoderModel)
    assert model.output.out_features == len(tokenizer) + 1


@pytest.mark.parametrize("joined", [[], [0, 2]])
def test_a_model_with_a_pre_trained_encoder_goes_on(encoder: str, joined: list[int], tmp_path: Path) -> None:
    tokenizer = warm_tokenizer(encoder, GLOSSES, texts=SENTENCES)
    began = build_warm_model(encoder, tokenizer, preset="tiny", fresh_layers=1, joined_layers=joined)
    began.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    extended = extend_tokenizer(tokenizer, [["처음보는글로스"]])
    model = continued_model(str(tmp_path), extended, {})
    assert type(model) is type(began)
    if joined:
        freeze_trained(model, extended, WarmStartArguments(freeze_encoder=True))
        base = model.encoder.base
    else:
        with pytest.raises(ValueError, match="--freeze_encoder: expected --freeze_layers with this model"):
            freeze_trained(model, extended, WarmStartArguments(freeze_encoder=True))
        freeze_trained(model, extended, WarmStartArguments(freeze_layers=2))
        base = model.encoder.encoder.layer[:2]
    loss = one_step_of(model, extended, tmp_path / "run")
    assert loss > 0
    assert not any(parameter.requires_grad for parameter in base.parameters())
    glosses = model.decoder.get_input_embeddings().weight
    assert len(glosses) == extended.target_size


def test_a_whole_seq2seq_goes_on(tmp_path: Path) -> None:
    base = save_pretrained_model("bart", tmp_path / "base")
    tokenizer = warm_tokenizer(base, GLOSSES, texts=SENTENCES, seq2seq=True)
    build_seq2seq(base, tokenizer).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    extended = extend_tokenizer(tokenizer, [["처음보는글로스"]])
    model = continued_model(str(tmp_path / "model"), extended, {})
    with pytest.raises(ValueError, match="--freeze_layers: expected a model with a pre-trained encoder"):
        freeze_trained(model, extended, WarmStartArguments(freeze_layers=1))
    assert one_step_of(model, extended, tmp_path / "run") > 0


def one_step_of(model: Any, tokenizer: KGlossTokenizerFast, folder: Path) -> float:
    encoded = encode_pairs(tokenizer, [Pair(SENTENCES[0], ("몸", "처음보는글로스")), Pair(SENTENCES[2], ("그릇",))])
    arguments = TrainingArguments(
        **{"output_dir": str(folder), "max_steps": 1, "warmup_steps": 0, "use_cpu": True, "bf16": False},
        **{"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False},
    )
    trainer = build_trainer(model, tokenizer, arguments, encoded, encoded, None, share_embeddings=False)
    output = model.get_output_embeddings().weight
    before = output.clone()
    loss: float = trainer.train().training_loss
    assert not torch.equal(before, output)
    return loss


def test_untrained_it_keeps_its_answers(tokenizer: KGlossTokenizerFast, checkpoint: str) -> None:
    extended = extend_tokenizer(tokenizer, [["처음보는글로스"]])
    biases = [
        continued_model(checkpoint, extended, {}, release=release).decoder.get_output_embeddings().bias[-1].item()
        for release in (True, False)
    ]
    assert biases == [0, -10]


def test_earlier_data_stay_apart() -> None:
    def corpus(name: str, use: str, licence: str | None) -> dict[str, Any]:
        return {"name": name, "use": use, "license": licence}

    before = [
        corpus("pairs.csv", "glosses", "cc-by-nc-4.0"),
        corpus("gksl", "glosses", "mit"),
        corpus("kornli", "pretext", None),
        corpus("first.csv", "earlier glosses", "mit"),
    ]
    now = [corpus("pairs.csv", "glosses", "cc-by-4.0"), corpus("gksl", "glosses", "mit")]
    assert earlier_data(before, now) == [
        corpus("pairs.csv", "earlier glosses", "cc-by-nc-4.0"),  # another corpus of the same name
        corpus("kornli", "earlier pretext", None),
        corpus("first.csv", "earlier glosses", "mit"),
    ]


def test_tokenizer_of_a_run_gets_the_glosses_it_lacks(
    tokenizer: KGlossTokenizerFast, checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = [Pair("몸의 형태는 12m", ("몸", "모습", "Number/12"))]
    same = tokenizer_for(known, tmp_path, trained=checkpoint, extend=True)
    assert same.vocabulary_digest == tokenizer.vocabulary_digest
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().out == ""

    pairs = [*known, Pair("쀍 12층에 있다", ("처음보는글로스", "층", "12", "Alpha/m"))]
    extended = tokenizer_for(pairs, tmp_path, trained=checkpoint, extend=True)
    assert extended.glosses == [*tokenizer.glosses, "처음보는글로스", "층"]
    printed = capsys.readouterr().out
    assert "added 2 glosses of the training pairs (처음보는글로스, 층) to the" in printed
    assert "Words of the training sentences that are or contain [UNK]: 1 of" in printed
    kept = KGlossTokenizerFast.from_pretrained(tmp_path / "tokenizer")
    assert kept.vocabulary_digest == extended.vocabulary_digest
    resumed = tokenizer_for(pairs, tmp_path, trained=checkpoint, extend=True)
    assert resumed.vocabulary_digest == extended.vocabulary_digest


def test_names_that_a_model_copies_are_added_where_they_are_frequent(tmp_path: Path) -> None:
    made = train_tokenizer(SENTENCES, GLOSSES, vocab_size=300, copy_names=True)
    made.save_pretrained(tmp_path / "trained")
    pairs = [Pair("쿠스코로 가요", ("쿠스코", "가다")), *(Pair(f"{n} 송파로 가요", ("송파", "가다")) for n in range(4))]
    extended = tokenizer_for(pairs, tmp_path / "run", trained=str(tmp_path / "trained"), extend=True)
    assert extended.glosses == [*made.glosses, "가다", "송파"]


def test_a_run_goes_on_from_a_model(
    checkpoint: str, tokenizer: KGlossTokenizerFast, tmp_path: Path, forks: Forks
) -> None:
    options = ["--dataset=mcksg", f"--init_from={checkpoint}", f"--output_dir={tmp_path / 'run'}"]
    refused = forks.example("run_text2gloss.py", *options, "--vocabulary=words", "--preset=small")
    assert refused.returncode == 1
    assert "found --preset small, --vocabulary words; leave them out" in refused.stderr
    assert not (tmp_path / "run").exists()

    options += ["--num_train_epochs=0", "--eval_strategy=no", "--save_strategy=no", "--load_best_model_at_end=False"]
    options += ["--encoder_repetition_penalty=1", "--repetition_penalty=1"]  # otherwise chosen again
    result = forks.example("run_text2gloss.py", *options)
    assert result.returncode == 0, result.stderr[-3000:]
    folder = tmp_path / "run" / "model"
    extended = KGlossTokenizerFast.from_pretrained(folder)
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    added = len(extended.glosses) - len(tokenizer.glosses)
    assert f"added {added} glosses of the training pairs (" in result.stdout
    assert f"to the {len(tokenizer.glosses)} glosses of its vocabulary." in result.stdout
    assert metrics["init_from"] == {"base_model": None, "command": None, "added_glosses": added}
    assert [corpus["use"] for corpus in metrics["data"]] == ["glosses", "earlier glosses"]
    assert "init_from" in json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["data"]
    before, after = (load_file(Path(place) / "model.safetensors") for place in (checkpoint, folder))
    for name in before.keys() - set(OUTPUT_BIASES):  # in which word pieces that became glosses begin low
        assert torch.equal(after[name][: len(before[name])], before[name]), name
    assert "Training continued from a trained model" in (folder / "README.md").read_text("utf-8")
    answers = [
        EncoderDecoderModel.from_pretrained(place).generate(
            **tokenizer(SENTENCES[:1], return_tensors="pt"), num_beams=1, max_length=16
        )
        for place in (checkpoint, folder)
    ]
    assert torch.equal(*answers)
