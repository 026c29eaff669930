"""File witnesses: what a checksum list, a token or a proof gives to the source files, and how each lie about them fails."""

import hashlib
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from pipelines.attesting import gather
from pipelines.freeze import Order
from pipelines.witnessing import FileWitnesses, file_witnesses, trust_list
from provenance.witnesses import opentimestamps, rfc3161
from store.errors import UsageError
from tests.provenance.witnesses import blocks

GOLDEN = Path(__file__).parents[1] / "golden" / "timestamps"
CUTOFF = "2022-01-01T00:00:00.000000Z"
SECOND = int(datetime(2019, 9, 10, tzinfo=UTC).timestamp())


@dataclass(frozen=True)
class Source:
    url: str
    sha256: str


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Bench:
    """A folder with the sample as source file, and a trust list that grows."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.entries: list[dict[str, object]] = []
        for name in ("sample.warc", "sample.sha256", "root.pem", "selfmade.pem"):
            shutil.copy(GOLDEN / name, folder / name)
        self.sources = [self.source("sample.warc")]
        self.sample = self.sources[0].sha256

    def source(self, name: str, data: bytes | None = None) -> Source:
        if data is not None:
            (self.folder / name).write_bytes(data)
        return Source(str(self.folder / name), sha256((self.folder / name).read_bytes()))

    def put(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return str(self.folder / name)

    def trust(self, name: str, kind: str, digest: str, published: str = "2020-01-01", file: str | None = None) -> None:
        entry = {"name": name, "kind": kind, "custodian": f"the {name} people", "published": published, "sha256": [digest]}
        self.entries.append(entry | ({"file": file} if file else {}))

    def authority(self, name: str = "tsa", file: str = "root.pem") -> None:
        self.trust(name, "authority", sha256(rfc3161.root((self.folder / file).read_bytes())), file=file)

    def bitcoin(self, lines: bytes, name: str = "chain") -> None:
        (self.folder / f"{name}.txt").write_bytes(lines)
        self.trust(name, "bitcoin", sha256(lines), file=f"{name}.txt")

    def run(self, checksums: tuple[str, ...] = (), stamps: tuple[str, ...] = (), cutoff: str = CUTOFF) -> FileWitnesses:
        (self.folder / "trust.yaml").write_text(yaml.safe_dump({"witnesses": self.entries}))
        lists = [str(self.folder / name) for name in checksums]
        tokens = [str(self.folder / name if (self.folder / name).exists() else GOLDEN / name) for name in stamps]
        return self.weigh(lists, tokens, cutoff)

    def weigh(self, lists: list[str], tokens: list[str], cutoff: str = CUTOFF, highest: int = blocks.EASY) -> FileWitnesses:
        url = str(self.folder / "trust.yaml")
        trust, digest = trust_list(url)
        return file_witnesses(self.sources, trust, digest, url, lists, tokens, cutoff, highest)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def said(found: FileWitnesses, words: str) -> None:
    """Nothing was witnessed, and the summary's one line says why."""
    assert found.witnesses == {} and found.used == {}
    assert len(found.said) == 1 and words in found.said[0]


def test_without_witnesses_nothing_is_witnessed(bench: Bench) -> None:
    found = bench.run()
    assert found.witnesses == {} and found.said == [] and found.identity["checksums"] == []


# released


def test_a_published_list_releases_the_files_that_it_holds(bench: Bench) -> None:
    bench.trust("sums", "checksums", sha256((bench.folder / "sample.sha256").read_bytes()))
    bench.sources.append(bench.source("other.warc", b"not in the list"))
    found = bench.run(("sample.sha256",))
    assert found.witnesses == {bench.sample: {"level": "released", "name": "sums", "instant": "2020-01-02T11:59:59.999999Z"}}
    assert found.used == {
        "sums": {
            "kind": "checksums",
            "custodian": "the sums people",
            "published": "2020-01-02T11:59:59.999999Z",
            "sha256": [sha256((bench.folder / "sample.sha256").read_bytes())],
        }
    }
    assert "holds 1 source file, published by 2020-01-02" in found.said[0]


@pytest.mark.parametrize("algorithm", ["sha384", "sha512"])
def test_a_list_of_wider_digests_releases_too(bench: Bench, algorithm: str) -> None:
    digest = hashlib.new(algorithm, (bench.folder / "sample.warc").read_bytes()).hexdigest()
    data = f"{digest}  sample.warc\n".encode()
    bench.put("wide", data)
    bench.trust("sums", "checksums", sha256(data))
    assert bench.run(("wide",)).witnesses[bench.sample]["level"] == "released"


def test_a_list_that_the_trust_list_does_not_name_counts_for_nothing(bench: Bench) -> None:
    said(bench.run(("sample.sha256",)), "the trust list names no checksum list of SHA-256")
    bench.trust("index", "index", sha256((bench.folder / "sample.sha256").read_bytes()))
    said(bench.run(("sample.sha256",)), "the trust list names no checksum list of SHA-256")


def test_a_list_that_was_altered_by_a_byte_counts_for_nothing(bench: Bench) -> None:
    data = (bench.folder / "sample.sha256").read_bytes()
    bench.trust("sums", "checksums", sha256(data))
    bench.put("sample.sha256", data + b"\n")
    said(bench.run(("sample.sha256",)), "the trust list names no checksum list of SHA-256")


@pytest.mark.parametrize("published", ["2024-03-01", "2022-01-01", "2021-12-31", "2022-01-01T00:00:00Z"])
def test_a_list_that_was_not_published_before_the_cutoff_counts_for_nothing(bench: Bench, published: str) -> None:
    bench.trust("sums", "checksums", sha256((bench.folder / "sample.sha256").read_bytes()), published)
    said(bench.run(("sample.sha256",)), "not before the cutoff")


def test_a_list_of_md5_counts_for_nothing(bench: Bench) -> None:
    sample = (bench.folder / "sample.warc").read_bytes()
    data = f"{hashlib.md5(sample).hexdigest()}  sample.warc\n{hashlib.sha1(sample).hexdigest()}  sample.warc\n".encode()
    bench.put("md5sums", data)
    bench.trust("sums", "checksums", sha256(data))
    found = bench.run(("md5sums",))
    said(found, "holds none of the source files")
    assert "1 of md5, 1 of sha1 refused" in found.said[0]


def test_a_file_that_is_not_in_the_list_is_not_released(bench: Bench) -> None:
    bench.trust("sums", "checksums", sha256((bench.folder / "sample.sha256").read_bytes()))
    # The right name, other bytes.
    bench.sources = [bench.source("sample.warc", b"written today")]
    said(bench.run(("sample.sha256",)), "holds none of the source files")


def test_a_list_without_checksums_or_without_a_file_is_an_error(bench: Bench) -> None:
    bench.put("readme", b"our release\n")
    with pytest.raises(UsageError, match="readme holds no checksum"):
        bench.run(("readme",))
    with pytest.raises(UsageError, match=r"missing.*cannot be read"):
        bench.run(("missing",))


# timestamped, RFC 3161


@pytest.mark.parametrize("token", ["good.tsr", "good.tst", "sha512.tsr"])
def test_a_token_of_a_trusted_authority_dates_the_file(bench: Bench, token: str) -> None:
    bench.authority()
    found = bench.run(stamps=(token,))
    assert found.witnesses == {bench.sample: {"level": "timestamped", "name": "tsa", "instant": "2019-09-10T00:00:02.500100Z"}}
    assert list(found.used) == ["tsa"] and "tsa (the tsa people) stamped 1 source file by 2019-09-10T00:00:02" in found.said[0]


def test_a_token_over_a_list_dates_the_files_in_it(bench: Bench) -> None:
    bench.authority()
    found = bench.run(("sample.sha256",), ("list.tsr",))
    assert found.witnesses[bench.sample] == {"level": "timestamped", "name": "tsa", "instant": "2019-09-12T00:00:02.500100Z"}
    assert "alone it counts for nothing" in found.said[0] and "stamped 1 source file" in found.said[1]
    said(bench.run(stamps=("list.tsr",)), "is no source file's nor that of a list given with --checksums")


def test_the_better_and_then_the_earlier_witness_counts_in_any_order(bench: Bench) -> None:
    bench.authority()
    bench.trust("sums", "checksums", sha256((bench.folder / "sample.sha256").read_bytes()), "2019-01-01")
    for stamps in (("good.tsr", "list.tsr"), ("list.tsr", "good.tsr")):
        found = bench.run(("sample.sha256",), stamps)
        assert found.witnesses[bench.sample] == {"level": "timestamped", "name": "tsa", "instant": "2019-09-10T00:00:02.500100Z"}
        assert list(found.used) == ["tsa"]


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("late.tsr", "not before the cutoff"),
        ("selfmade.tsr", "unable to get local issuer certificate"),
        ("expired.tsr", "certificate has expired"),
        ("forge-no-usage.tst", "unsuitable certificate purpose"),
        ("forge-usage-not-critical.tst", "unsuitable certificate purpose"),
        ("forge-two-usages.tst", "unsuitable certificate purpose"),
        ("forge-by-a-leaf.tst", "invalid CA certificate"),
        ("forge-twin.tst", "unsuitable certificate purpose"),
        ("sha1-signed.tsr", "can be collided"),
    ],
)
def test_a_token_that_is_forged_or_late_counts_for_nothing(bench: Bench, token: str, why: str) -> None:
    bench.authority()
    said(bench.run(stamps=(token,)), why)


def test_a_token_with_another_time_or_a_broken_signature_counts_for_nothing(bench: Bench) -> None:
    bench.authority()
    late, good = (GOLDEN / "late.tsr").read_bytes(), (GOLDEN / "good.tsr").read_bytes()
    bench.put("backdated.tsr", late.replace(b"20230501", b"20190501"))
    said(bench.run(stamps=("backdated.tsr",)), "digest failure")
    bench.put("broken.tsr", good[:-1] + bytes([good[-1] ^ 1]))
    said(bench.run(stamps=("broken.tsr",)), "OpenSSL refuses it")


def test_a_token_over_other_bytes_counts_for_nothing(bench: Bench) -> None:
    bench.authority()
    bench.sources = [bench.source("sample.warc", b"written today")]
    said(bench.run(stamps=("good.tsr",)), "which is no source file's")
    said(bench.run(stamps=("sha512.tsr",)), "which is no source file's")


def test_an_authority_that_the_trust_list_does_not_name_counts_for_nothing(bench: Bench) -> None:
    said(bench.run(stamps=("good.tsr",)), "the trust list names no authority")
    bench.authority("mine", "selfmade.pem")
    said(bench.run(stamps=("good.tsr",)), "no authority of the trust list made it")


def test_a_certificate_that_is_not_the_trusted_one_is_an_error(bench: Bench) -> None:
    bench.authority()
    shutil.copy(GOLDEN / "selfmade.pem", bench.folder / "root.pem")
    with pytest.raises(UsageError, match="Another file than the one that was trusted"):
        bench.run(stamps=("selfmade.tsr",))
    shutil.copy(GOLDEN / "tsa.pem", bench.folder / "root.pem")
    with pytest.raises(UsageError, match=r"root\.pem"):
        bench.run(stamps=("good.tsr",))
    (bench.folder / "root.pem").unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        bench.run(stamps=("good.tsr",))


@pytest.mark.parametrize("token", ["refused.tsr", "sha1.tsr", "root.pem", "sample.warc", "missing.tsr"])
def test_what_is_no_token_is_an_error(bench: Bench, token: str) -> None:
    bench.authority()
    with pytest.raises(UsageError, match=token):
        bench.run(stamps=(token,))


# timestamped, OpenTimestamps


def test_a_proof_that_reaches_a_trusted_block_dates_the_file(bench: Bench) -> None:
    made, line = blocks.stamped((bench.folder / "sample.warc").read_bytes(), SECOND)
    bench.put("sample.ots", made)
    bench.bitcoin(line)
    found = bench.run(stamps=("sample.ots",))
    assert found.witnesses == {bench.sample: {"level": "timestamped", "name": "chain", "instant": "2019-09-10T02:00:00.000000Z"}}


def test_a_proof_over_a_list_dates_the_files_in_it(bench: Bench) -> None:
    made, line = blocks.stamped((bench.folder / "sample.sha256").read_bytes(), SECOND)
    bench.put("list.ots", made)
    bench.bitcoin(line)
    assert bench.run(("sample.sha256",), ("list.ots",)).witnesses[bench.sample]["name"] == "chain"


def test_a_proof_that_is_forged_late_or_incomplete_counts_for_nothing(bench: Bench) -> None:
    sample = (bench.folder / "sample.warc").read_bytes()
    other, line = blocks.stamped(b"other bytes", SECOND)
    bench.put("other.ots", other)
    bench.put("forged.ots", other.replace(hashlib.sha256(b"other bytes").digest(), bytes.fromhex(bench.sample)))
    late, late_line = blocks.stamped(sample, int(datetime(2021, 12, 31, 22, tzinfo=UTC).timestamp()), 700_000)
    bench.put("late.ots", late)
    bench.put("pending.ots", blocks.proof(bytes.fromhex(bench.sample), blocks.pending()))
    bench.put("unknown.ots", blocks.stamped(sample, SECOND, 5)[0])
    said(bench.run(stamps=("late.ots",)), "the trust list names no Bitcoin headers")
    bench.bitcoin(line + late_line)
    said(bench.run(stamps=("other.ots",)), "which is no source file's")
    said(bench.run(stamps=("forged.ots",)), "does not lead to the Merkle root of block 600000")
    said(bench.run(stamps=("late.ots",)), "chain stamped it by 2022-01-01T00:00:00.000000Z, not before the cutoff")
    said(bench.run(stamps=("pending.ots",)), "is pending")
    said(bench.run(stamps=("unknown.ots",)), "leads to block 5, whose header is not given")


def test_headers_that_were_altered_or_invented_are_an_error(bench: Bench) -> None:
    made, line = blocks.stamped((bench.folder / "sample.warc").read_bytes(), SECOND)
    bench.put("sample.ots", made)
    bench.bitcoin(line)
    bench.put("chain.txt", line + b"\n")
    with pytest.raises(UsageError, match="Another file than the one that was trusted"):
        bench.run(stamps=("sample.ots",))
    bench.put("chain.txt", line)
    (bench.folder / "trust.yaml").write_text(yaml.safe_dump({"witnesses": bench.entries}))
    with pytest.raises(UsageError, match="less work than any block of Bitcoin since 2016"):
        bench.weigh([], [str(bench.folder / "sample.ots")], highest=opentimestamps.HIGHEST_TARGET)


def test_a_hostile_proof_is_an_error(bench: Bench) -> None:
    bench.put("deep.ots", blocks.proof(bytes(32), (blocks.FORK + blocks.SHA256) * 300))
    with pytest.raises(UsageError, match=r"deep\.ots has more than 256 open forks"):
        bench.run(stamps=("deep.ots",))


# the whole


def test_witnesses_without_a_trust_list_or_with_a_bad_one_are_an_error(bench: Bench) -> None:
    for order in (Order([], "x", checksums=["sums"]), Order([], "x", timestamps=["a.ots"]), Order([], "x", indexes=["a.cdxj"])):
        with pytest.raises(UsageError, match="without a trust list"):
            gather(order, bench.sources, CUTOFF, {}, "x", None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cannot be read"):
        trust_list(str(bench.folder / "none.yaml"))
    bench.trust("sums", "oracle", "a" * 64)
    with pytest.raises(UsageError, match=r"entry 1 \(sums\): kind 'oracle' is unknown"):
        bench.run()


def test_the_identity_covers_every_file_that_decides_and_not_their_order(bench: Bench) -> None:
    bench.authority()
    one = bench.run(("sample.sha256",), ("good.tsr", "list.tsr")).identity
    assert one == bench.run(("sample.sha256", "sample.sha256"), ("list.tsr", "good.tsr")).identity
    assert one != bench.run(("sample.sha256",), ("good.tsr",)).identity
    assert one != bench.run((), ("good.tsr", "list.tsr")).identity
    bench.trust("more", "index", "b" * 64)
    assert one != bench.run(("sample.sha256",), ("good.tsr", "list.tsr")).identity


def test_a_file_that_changed_since_the_survey_is_an_error(bench: Bench) -> None:
    bench.authority()
    bench.put("sample.warc", b"written since")
    with pytest.raises(UsageError, match="changed while it was read"):
        bench.run(stamps=("sha512.tsr",))


def test_files_are_read_again_only_for_wider_digests(bench: Bench) -> None:
    bench.authority()
    (bench.folder / "sample.warc").unlink()
    assert bench.run(("sample.sha256",), ("good.tsr", "list.tsr")).witnesses
