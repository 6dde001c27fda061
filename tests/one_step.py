"""One optimiser step on the same pairs, however divided. Run as a script for several processes."""

import sys
from pathlib import Path

from datasets import load_from_disk
from safetensors.torch import save_file
from transformers import EncoderDecoderConfig

from kgloss_hf.modeling import EncoderDecoderModel
from kgloss_hf.tokenization_kgloss import KGlossTokenizerFast
from kgloss_hf.training import TrainingArguments, build_trainer


def one_step(checkpoint: str, data: str, folder: str, batch_size: int, accumulation: int) -> None:
    """Write the parameters after one step of plain SGD, without dropout, to after.safetensors."""
    config = EncoderDecoderConfig.from_pretrained(checkpoint)
    for half in (config.encoder, config.decoder):
        half.hidden_dropout_prob = half.attention_probs_dropout_prob = 0.0
    model = EncoderDecoderModel.from_pretrained(checkpoint, config=config)
    args = TrainingArguments(
        output_dir=folder,
        max_steps=1,
        per_device_train_batch_size=batch_size,
        gradient_accumulation_steps=accumulation,
        learning_rate=0.1,
        warmup_steps=0,
        optim="sgd",
        max_grad_norm=0.0,
        eval_strategy="no",
        save_strategy="no",
        load_best_model_at_end=False,
        batches_by_length=False,
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
    )
    pairs = load_from_disk(data)
    tokenizer = KGlossTokenizerFast.from_pretrained(checkpoint)
    trainer = build_trainer(model, tokenizer, args, pairs, pairs, lambda _: {}, share_embeddings=True)
    trainer.train()
    if trainer.is_world_process_zero():
        state = {name: value.clone() for name, value in trainer.model.state_dict().items()}
        save_file(state, Path(folder) / "after.safetensors")


if __name__ == "__main__":
    one_step(*sys.argv[1:4], *map(int, sys.argv[4:6]))
