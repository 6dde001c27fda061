"""Compare reading sign language corpora with only parsing the same bytes; print a Markdown table.

    OMP_NUM_THREADS=1 python benchmarks/sign_corpora.py [--rows 1000000] [--only NIASL NIKL …]

Each corpus is generated in its own format with invented content, as one ZIP archive in a temporary folder: NIASL with
one JSON file per sentence, NIKL and AI-Hub 103 with JSON Lines in 20 files, ELAN with 1,000 sentences per file. Each
reading runs in a separate process. `parse` only unpacks the same archive and calls `json.loads` or
`ElementTree.fromstring`. Times are processor times. `peak` is the peak resident memory of the process, and `imports`
the same before reading. Both processes hold the list of members of the archive.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

FILES, SENTENCES = 20, 1_000
SYLLABLES = "가나다라마바사아자차카타파하고노도로모보소오조초코토포호기니디리미비시이지치키티피히"
CHANNELS = "Ci EBf Mctr Hs Hno Mmo Mo1 Tbt".split()  # noqa: SIM905
RANDOM = random.Random(0)  # noqa: S311
WORDS = ["".join(RANDOM.choices(SYLLABLES, k=RANDOM.randint(1, 4))) for _ in range(5_000)]


def sentence() -> tuple[str, list[str], tuple[int, int]]:
    """Return a sentence with a date, its glosses, and the span of the date."""
    month, day = RANDOM.randint(1, 12), RANDOM.randint(1, 28)
    words = RANDOM.choices(WORDS, k=RANDOM.randint(5, 12))
    date = f"{month}월 {day}일"
    glosses = [f"날짜:{month}월{day}일", *(f"{word}{RANDOM.randint(1, 3)}" for word in words[:-2]), "지시2#너희"]
    return f"{date} {' '.join(words)}", glosses, (0, len(date))


def gestures(glosses: list[str], span: tuple[int, int]) -> Iterator[dict[str, Any]]:
    for number, gloss in enumerate(glosses):
        start, end = ("", "") if number else span
        place = {"start": start, "end": end}
        times = {"start": number + 0.125, "end": number + 0.875}
        exact = {f"{name}_exact": time for name, time in times.items()}
        yield {"gloss_id": gloss, "express": "s", **times, "sentence_loc": place, "hold_exact": None, **exact}


def niasl(number: int) -> dict[str, Any]:
    text, glosses, span = sentence()
    signs = list(gestures(glosses, span))
    signals = {name: [{"start": 0.5, "end": 1.5}] if name in ("Mmo", "Hno") else [] for name in CHANNELS}
    return {
        "metadata": {"id": f"INVENTED_{number:07d}", "category": "flood", "signer_id": number % 20, "video_fps": 30},
        "text": {"raw": {"korean": text}},
        "sign_script": {
            "sign_gestures_both": signs[::2],
            "sign_gestures_strong": signs[1::4],
            "sign_gestures_weak": signs[3::4],
        },
        "nms_script": signals,
    }


def nikl(number: int) -> dict[str, Any]:
    text, glosses, span = sentence()
    signs = [{**sign, "start": str(sign["start"]), "end": str(sign["end"])} for sign in gestures(glosses, span)]
    return {
        "id": f"INVENTED_{number:07d}",
        "krlgg_sntenc": {"koreanText": text, "realm": "생활", "thema": "안전"},
        "sign_lang_sntenc": "/".join(glosses),
        "sign_script": {"sign_gestures_strong": signs, "sign_gestures_weak": signs[1::3]},
        "nms_script": None,
    }


def aihub_103(number: int) -> dict[str, Any]:
    text, glosses, _ = sentence()
    data = [{"start": n, "end": n + 0.5, "attributes": [{"name": gloss}]} for n, gloss in enumerate(glosses)]
    return {"metaData": {"name": f"INVENTED_{number:07d}.mp4", "korean": text}, "data": data}


def elan(_: int) -> str:
    """Return an ELAN document of 1,000 sentences."""
    slots: list[str] = []
    tiers: dict[str, list[str]] = {"문장": [], "RH": [], "LH": [], "head": []}

    def annotate(tier: str, value: str, start: int, end: int) -> None:
        one, other = (f"ts{len(slots) + n}" for n in range(2))
        slots.extend(f'<TIME_SLOT TIME_SLOT_ID="{name}" TIME_VALUE="{t}"/>' for name, t in ((one, start), (other, end)))
        refs = f'TIME_SLOT_REF1="{one}" TIME_SLOT_REF2="{other}"'
        tiers[tier].append(
            f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{len(slots)}" {refs}><ANNOTATION_VALUE>{value}'
            "</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>\n"
        )

    for number in range(SENTENCES):
        text, glosses, _ = sentence()
        at = number * 20_000
        annotate("문장", text, at, at + 19_000)
        annotate("head", "nod", at + 500, at + 1_000)
        for place, gloss in enumerate(glosses):
            annotate("RH", gloss, at + place * 1_000, at + place * 1_000 + 900)
            if place % 3 == 0:
                annotate("LH", gloss, at + place * 1_000, at + place * 1_000 + 900)
    written = "".join(f'<TIER TIER_ID="{name}">{"".join(items)}</TIER>' for name, items in tiers.items())
    return f"<ANNOTATION_DOCUMENT><TIME_ORDER>{''.join(slots)}</TIME_ORDER>{written}</ANNOTATION_DOCUMENT>"


KINDS = {"NIASL": niasl, "NIKL": nikl, "AI-Hub 103": aihub_103, "ELAN": elan}


def write(path: Path, kind: str, rows: int) -> int:
    """Write a corpus, and return its uncompressed size in bytes."""
    make = KINDS[kind]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        if kind == "NIASL":
            for number in range(rows):
                archive.writestr(f"{number // 1000}/{number}.json", json.dumps(make(number), ensure_ascii=False))
        elif kind == "ELAN":
            for number in range(rows // SENTENCES):
                archive.writestr(f"{number}.eaf", make(number))
        else:
            for file in range(FILES):
                with archive.open(f"{file}.jsonl", "w", force_zip64=True) as member:
                    for number in range(rows // FILES):
                        member.write(json.dumps(make(number), ensure_ascii=False).encode() + b"\n")
        return sum(info.file_size for info in archive.infolist())


def parse(path: Path) -> int:
    """Parse an archive, and return the number of its sentences."""
    count = 0
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            with archive.open(info) as file:
                if info.filename.endswith(".eaf"):
                    count += len(ElementTree.fromstring(file.read().decode()).findall("TIER[1]/ANNOTATION"))  # noqa: S314
                else:
                    count += sum(1 for line in file if json.loads(line))
    return count


def measure(reader: str, path: Path) -> None:
    from kgloss_hf.data.sign_corpora import read_corpus

    imports = peak_mib()
    started = time.process_time()
    rows = parse(path) if reader == "parse" else sum(1 for _ in read_corpus(path))
    seconds = time.process_time() - started
    print(json.dumps({"rows": rows, "seconds": seconds, "peak": peak_mib(), "imports": imports}))


def peak_mib() -> float:
    """Return the peak resident memory of this process in MiB; getrusage may give that of its parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def run(reader: str, path: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", reader, str(path)]
    result = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    if result.returncode:
        sys.exit(result.stderr)
    return json.loads(result.stdout)


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="number of sentences per corpus, a multiple of 1,000"
    )
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure[0], Path(options.measure[1]))
        return
    print(f"Python {platform.python_version()}, {platform.system()}, {processor()}\n")
    print("| corpus | rows | MiB | rows per second | times parse | peak MiB (parse) | imports MiB |")
    print("|---|---|---|---|---|---|---|")
    for kind in options.only:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "corpus.zip")
            size = write(path, kind, options.rows) / 2**20
            ours, parsed = run("read", path), run("parse", path)
        if not ours["rows"] == parsed["rows"] == options.rows:
            sys.exit(f"{kind}: expected {options.rows} rows, read {ours['rows']}, parsed {parsed['rows']}")
        cells = [f"{options.rows:,}", f"{size:,.0f}", f"{options.rows / ours['seconds']:,.0f}"]
        cells += [f"{ours['seconds'] / parsed['seconds']:.1f}", f"{ours['peak']:,.0f} ({parsed['peak']:,.0f})"]
        print(f"| {kind} | {' | '.join(cells)} | {ours['imports']:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
