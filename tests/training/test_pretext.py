from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset
from safetensors.torch import load_file

from kgloss_hf.data.pairs import load_pairs
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast
from kgloss_hf.training.encoding import encode_pretext
from kgloss_hf.training.pretext import load_pretext, sentences, split_pretext
from tests.command_server import Forks


def _write_shard(folder: Path) -> None:
    """Write pairs of consecutive sentences of the sample, in place of back-translations."""
    (folder / "shards").mkdir(parents=True)
    texts = [pair.text for pair in load_pairs("mcksg")]
    rows = [
        {"source": source, "target": target, "origin": "mcksg", "engine": "none"}
        for source, target in zip(texts[::2], texts[1::2], strict=False)
    ]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "shards" / "00000.jsonl").write_text(lines, "utf-8")


def test_a_decomposed_sentence_stays_with_its_composed_form() -> None:
    texts = [f"문장 {n}" for n in range(20)]
    forms = [unicodedata.normalize("NFD", text) for text in texts]
    dataset = Dataset.from_dict({"source": texts + forms, "target": [text + "!" for text in forms + texts]})
    train, validation = ({n % 20 for n in rows} for rows in split_pretext(dataset, 0.3))
    assert len(train) + len(validation) == 20


def test_groups_of_pairs_stay_on_one_side() -> None:
    random = np.random.default_rng(0)
    numbers = random.integers(0, 400, (300, 2))
    dataset = Dataset.from_dict(
        {"source": [f"문장 {n}" for n in numbers[:, 0]], "target": [f"문장 {n}" for n in numbers[:, 1]]}
    )
    train, validation = split_pretext(dataset, 0.3)
    assert sorted([*train, *validation]) == list(range(300))
    assert 90 <= len(validation) < 300
    sides = [{text for row in dataset.select(side) for text in row.values()} for side in (train, validation)]
    assert sides[0].isdisjoint(sides[1])
    by_row = split_pretext(dataset, 0.3, by="row")
    assert [len(side) for side in by_row] == [210, 90]
    again = split_pretext(dataset, 0.3, seed=1, by="row")
    assert not np.array_equal(by_row[1], again[1])
    assert all(np.array_equal(*sides) for sides in zip(by_row, split_pretext(dataset, 0.3, by="row"), strict=True))


def test_split_that_cannot_be() -> None:
    linked = Dataset.from_dict({"source": ["가", "나"], "target": ["나", "다"]})
    with pytest.raises(ValueError, match="cannot hold out 30% of 2 pairs in 1 group, which are too few or too similar"):
        split_pretext(linked)
    with pytest.raises(ValueError, match="split: expected 'group' or 'row', found 'rows'"):
        split_pretext(linked, by="rows")
    with pytest.raises(ValueError, match="0 pairs in 0 groups"):
        split_pretext(linked.select([]))


def test_both_sides_are_what_the_tokenizer_makes_of_a_sentence(tokenizer: KGlossTokenizerFast) -> None:
    texts = {"source": ["몸의 형태에 따라 구분된다.", "이 토기"], "target": ["4세기의 모양", "화면 하단의 QR 코드"]}
    encoded = encode_pretext(tokenizer, Dataset.from_dict(texts))
    assert encoded["input_ids"][:] == tokenizer(texts["source"])["input_ids"]
    assert encoded["labels"][:] == [ids[1:] for ids in tokenizer(texts["target"])["input_ids"]]
    assert list(sentences(Dataset.from_dict(texts))) == texts["source"] + texts["target"]


@pytest.mark.usefixtures("cache")
def test_pairs_of_the_builder_are_read(tmp_path: Path) -> None:
    _write_shard(tmp_path)
    dataset = load_pretext(str(tmp_path))
    assert dataset.column_names == ["source", "target", "origin"]
    assert len(dataset) == len(load_pairs("mcksg")) // 2
    with pytest.raises((ValueError, FileNotFoundError), match="data_dir|shards"):
        load_pretext(str(tmp_path / "nowhere"))


def test_pretext_then_glosses(tmp_path: Path, forks: Forks) -> None:
    _write_shard(tmp_path)
    pretext = ["--pretext_dir", str(tmp_path), "--preset=tiny", "--output_dir", str(tmp_path / "pretext")]
    result = forks.example("run_pretext.py", *pretext, "--num_train_epochs=2", "--warmup_steps=2")
    assert result.returncode == 0, result.stderr[-3000:]
    model = tmp_path / "pretext" / "model"
    metrics = json.loads((model / "metrics.json").read_text("utf-8"))
    assert metrics["split"] == {"by": "group", "seed": 0, "validation_share": 0.3}
    losses = [row["eval_loss"] for row in metrics["history"] if "eval_loss" in row]
    assert len(losses) == 2
    assert metrics["best_validation"] == {"loss": min(losses)}
    assert (model / "training.png").read_bytes().startswith(b"\x89PNG")

    glosses = ["--dataset=mcksg", "--num_train_epochs=0", "--eval_strategy=no", "--save_strategy=no"]
    glosses += ["--load_best_model_at_end=False", f"--pretext={model}", f"--output_dir={tmp_path / 'glosses'}"]
    result = forks.example("run_text2gloss.py", *glosses)
    assert result.returncode == 0, result.stderr[-3000:]
    before, after = (load_file(folder / "model.safetensors") for folder in (model, tmp_path / "glosses" / "model"))
    assert before.keys() == after.keys()
    assert {name for name in before if not (before[name] == after[name]).all()} <= {
        "decoder.cls.predictions.bias",
        "decoder.cls.predictions.decoder.bias",
    }

    refused = forks.example("run_text2gloss.py", *glosses[:-1], "--preset=small", f"--output_dir={tmp_path / 'small'}")
    assert refused.returncode != 0
    assert "use the preset that the pretext was trained with" in refused.stderr
