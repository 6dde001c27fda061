"""Turn Korean text into a pose sequence with spoken-to-signed-translation and its lexicon of poses.

    python examples/text_to_pose.py outputs/demo/model "이 토기는 4세기에 만들어졌습니다." --output sentence.pose

A lexicon is a folder with the library's `index.csv` (path, spoken_language, signed_language, start, end, words,
glosses, priority) and one pose file per clip. Without a lexicon, four glosses of the bundled sample are shown
as letters of the library's American finger alphabet. These are NOT Korean signs; they only demonstrate the steps.
"""

import argparse
import csv
import sys
import tempfile
from pathlib import Path

from kgloss_hf.files import save_file
from kgloss_hf.integrations.spoken_to_signed import LANGUAGE, SIGNED_LANGUAGE, text_to_gloss
from kgloss_hf.reporting import counted
from kgloss_hf.training.console import as_script

INVENTED = ("토기", "만들다", "이것", "완료")
COLUMNS = ("path", "spoken_language", "signed_language", "start", "end", "words", "glosses", "priority")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder or Hub repository of a trained model")
    parser.add_argument("text", help="Korean text, one sentence per line")
    parser.add_argument("--lexicon", help="folder with index.csv and poses (default: four invented entries)")
    parser.add_argument("--output", default="sentence.pose", help="pose file to write (default: sentence.pose)")
    chosen = parser.parse_args()

    sentences = text_to_gloss(chosen.text, LANGUAGE, model=chosen.model)
    import spoken_to_signed
    from spoken_to_signed.gloss_to_pose import CSVPoseLookup, concatenate_poses, gloss_to_pose

    with tempfile.TemporaryDirectory() as invented:
        if not chosen.lexicon:
            letters = sorted(Path(spoken_to_signed.__path__[0], "assets/fingerspelling_lexicon/ase").glob("*.pose"))
            with Path(invented, "index.csv").open("w", encoding="utf-8", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(COLUMNS)
                for gloss, pose in zip(INVENTED, letters, strict=False):
                    rows.writerow([pose, LANGUAGE, SIGNED_LANGUAGE, 0, 0, gloss, gloss, 0])
        folder = chosen.lexicon or invented
        lookup = CSVPoseLookup(folder)
        listed = {
            term
            for index in (lookup.words_index, lookup.glosses_index)
            for term, rows in index[LANGUAGE][SIGNED_LANGUAGE].items()
            if all("://" in row["path"] or Path(folder, row["path"]).is_file() for row in rows)
        }
        poses = []
        for glosses in sentences:
            known = [item for item in glosses if item.gloss.lower() in listed]
            print(" | ".join(item.gloss if item in known else f"{item.gloss} (no pose)" for item in glosses))
            if known:  # the library fails on a sentence without poses
                poses.append(gloss_to_pose(known, lookup, LANGUAGE, SIGNED_LANGUAGE).pose)
    if not poses:
        raise ValueError("expected at least one gloss with a pose, found none; add rows for the glosses to the lexicon")
    pose = poses[0] if len(poses) == 1 else concatenate_poses(poses, trim=False)

    def write(path: Path) -> None:
        with path.open("wb") as file:
            pose.write(file)

    save_file(Path(chosen.output), write)
    print(f"{counted(len(pose.body.data), 'frame')}, {len(pose.body.data) / pose.body.fps:.1f} s: {chosen.output}")


if __name__ == "__main__":
    sys.exit(as_script(main))
