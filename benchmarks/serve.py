"""Compare the requests per second of `kgloss serve` with one batch call, and check every answer.

KGLOSS_DATA=FOLDER python benchmarks/serve.py MODEL [--requests 10000] [--clients 64]

MODEL is a trained model. The sentences are those of GKSL, one per request. The service runs in a separate process. Each
client sends its next request when it has received its answer; every fifth request asks for types. Each answer is
compared with the pipeline's answer to the same sentence. The other side is one call of the pipeline, in this process,
with the sentences of all requests. Before it is timed, each side has answered each sentence once. The clients share the
cores with the service. The last line of output is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
from typing import Any

import httpx
import numpy as np
import psutil
import torch
from corpora import folder
from transformers import pipeline

import kgloss_hf  # noqa: F401 - registers the pipeline
from kgloss_hf.data.pairs import load_pairs

SERVE = "import sys; from kgloss_hf.commands.serving import serve; sys.exit(serve(sys.argv[1], port=0, threads={}))"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", help="folder of a trained model")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)

    known = sorted({pair.text for pair in load_pairs("gksl", data_dir=str(folder() / "gksl"))})
    random = np.random.default_rng(0)
    known = [known[i] for i in random.permutation(len(known))[: chosen.sentences]]
    texts = [known[i] for i in random.integers(len(known), size=chosen.requests)]

    text_to_gloss: Any = pipeline("text-to-gloss", model=chosen.model)
    expected = dict(zip(known, text_to_gloss(known, return_types=True), strict=True))
    began = time.perf_counter()
    text_to_gloss(texts)
    batch = chosen.requests / (time.perf_counter() - began)

    command = [sys.executable, "-c", SERVE.format(chosen.threads), chosen.model]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:  # noqa: S603
        try:
            url = re.findall(r"http://[\d.:]+", next(iter(server.stderr or ())))[0]
            load = Load(url, expected, psutil.Process(server.pid))
            asyncio.run(load.run(known, chosen.clients))  # analyses the words of all sentences
            load = Load(url, expected, load.server)
            served = asyncio.run(load.run(texts, chosen.clients))
        finally:
            server.terminate()
    lost = chosen.requests - len(load.seconds)
    p50, p95, p99 = np.percentile(load.seconds, [50, 95, 99]) * 1000
    memory = [round(size / 2**20) for size in load.memory]
    print(f"one batch call        {batch:8.1f} sentences/s")
    print(f"{chosen.clients:3} clients           {served:8.1f} sentences/s, {served / batch:.2f} of the batch call")
    print(f"latency               p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms")
    print(f"requests: {chosen.requests}; lost: {lost}; refused: {load.failed}; unlike the pipeline: {load.differing}")
    print(f"memory (MiB) after each tenth of the requests: {memory}")
    result = {"model": chosen.model, "threads": chosen.threads, "clients": chosen.clients, "requests": chosen.requests}
    result |= {"to_batch_call": served / batch, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99}
    result |= {
        "lost": lost,
        "failed": load.failed,
        "differing": load.differing,
        "MiB": memory,
        "stopped_with": server.returncode,
    }
    print(json.dumps(result))


class Load:
    """Clients of the service, with the times and errors that they record."""

    def __init__(self, url: str, expected: dict[str, Any], server: psutil.Process) -> None:
        self.url = url
        self.expected = expected
        self.server = server
        self.seconds: list[float] = []
        self.memory: list[int] = []
        self.failed = self.differing = 0

    async def run(self, texts: list[str], clients: int) -> float:
        """Send all texts, and return the number of answers per second."""
        numbered = iter(enumerate(texts))
        limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=120, limits=limits) as client:
            await client.get("/health")  # waits for the model
            began = time.perf_counter()
            await asyncio.gather(*(self.client(client, numbered, len(texts)) for _ in range(clients)))
            return len(texts) / (time.perf_counter() - began)

    async def client(self, client: httpx.AsyncClient, numbered: Any, total: int) -> None:
        for number, text in numbered:
            types = number % 5 == 0
            began = time.perf_counter()
            answer = await client.post("/translate", json={"text": text, "types": types})
            self.seconds.append(time.perf_counter() - began)
            if answer.status_code != 200:
                self.failed += 1
            elif not self.is_own(answer.json(), text, types):
                self.differing += 1
            if len(self.seconds) % (total // 10) == 0:
                self.memory.append(self.server.memory_info().rss)

    def is_own(self, record: dict[str, Any], text: str, types: bool) -> bool:
        own = dict(self.expected[text])
        if not types:
            del own["types"]
        near = abs(record.pop("log_prob") - own.pop("log_prob")) < 1e-3
        return near and record == {"text": text, **own}


if __name__ == "__main__":
    main()
