"""Take some optimiser steps on the same pairs, however each is divided. Run this as a script for several processes."""

import json
import sys
from pathlib import Path
from typing import Any

from datasets import load_from_disk
from safetensors.torch import save_file
from transformers import EncoderDecoderConfig

from kgloss_hf.data.pairs import Pair
from kgloss_hf.models.modeling import EncoderDecoderModel
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast
from kgloss_hf.training.trainer import TrainingArguments, build_trainer, predict


def divided_run(checkpoint: str, data: str, folder: str, options: dict[str, Any]) -> None:
    """Write the final parameters, the loss of each step, and glosses for the first 13 pairs to the folder."""
    checkpoint_to_resume = options.pop("resume", None)
    config = EncoderDecoderConfig.from_pretrained(checkpoint)
    for half in (config.encoder, config.decoder):
        half.hidden_dropout_prob = half.attention_probs_dropout_prob = 0.0
    model = EncoderDecoderModel.from_pretrained(checkpoint, config=config)
    args = TrainingArguments(
        output_dir=folder,
        max_grad_norm=0.0,
        eval_strategy="no",
        save_strategy=options.pop("save_strategy", "no"),
        load_best_model_at_end=False,
        logging_strategy="steps",
        logging_steps=1,
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
        **options,
    )
    pairs = load_from_disk(data)
    tokenizer = KGlossTokenizerFast.from_pretrained(checkpoint)
    trainer = build_trainer(model, tokenizer, args, pairs, pairs, lambda _: {}, share_embeddings=True)
    trainer.train(resume_from_checkpoint=checkpoint_to_resume)
    glosses = predict(trainer, tokenizer, [Pair(text, ("몸",)) for text in pairs["text"][:13]])
    if trainer.is_world_process_zero():
        state = {name: value.clone() for name, value in trainer.model.state_dict().items()}
        save_file(state, Path(folder) / "after.safetensors")
        losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
        (Path(folder) / "losses.json").write_text(json.dumps(losses), "utf-8")
        (Path(folder) / "glosses.json").write_text(json.dumps(glosses), "utf-8")


if __name__ == "__main__":
    divided_run(*sys.argv[1:4], json.loads(sys.argv[4]))
