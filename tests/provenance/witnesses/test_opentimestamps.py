"""OpenTimestamps proofs against given headers: Bitcoin's first block, proofs of our own, forged and hostile ones."""

import hashlib
import io
import random
from datetime import UTC, datetime

import pytest

from provenance.witnesses import opentimestamps as ots
from tests.provenance.witnesses import blocks
from tests.provenance.witnesses.blocks import EASY, FORK, SHA256, append, block, pending, prepend, proof

DATA = b"a source file"
DIGEST = hashlib.sha256(DATA).digest()
SECOND = 1568073600
GENESIS_TARGET = 0xFFFF << 208


def checked(data: bytes, lines: bytes, target: int = EASY) -> datetime:
    found = ots.parse(data)
    return ots.verify(found, ots.headers(io.BytesIO(lines), {height for height, _ in found.blocks}, target))


def test_the_first_block_of_bitcoin_dates_its_transaction() -> None:
    assert hashlib.sha256(hashlib.sha256(blocks.GENESIS).digest()).digest()[::-1].hex() == (
        "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
    )
    made = proof(hashlib.sha256(blocks.COINBASE).digest(), SHA256 + block(0))
    lines = f"0 {blocks.GENESIS.hex()}\n".encode()
    assert checked(made, lines, GENESIS_TARGET) == datetime(2009, 1, 3, 20, 15, 5, tzinfo=UTC)
    with pytest.raises(ValueError, match="less work than any block of Bitcoin since 2016"):
        checked(made, lines, ots.HIGHEST_TARGET)


def test_the_default_work_is_what_bitcoin_had_in_2016() -> None:
    assert GENESIS_TARGET // ots.HIGHEST_TARGET == 100_000_000_000


def test_a_proof_gives_the_blocks_time_and_two_hours() -> None:
    made, line = blocks.stamped(DATA, SECOND)
    assert ots.parse(made).digest == DIGEST.hex()
    assert checked(made, b"# height header\n\n599999 " + b"0" * 160 + b"\n" + line) == datetime(2019, 9, 10, 2, tzinfo=UTC)


def test_the_earliest_of_several_blocks_counts_and_pending_ones_do_not() -> None:
    one, two = (hashlib.sha256(DIGEST + side).digest() for side in (b"1", b"2"))
    body = FORK + pending() + FORK + append(b"1") + SHA256 + FORK + pending() + block(7) + append(b"2") + SHA256 + block(8)
    found = ots.parse(proof(DIGEST, body))
    assert found.blocks == ((7, one), (8, two)) and found.pending == 2 and found.other == 0
    lines = f"7 {blocks.header(one, SECOND + 9).hex()}\n8 {blocks.header(two, SECOND).hex()}\n".encode()
    assert checked(proof(DIGEST, body), lines) == datetime(2019, 9, 10, 2, tzinfo=UTC)


def test_every_operation() -> None:
    message = hashlib.sha1(DIGEST).digest()[::-1].hex().encode() + b"x"
    body = b"\x02\xf2\xf3" + append(b"x") + SHA256 + block(1)
    assert ots.parse(proof(DIGEST, body)).blocks == ((1, hashlib.sha256(message).digest()),)


def test_what_an_unknown_hash_leads_to_is_skipped() -> None:
    ethereum = b"\x67" + append(b"1") + blocks.attest(blocks.ETHEREUM, blocks.number(1))
    found = ots.parse(proof(DIGEST, FORK + ethereum + SHA256 + block(3)))
    assert found.blocks == ((3, hashlib.sha256(DIGEST).digest()),) and found.other == 1
    assert ots.parse(proof(DIGEST, b"\x67" + SHA256 + block(3))).blocks == ()


def test_proofs_are_read_as_the_reference_implementation_reads_them() -> None:
    core = pytest.importorskip("opentimestamps.core.timestamp")
    from opentimestamps.core.notary import BitcoinBlockHeaderAttestation
    from opentimestamps.core.serialize import BytesDeserializationContext

    chance = random.Random(8)

    def tree(depth: int) -> bytes:
        step = chance.choice([SHA256, b"\x02", append(chance.randbytes(5)), prepend(chance.randbytes(300)), b"\xf3" + SHA256])
        if depth == 0:
            return SHA256 + chance.choice([pending(), block(chance.randrange(900_000)), blocks.attest(blocks.LITECOIN, b"\x05")])
        fork = FORK + append(chance.randbytes(6)) + tree(depth - 1) if chance.random() < 0.4 else b""
        return fork + step + tree(depth - 1)

    for _ in range(100):
        made = proof(DIGEST, tree(8))
        stamp = core.DetachedTimestampFile.deserialize(BytesDeserializationContext(made)).timestamp
        theirs = {(a.height, m) for m, a in stamp.all_attestations() if isinstance(a, BitcoinBlockHeaderAttestation)}
        assert set(ots.parse(made).blocks) == theirs


def test_a_pending_proof_a_missing_block_and_another_chain_prove_nothing() -> None:
    with pytest.raises(ValueError, match="is pending"):
        checked(proof(DIGEST, pending()), b"")
    with pytest.raises(ValueError, match="leads to block 5, whose header is not given"):
        checked(proof(DIGEST, SHA256 + block(5)), b"")
    with pytest.raises(ValueError, match="no attestation by Bitcoin"):
        checked(proof(DIGEST, SHA256 + blocks.attest(blocks.LITECOIN, b"\x05")), b"")
    with pytest.raises(ValueError, match="no attestation by Bitcoin"):
        checked(proof(DIGEST, append(b"33 bytes, so no Merkle root") + block(5)), b"")


def test_a_proof_of_other_bytes_does_not_lead_to_the_block() -> None:
    made, line = blocks.stamped(DATA, SECOND)
    forged = made.replace(DIGEST, hashlib.sha256(b"written today").digest())
    with pytest.raises(ValueError, match="does not lead to the Merkle root of block 600000"):
        checked(forged, line)


def test_an_invented_header_is_refused() -> None:
    made, line = blocks.stamped(DATA, SECOND)
    with pytest.raises(ValueError, match="line 1: the header claims less work"):
        checked(made, line, ots.HIGHEST_TARGET)
    height, _, text = line.partition(b" ")
    data = bytearray.fromhex(text.decode())
    data[72:76] = (0x171EADC1).to_bytes(4, "little")
    with pytest.raises(ValueError, match="does not have the work that it claims"):
        checked(made, height + b" " + bytes(data).hex().encode(), ots.HIGHEST_TARGET)


def test_a_block_that_is_bent_to_other_data_or_another_time_loses_its_work() -> None:
    for place in (36, 68):
        bent = bytearray(blocks.GENESIS)
        bent[place] ^= 1
        with pytest.raises(ValueError, match="does not have the work that it claims"):
            ots.headers([f"0 {bent.hex()}".encode()], {0}, GENESIS_TARGET)


@pytest.mark.parametrize("bits", [0, 0x00FFFFFF, 0x04800000, 0xFF7FFFFF, 0x21FFFFFF])
def test_bits_that_stand_for_no_target(bits: int) -> None:
    data = bytearray(blocks.GENESIS)
    data[72:76] = bits.to_bytes(4, "little")
    with pytest.raises(ValueError, match=r"line 1: .*(stand for no target|less work|does not have the work)"):
        ots.headers([f"0 {data.hex()}".encode()], {0}, GENESIS_TARGET)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (b"hello\n", "line 1 is not a height"),
        (b"\n1 00\n", "line 2 is not a height"),
        (b"-1 " + b"0" * 160, "line 1 is not a height"),
        (b"5 " + b"z" * 160, "line 1: "),
        (b"5 " + blocks.GENESIS.hex().encode() + b"\n5 " + blocks.GENESIS.hex().encode(), "line 2: height 5 stands twice"),
    ],
)
def test_what_is_no_header_file_is_an_error(lines: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ots.headers(io.BytesIO(lines), {5}, GENESIS_TARGET)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "magic"),
        (DATA, "magic"),
        (ots.MAGIC, "in the middle"),
        (ots.MAGIC + b"\x02", "version 2"),
        (ots.MAGIC + b"\x01\x02" + bytes(20) + block(1), "by sha1"),
        (proof(DIGEST, b""), "in the middle"),
        (proof(DIGEST, FORK), "in the middle"),
        (proof(DIGEST, block(1) + b"\x00"), "1 bytes after its end"),
        (proof(DIGEST, b"\x42" + block(1)), "unknown operation 0x42"),
        (proof(DIGEST, FORK + FORK + block(1)), "unknown operation 0xff"),
        (proof(DIGEST, b"\x67\x42" + block(1)), "unknown operation 0x42"),
        (proof(DIGEST, b"\xf0\x00" + block(1)), "field of 0 bytes"),
        (proof(DIGEST, append(bytes(4097)) + block(1)), "field of 4097 bytes"),
        (proof(DIGEST, append(bytes(4090)) + block(1)), "message of 4122 bytes"),
        (proof(DIGEST, b"\xf3" * 8 + block(1)), "message of 8192 bytes"),
        (proof(DIGEST, b"\xf0" + b"\xff" * 100), "more than 63 bits"),
        (proof(DIGEST, b"\xf0\xff\xff\xff\xff\x7f"), "field of"),
        (proof(DIGEST, blocks.attest(blocks.BITCOIN, b"\x01\x01")), "more in it than a height"),
        (proof(DIGEST, blocks.attest(blocks.BITCOIN, b"")), "in the middle"),
        (proof(DIGEST, blocks.attest(blocks.PENDING, bytes(8193))), "field of 8193 bytes"),
        (proof(DIGEST, (FORK + SHA256) * 257 + block(1)), "more than 256 open forks"),
        (proof(DIGEST, SHA256 * (256 << 10) + block(1)), "is not read"),
    ],
)
def test_a_hostile_proof_is_an_error(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ots.parse(data)


def test_a_long_way_is_walked_without_recursion() -> None:
    assert len(ots.parse(proof(DIGEST, SHA256 * 200_000 + block(1))).blocks) == 1
    assert len(ots.parse(proof(DIGEST, (FORK + block(1)) * 10_000 + block(1))).blocks) == 10_001


def test_no_flipped_bit_gives_another_instant() -> None:
    made, line = blocks.stamped(DATA, SECOND)
    truth, found = checked(made, line), ots.parse(made)
    for place in range(8 * len(made)):
        changed = bytearray(made)
        changed[place // 8] ^= 1 << place % 8
        try:
            other = ots.parse(bytes(changed))
            instant = ots.verify(other, ots.headers(io.BytesIO(line), {600_000}, EASY))
        except ValueError:
            continue
        assert (other.digest, instant) == (found.digest, truth)
