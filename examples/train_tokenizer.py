"""Learn a tokenizer's vocabulary on text, append the glosses of a corpus, and show how well it fits.

    python examples/train_tokenizer.py --corpus reviews.txt.gz news.csv --dataset mcksg --output_dir outputs/tokenizer
    python examples/train_tokenizer.py --model wordlevel --output_dir outputs/small

The second is the paper's small vocabulary: each word of the pairs' own sentences. `kgloss train-tokenizer` does the
same with the same options.
"""

from transformers import HfArgumentParser

from kgloss_hf.reporting import print_tables
from kgloss_hf.training.tokenizer_run import TokenizerTrainingArguments, train_and_save, vocabulary_tables


def main() -> None:
    (arguments,) = HfArgumentParser(TokenizerTrainingArguments).parse_args_into_dataclasses()
    print_tables(vocabulary_tables(train_and_save(arguments)))
    print(f"The tokenizer and statistics.json are in {arguments.output_dir}")


if __name__ == "__main__":
    main()
