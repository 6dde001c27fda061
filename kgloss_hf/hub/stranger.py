"""Run a checkpoint by its own code, as someone without this package does.

A script, run in a process of its own: `python -P stranger.py FOLDER TEXTS ANSWERS` reads a JSON list of sentences and
writes what `pipeline`, and `AutoTokenizer` or `AutoModelForSeq2SeqLM` alone, make of them.
"""

import json
import sys
from pathlib import Path


def main(folder: str, texts: str, answers: str) -> None:
    """Load the checkpoint without this package, and write what it gives.

    Args:
        folder: The checkpoint: a model with its tokenizer, or a tokenizer alone.
        texts: JSON file with sentences.
        answers: JSON file to write: `ids` and, with a model, `glosses` for each sentence.
    """
    sys.modules["kgloss_hf"] = None  # type: ignore[assignment]  # an import of it fails from here on
    from transformers import AutoTokenizer, pipeline
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # the end of standard error is shown where something fails
    sentences = json.loads(Path(texts).read_text("utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    output = {"ids": tokenizer(sentences)["input_ids"]}
    if Path(folder, "config.json").is_file():
        text_to_gloss = pipeline(model=folder, trust_remote_code=True)
        output["glosses"] = [answer["glosses"] for answer in text_to_gloss(sentences)]
    Path(answers).write_text(json.dumps(output, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
