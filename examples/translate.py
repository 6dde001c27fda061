"""Translate Korean sentences with a trained model.

python examples/translate.py outputs/demo/model "이 토기는 4세기에 만들어졌습니다."
"""

import sys

from transformers import pipeline

import kgloss_hf  # noqa: F401 - registers the pipeline

EXAMPLES = [
    "이 토기는 4세기에 만들어졌습니다.",
    "2층 전시실에서 청자를 볼 수 있습니다.",
    "QR 코드를 스캔하면 수어 해설을 볼 수 있습니다.",
]


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("expected the folder of a trained model: translate.py FOLDER [SENTENCE …]")
    text_to_gloss = pipeline("text2text-generation", model=sys.argv[1])
    sentences = sys.argv[2:] or EXAMPLES
    for sentence, output in zip(sentences, text_to_gloss(sentences), strict=True):
        print(f"{sentence}\n  → {' | '.join(output['glosses'])}")


if __name__ == "__main__":
    main()
