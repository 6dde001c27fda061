"""Data set `gksl`, from a folder and from a server."""

from __future__ import annotations

import hashlib
import importlib
import logging
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import load_dataset

from kgloss_hf.artefacts import artefact
from kgloss_hf.data.pairs import Pair, load_pairs, split_pairs

GLOSSES = "Gloss level Korean Sign Language (GKSL) sentence"
TEXT = "Word level Korean Language (WKL) sentence"
HEADER = f"dataset,video_num,question_w_q_morph,question,{GLOSSES},{TEXT}\r\n"
ROWS = "KETI-Emergency,,,FALSE,집  불,집에 불이 났어요.\r\nNIA-2020,3,,TRUE,버스 어디 ,버스는 어디서 타요?\r\n"
MANY = HEADER + "".join(f"NIA-2020,{i},,,글로스{i // 2},문장 {i}\r\n" for i in range(40))
AUGMENTED = f"augmentation_method,idx,{GLOSSES},{TEXT}\r\n" + "".join(
    f"SR,{i},글로스{i} 집,{'문장' if i % 2 else '새 문장'} {i}\r\n" for i in range(40)
)
NAMES = {"original": "GKSL3k_original.csv", "augmented": "GKSL13k_augmented.csv"}

pytestmark = pytest.mark.usefixtures("cache")
script = importlib.import_module("kgloss_hf.dataset_scripts.gksl.gksl")


@pytest.fixture
def gksl(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes a GKSL file into a folder and returns the folder."""

    def write(content: str, name: str = "original", encoding: str = "utf-8-sig") -> str:
        folder = tmp_path / "gksl_data"
        folder.mkdir(exist_ok=True)
        (folder / NAMES[name]).write_bytes(content.encode(encoding))
        return str(folder)

    return write


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def both(gksl: Callable[..., str]) -> str:
    """Return a folder with both files."""
    gksl(MANY)
    return gksl(AUGMENTED, "augmented")


@pytest.fixture
def server(both: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Replace the published files by those of a local server, and return the folder that it serves."""
    folder = Path(both)
    for name, file in script.FILES.items():
        content = (folder / file.name).read_bytes()
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        monkeypatch.setitem(script.FILES, name, file._replace(size=len(content), blob=blob))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        monkeypatch.setattr(script, "URL", f"http://127.0.0.1:{http.server_port}")
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield folder
        http.shutdown()
        thread.join()


def test_rows(gksl: Callable[..., str]) -> None:
    rows = load_dataset("gksl", data_dir=gksl(HEADER + ROWS), split="train", split_by="none")
    assert list(rows) == [
        {"id": "original-1", "text": "집에 불이 났어요.", "glosses": ["집", "불"], "source": "KETI-Emergency"},
        {"id": "original-2", "text": "버스는 어디서 타요?", "glosses": ["버스", "어디"], "source": "NIA-2020"},
    ]
    assert rows.info.license == "CC BY-NC-SA 4.0"


def test_splits_are_those_of_training(both: str, caplog: pytest.LogCaptureFixture) -> None:
    parts = load_dataset("gksl", data_dir=both)
    with caplog.at_level(logging.WARNING):
        augmented = load_dataset("gksl", "augmented", data_dir=both)
    assert list(augmented) == ["train"]
    pairs, extra = load_pairs("gksl", data_dir=both), load_pairs("gksl", config="augmented", data_dir=both)
    assert len(pairs) == len(extra) == 40
    assert pairs[0] == Pair("문장 0", ("글로스0",))
    expected = split_pairs(pairs, extra)
    assert _pairs(parts["train"]) + _pairs(augmented["train"]) == expected.train
    assert _pairs(parts["validation"]) == expected.validation
    assert _pairs(parts["test"]) == expected.test
    assert f"gksl/augmented: dropped {expected.dropped} of 40 rows because they share" in caplog.text
    assert 0 < expected.dropped < 40


def _pairs(rows: datasets.Dataset) -> list[Pair]:
    return [Pair(row["text"], tuple(row["glosses"])) for row in rows]


def test_other_splits(both: str) -> None:
    assert load_dataset("gksl", data_dir=both, split_by="row").num_rows == {"train": 28, "test": 12}
    with pytest.raises(ValueError, match="split_by: expected 'group', 'row', 'given' or 'none', found 'random'"):
        load_dataset("gksl", "augmented", data_dir=both, split_by="random")
    Path(both, NAMES["original"]).unlink()
    for by in ("none", "row"):
        assert load_dataset("gksl", "augmented", data_dir=both, split_by=by).num_rows == {"train": 40}
    message = r"gksl expects GKSL3k_original.csv in the folder.*AIRC-KETI/GKSL-dataset.*data_dir='FOLDER'"
    with pytest.raises(FileNotFoundError, match=message):
        load_dataset("gksl", "augmented", data_dir=both)


def rows_of(name: str, **options: Any) -> dict[str, list[Any]]:
    return {part: list(rows) for part, rows in load_dataset("gksl", name, **options).items()}


@pytest.mark.parametrize("name", NAMES)
def test_streamed_rows_are_the_same(both: str, name: str) -> None:
    assert rows_of(name, data_dir=both, streaming=True) == rows_of(name, data_dir=both, num_proc=2)


def test_changed_file_is_read_again(gksl: Callable[..., str]) -> None:
    options = {"split": "train", "split_by": "none"}
    assert load_dataset("gksl", data_dir=gksl(HEADER + ROWS), **options).num_rows == 2
    changed = gksl(HEADER + ROWS + "NIA-2020,4,,TRUE,어디,어디예요?\r\n")
    assert load_dataset("gksl", data_dir=changed, **options).num_rows == 3


def test_licence_is_shown_once(gksl: Callable[..., str], caplog: pytest.LogCaptureFixture) -> None:
    script._show_licence.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            load_dataset("gksl", data_dir=gksl(MANY))
    assert caplog.text.count("CC BY-NC-SA 4.0, for research and not for commercial use") == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("streaming", [False, True])
def test_files_are_fetched_and_verified(server: Path, streaming: bool, name: str) -> None:
    assert rows_of(name, streaming=streaming) == rows_of(name, data_dir=str(server))


@pytest.mark.parametrize("content", [MANY + "NIA-2020,,,,집,집\r\n", MANY.replace("문장 7", "문장 8")])
def test_other_content_is_refused(server: Path, content: str) -> None:
    published = script.FILES["original"]
    (server / published.name).write_text(content, "utf-8-sig", newline="")
    message = (
        rf"original.csv: expected {published.size} bytes with the git blob id {published.blob}, found .* "
        r"Download it again with download_mode='force_redownload'.*data_dir='FOLDER'"
    )
    with pytest.raises(ValueError, match=message):
        load_dataset("gksl")
    (server / published.name).write_text(MANY, "utf-8-sig", newline="")
    assert load_dataset("gksl", download_mode="force_redownload").num_rows["test"] == 8


def test_missing_file_says_how_to_give_a_folder(server: Path) -> None:
    (server / NAMES["original"]).unlink()
    with pytest.raises(FileNotFoundError, match=r"could not find http.*Get GKSL3k_original.csv.*data_dir='FOLDER'"):
        load_dataset("gksl")


def test_no_network_says_how_to_give_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unreachable(datasets.DownloadManager):
        def download(self, url_or_urls: object) -> object:
            raise TimeoutError("no route")

    monkeypatch.setattr(datasets, "DownloadManager", Unreachable)
    with pytest.raises(
        ConnectionError, match=r"could not download .*no route.*AIRC-KETI/GKSL-dataset.*data_dir='FOLDER'"
    ):
        load_dataset("gksl", streaming=True)


def test_published_files_are_pinned() -> None:
    assert script.COMMIT in script.URL
    assert {name: file.size for name, file in script.FILES.items()} == {"original": 252685, "augmented": 1030069}
    assert all(re.fullmatch("[0-9a-f]{40}", file.blob) for file in script.FILES.values())


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        ("", "utf-8", r"original.csv: expected the columns .*, found \[\]"),
        (HEADER, "utf-8-sig", "original.csv: expected rows below a header"),
        (HEADER.replace(GLOSSES, "glosses") + ROWS, "utf-8", "expected the columns .*Gloss level.*found.*'glosses'"),
        (HEADER + ROWS, "cp949", "original.csv, line 2: expected UTF-8, found b'.xc1"),
        (HEADER + 'NIA-2020,,,,집 불,"집이요\r\n' + ROWS, "utf-8-sig", "original.csv: unexpected end.*quotation mark"),
    ],
    ids=["empty", "no rows", "column", "encoding", "open quotation"],
)
def test_bad_file_is_named_with_place_and_repair(
    content: str, encoding: str, message: str, gksl: Callable[..., str]
) -> None:
    with pytest.raises(ValueError, match=f"{message}.*AIRC-KETI/GKSL-dataset"):
        load_dataset("gksl", data_dir=gksl(content, encoding=encoding), on_bad_rows="skip")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("NIA-2020,,,, ,문장", "row 4: expected glosses in the column 'Gloss level.*, found nothing"),
        ("NIA-2020,,,,집 불,", "row 4: expected a sentence in the column 'Word level.*, found nothing"),
        ("NIA-2020,,", "row 4: expected glosses"),
        ("NIA-2020,,,,집 불,네, 집이요", "row 4: expected 6 cells, as in the header, found 7"),
    ],
    ids=["no glosses", "no text", "short row", "comma"],
)
def test_bad_row_is_named_or_skipped(
    row: str, message: str, gksl: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    folder = gksl(f"{HEADER}{ROWS}{row}\r\nNIA-2020,,,,집,집이요\r\n")
    with pytest.raises(ValueError, match=rf"{message}.*AIRC-KETI/GKSL-dataset.*on_bad_rows='skip'"):
        load_dataset("gksl", data_dir=folder)
    with caplog.at_level(logging.WARNING):
        rows = load_dataset("gksl", data_dir=folder, split="train", split_by="none", on_bad_rows="skip")
    assert rows["id"] == ["original-1", "original-2", "original-4"]
    assert "original.csv: 1 bad row skipped; the first: " in caplog.text


def test_public_files(corpora: Path) -> None:
    folder = str(corpora / "gksl")
    assert load_dataset("gksl", data_dir=folder).num_rows == {"train": 1808, "validation": 259, "test": 518}
    assert load_dataset("gksl", "augmented", data_dir=folder).num_rows == {"train": 12700 - 613}


def test_card_says_licence_and_that_no_data_are_shipped() -> None:
    card = artefact("dataset_scripts/gksl/README.md").read_text(encoding="utf-8")
    assert "license: cc-by-nc-sa-4.0" in card
    assert "data are not shipped" in card
    shipped = sorted(file.name for file in artefact("dataset_scripts/gksl").iterdir() if file.is_file())
    assert shipped == ["README.md", "gksl.py", "lengths.png"]
