"""Run a checkpoint by its own code, without this package.

A script to run in a process of its own: `python -P stranger.py FOLDER TEXTS ANSWERS` reads a JSON list of sentences,
and writes their ids from `AutoTokenizer` and, for a model, their glosses from `pipeline`.
"""

import json
import sys
from pathlib import Path


def main(folder: str, texts: str, answers: str) -> None:
    """Load the checkpoint without this package, and write its ids and glosses.

    Args:
        folder: Folder of the checkpoint: a model with its tokenizer, or a tokenizer alone.
        texts: JSON file with sentences.
        answers: JSON file to write: `ids` and, with a model, `glosses` for each sentence.
    """
    sys.modules["kgloss_hf"] = None  # type: ignore[assignment]  # importing it fails from here on
    from transformers import AutoTokenizer, pipeline
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # after a failure, the last lines of standard error are shown
    sentences = json.loads(Path(texts).read_text("utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    output = {"ids": tokenizer(sentences)["input_ids"]}
    if Path(folder, "config.json").is_file():
        text_to_gloss = pipeline(model=folder, trust_remote_code=True)
        output["glosses"] = [answer["glosses"] for answer in text_to_gloss(sentences)]
    Path(answers).write_text(json.dumps(output, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
