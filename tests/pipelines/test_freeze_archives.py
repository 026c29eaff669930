"""Real ARC, WARC and WACZ files of many writers through `freeze`: each record is accounted for, and real indexes confirm what they hold."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from store import manifest
from tests.builders import frozen

CUTOFF = "2022-01-01"

TRUSTED = {
    "blackbook": "netarchivesuite+solrwayback__IAH-20080430204825-00000-blackbook.warc.gz.cdx",
    "smithsonian": "ikreymer+pywb-samples__googleplus-smithsonian.cdx",
    "acidtest": "ukwa+ukwa-pywb__acidtest-20180203004221.cdx",
    "cd-test": "ukwa+ukwa-pywb__cd-test.cdx",
    "live": "internetarchive+CDX-Writer__live-20120312161414739-00234.exp",
}
CONFIRMED = {
    ("blackbook", "netarchivesuite+solrwayback__IAH-20080430204825-00000-blackbook.warc.gz"): 137,
    # Parts and copies of that archive: the same captures, their digests whole.
    ("blackbook", "richardlehane+webarchive__valid-warcrecorddigests-1.warc"): 6,
    ("blackbook", "ukwa+webarchive-test-suite__IAH-20080430204825-00000-blackbook-truncated.warc"): 4,
    ("blackbook", "ukwa+webarchive-test-suite__IAH-20080430204825-00000-blackbook-truncated.warc.gz"): 4,
    ("smithsonian", "ikreymer+pywb-samples__googleplus-smithsonian.warc.gz"): 1,
    ("acidtest", "ukwa+ukwa-pywb__acidtest-20180203004221.warc.gz"): 1,
    ("cd-test", "ukwa+ukwa-pywb__cd-test.warc.gz"): 1,
}
"""Documents by the index that confirms them and their file; `live` is an index of an archive that is not here."""

NOTE = "# These cdx were made from the same archives, by nobody who kept them: they prove nothing, only that the join finds them.\n"


@pytest.fixture(scope="module")
def archives(shared: Path) -> list[Path]:
    folder = shared / "crawl" / "warc_real"
    if not folder.is_dir():
        pytest.skip("needs crawl/warc_real of the real data")
    return sorted(path for path in [*folder.iterdir(), *(folder / "wacz").iterdir()] if path.is_file())


@pytest.fixture(scope="module")
def indexes(archives: list[Path]) -> list[Path]:
    return sorted((archives[0].parent / "cdx").iterdir())


@pytest.fixture(scope="module")
def plain(archives: list[Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """All archives, frozen without a witness, and the summary."""
    into = tmp_path_factory.mktemp("archives") / "snapshot"
    return into, frozen(archives, into, CUTOFF)


def rows(snapshot: Path, dataset: str, columns: str, rest: str = "") -> list[tuple[Any, ...]]:
    found = manifest.open_snapshot(str(snapshot)).files(dataset)
    return duckdb.connect().execute(f"select {columns} from read_parquet({found}) {rest}").fetchall()


def trust(path: Path, named: dict[str, Path]) -> str:
    """A trust list that names index files by their digests."""
    entry = {"kind": "index", "custodian": "A Test", "published": "2020-01-01"}
    listed = [
        {"name": name, "sha256": [hashlib.sha256(index.read_bytes()).hexdigest()], **entry} for name, index in sorted(named.items())
    ]
    path.write_text(NOTE + yaml.safe_dump({"witnesses": listed}))
    return str(path)


def witnessed(snapshot: Path) -> Counter[tuple[str, str]]:
    """Documents by witness and file, of those that an index lifts."""
    found = rows(snapshot, "documents", "witness, file_path", "where attestation = 'corroborated'")
    return Counter((witness, Path(path).name) for witness, path in found)


def given(paths: Sequence[Path]) -> list[str]:
    return [str(path) for path in paths]


def test_every_record_of_every_file_is_a_document_or_a_reject(archives: list[Path], plain: tuple[Path, dict[str, Any]]) -> None:
    snapshot, made = plain
    sources = {
        Path(path).name: (digest, size, form, records, documents + rejects, unaccounted)
        for path, digest, size, form, records, documents, rejects, unaccounted in rows(
            snapshot, "sources", "file_path, sha256, size, format, records, documents, rejects, unaccounted"
        )
    }
    assert sources.keys() == {path.name for path in archives} and len(sources) == len(archives)
    for path in archives:
        digest, size, form, records, held, unaccounted = sources[path.name]
        assert (digest, size) == (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
        assert form == path.name.lower().removesuffix(".gz").rpartition(".")[2], path.name
        assert records == held > 0 and unaccounted == 0, path.name
    stored = Counter(Path(path).name for dataset in ("documents", "rejects") for (path,) in rows(snapshot, dataset, "file_path"))
    assert stored == {name: records for name, (_, _, _, records, _, _) in sources.items()}
    assert made["records"] == made["documents"] + made["rejects"] == stored.total()
    assert made["rejects"] == sum(made["rejects_by_reason"].values())
    assert made["documents"] > 500 and made["eligible"].keys() == {"captured"}


def test_what_is_rejected_is_rejected_for_a_reason_of_its_own(plain: tuple[Path, dict[str, Any]]) -> None:
    reasons = plain[1]["rejects_by_reason"]
    assert not {"read/record_type", "attest/beside_damage", "read/damaged_member"} & reasons.keys()
    assert (reasons["read/dns"], reasons["read/wacz_digest_disagrees"]) == (70, 4)


def test_captures_of_a_wacz_with_false_digests_freeze(archives: list[Path], tmp_path: Path) -> None:
    """js-wacz 0.1 wrote a SHA-256 of each WARC that is none."""
    false = [path for path in archives if path.name.startswith("harvard-lil+warcbench__") and path.suffix == ".wacz"]
    made = frozen(false, tmp_path / "snapshot", "2025-06-01")
    assert made["rejects_by_reason"]["read/wacz_digest_disagrees"] == len(false) == 4
    assert made["documents"] == 11 and not any(reason.startswith("attest/") for reason in made["rejects_by_reason"])
    said = rows(tmp_path / "snapshot", "rejects", "detail", "where reason = 'wacz_digest_disagrees'")
    assert all("WARCs that disagree: 1" in detail for (detail,) in said)


def test_indexes_that_the_trust_list_names_lift_what_they_hold_and_no_other_index_does(
    archives: list[Path], indexes: list[Path], plain: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    named = {name: indexes[0].parent / file for name, file in TRUSTED.items()}
    made = frozen(archives, tmp_path / "snapshot", CUTOFF, trust=trust(tmp_path / "trust.yaml", named), indexes=given(indexes))
    assert witnessed(tmp_path / "snapshot") == CONFIRMED
    lines = {name: path.read_text("latin-1").splitlines() for name, path in named.items()}
    lifted = rows(tmp_path / "snapshot", "documents", "witness, epoch(date), url", "where witness <> 'archive file'")
    for name, seconds, url in lifted:
        stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%d%H%M%S")
        assert any(stamp in line and url in line for line in lines[name]), (name, stamp, url)
    same = "key, text, date, date_end"
    assert rows(tmp_path / "snapshot", "documents", same) == rows(plain[0], "documents", same)
    assert (made["records"], made["rejects_by_reason"]) == (plain[1]["records"], plain[1]["rejects_by_reason"])
    unnamed = [note for note in made["notes"] if "names no index with its SHA-256" in note]
    assert len(unnamed) == len({path.read_bytes() for path in indexes}) - len(TRUSTED)
    assert set(manifest.open_snapshot(str(tmp_path / "snapshot")).manifest["witnesses"]) == TRUSTED.keys() - {"live"}


def test_indexes_that_no_trust_list_names_lift_nothing(archives: list[Path], indexes: list[Path], tmp_path: Path) -> None:
    """The same archives and indexes as above, whose captures agree to the second and the digest."""
    confirmed = {file for _, file in CONFIRMED}
    sources = [path for path in archives if path.name in confirmed]
    other = trust(tmp_path / "trust.yaml", {"live": indexes[0].parent / TRUSTED["live"]})
    made = frozen(sources, tmp_path / "snapshot", CUTOFF, trust=other, indexes=given(indexes))
    assert made["documents"] >= sum(CONFIRMED.values())
    assert set(rows(tmp_path / "snapshot", "documents", "attestation, witness")) == {("captured", "archive file")}
