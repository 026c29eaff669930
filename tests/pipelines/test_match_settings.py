"""Sketches of other settings are never compared: the command ends with 2 and names both values. Each preset matches its like."""

from pathlib import Path

import pytest

from tests.match import planted
from tests.match.runs import DECLARE, Curated, command, curate, faults, freeze, write_rows

TEXTS = {f"old-{n}": planted.prose("Latin", f"settings {n}", 120) for n in range(6)}
PRESETS = ("lowbackground", "datasketch", "fineweb_2", "redpajama_2")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot, and an earlier run, both of the default settings."""
    base = tmp_path_factory.mktemp("settings")
    freeze(write_rows(base / "old.parquet", TEXTS), base / "snapshot", *DECLARE)
    curate(write_rows(base / "new.parquet", TEXTS), base / "run")
    return base


@pytest.mark.parametrize("reference", ["snapshot", "run"])
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (("seed=7",), ("seed", "7", "1")),
        (("rows=4",), ("rows", "4", "5")),
        (("bands=20",), ("bands", "20", "25")),
        (("shingle=7",), ("shingle", "7", "5")),
        (("permutations=256",), ("permutations", "256", "128")),
        (("preset=datasketch",), ("datasketch", "lowbackground")),
        (("preset=fineweb_2",), ("fineweb_2", "lowbackground")),
    ],
)
def test_other_settings_end_with_2_and_name_both_values(
    base: Path, tmp_path: Path, reference: str, settings: tuple[str, ...], named: tuple[str, ...]
) -> None:
    options = [f"--minhash.{setting}" for setting in settings]
    found = command("curate", base / "new.parquet", "--into", tmp_path / "run", "--against", base / reference, *options)
    assert found.code == 2, found.said
    words = found.said.replace(",", " ").replace(";", " ").replace(".", " ").replace("'", " ").replace('"', " ").split()
    assert set(named) <= set(words), found.said
    assert not (tmp_path / "run" / "manifest.json").exists()


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_matches_its_like_and_no_other(base: Path, tmp_path: Path, preset: str) -> None:
    option = f"--minhash.preset={preset}"
    freeze(base / "old.parquet", tmp_path / "snapshot", *DECLARE, option)
    crawl = {
        "copy": TEXTS["old-0"],
        "near": planted.replace_run(TEXTS["old-1"], 40, 2, preset),
        "new": planted.prose("Latin", "quite new", 120),
    }
    curate(write_rows(tmp_path / "crawl.parquet", crawl), tmp_path / "run", [tmp_path / "snapshot"], option)
    found = Curated(tmp_path / "run", [tmp_path / "snapshot"])
    assert found.canonicals() == {"copy": "old-0", "near": "old-1", "new": None}
    assert preset != "lowbackground" or faults(found) == []
    other = PRESETS[PRESETS.index(preset) - 1]
    refused = command(
        "curate", base / "new.parquet", "--into", tmp_path / "no", "--against", tmp_path / "snapshot", f"--minhash.preset={other}"
    )
    assert refused.code == 2 and preset in refused.said and other in refused.said, refused.said
