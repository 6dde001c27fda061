from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

import kgloss_hf
from tests.environments import ROOT, run


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the site, built as by `make docs`, where a warning is an error."""
    pytest.importorskip("zensical", reason="zensical is not installed")
    folder = tmp_path_factory.mktemp("docs")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    (folder / "kgloss_hf").symlink_to(ROOT / "kgloss_hf")
    for command in (
        (sys.executable, str(ROOT / "docs/pages.py"), "outputs/docs"),
        (str(Path(sys.executable).with_name("zensical")), "build", "--clean", "--strict"),
    ):
        done = run(*command, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "outputs" / "site"


def test_every_page_of_the_documentation_is_in_the_site(site: Path) -> None:
    files = list((ROOT / "docs").rglob("*.md"))
    assert len(files) > 15
    for path in files:
        assert (site / path.relative_to(ROOT / "docs").with_suffix("") / "index.html").is_file(), path
    for place in ("", "ko/", "results/", "changelog/", "contributing/"):
        assert (site / place / "index.html").is_file(), place


def test_links_lead_to_the_site_or_to_the_repository(site: Path) -> None:
    page = (site / "index.html").read_text("utf-8")
    assert 'href="tutorial/"' in page
    assert "https://github.com/OWNER/kgloss-hf/blob/main/examples/quickstart.ipynb" in page
    assert '.md"' not in page


def test_blocks_of_code_are_blocks_of_code(site: Path) -> None:
    assert '<span class="filename">pairs.csv</span>' in (site / "tutorial" / "index.html").read_text("utf-8")
    broken = [path for path in site.rglob("*.html") if "<p>```" in path.read_text("utf-8")]
    assert broken == []


def test_the_reference_holds_the_public_names_with_their_examples(site: Path) -> None:
    page = (site / "api" / "index.html").read_text("utf-8")
    for name in set(kgloss_hf.__all__) - {"__version__"}:
        assert f'id="kgloss_hf.{name}"' in page, name
    assert "&gt;&gt;&gt;" in page


def test_both_languages_can_be_searched(site: Path) -> None:
    items = json.loads((site / "search.json").read_text("utf-8"))["items"]
    texts = {item["location"]: json.dumps(item, ensure_ascii=False) for item in items}
    assert any("비수지 신호" in text for place, text in texts.items() if place.startswith("ko/"))
    assert any("pretext" in text for place, text in texts.items() if place.startswith("tutorial/"))
