"""Compare the first answer of a new process with `import torch`; print medians, and JSON in the last line.

python benchmarks/first_answer.py MODEL [SENTENCE] [--rounds 7]

Each step runs in a separate process, and the steps take turns. "Java": no table of frequent words and no cache file, so
that Okt analyses every word. "table": the table in the package, which may lack words of the sentence. "cache file": a
file that contains every word of the sentence. The floor is what no process can avoid: torch, and the imports of the
models and tokenizers of transformers. Wall and processor seconds of each step include the exit.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

FLOOR = (
    "import gc; gc.set_threshold(200_000); import torch; from transformers import PreTrainedTokenizerFast; "
    "from transformers.models.encoder_decoder import modeling_encoder_decoder; gc.freeze()"
)


def timed(words: list[str], **environment: str) -> tuple[float, float, str]:
    """Return the wall seconds, the processor seconds and the output of a process."""
    started, before = time.perf_counter(), os.times()
    options = {"env": {**os.environ, "KGLOSS_OKT_CACHE": "", **environment}, "check": True, "capture_output": True}
    answer = subprocess.run([sys.executable, *words], text=True, **options).stdout  # noqa: S603
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - started, spent, answer


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("sentence", nargs="?", default="집에 불이 났어요.")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    translate = ["-m", "kgloss_hf", "translate", options.model, options.sentence]
    with tempfile.TemporaryDirectory() as folder:
        cache = {"KGLOSS_OKT_CACHE": os.path.join(folder, "okt.sqlite"), "KGLOSS_OKT_TABLE": ""}
        steps: dict[str, tuple[list[str], dict[str, str]]] = {
            "import torch": (["-c", "import torch"], {}),
            "floor: what models import": (["-c", FLOOR], {}),
            "translate, Java": (translate, {"KGLOSS_OKT_TABLE": ""}),
            "translate, table": (translate, {}),
            "translate, cache file": (translate, cache),
        }
        answers = {timed(words, **more)[2] for words, more in steps.values() if words is translate}  # also fills caches
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
        for _ in range(options.rounds):
            for name, (words, more) in steps.items():
                times[name].append(timed(words, **more)[:2])
    result = {}
    for name, taken in times.items():
        wall, processor = (statistics.median(column) for column in zip(*taken, strict=True))
        result[name] = {"wall_s": round(wall, 2), "processor_s": round(processor, 2)}
        result[name] |= {"ratio": round(wall / statistics.median(w for w, _ in times["import torch"]), 2)}
        print(f"{name:26} {result[name]}")
    print(json.dumps({"rounds": options.rounds, "different_answers": len(answers) - 1, "steps": result}))
    sys.exit(len(answers) != 1)


if __name__ == "__main__":
    main()
