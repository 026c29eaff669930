"""Signs a revocation list: `python -m pipelines.revoke ITEMS --scope SCOPE --sign KEY --out LIST`.

ITEMS has a line `KIND VALUE REASON` for each thing that turned out to be false: `key` with a document's key, `leaf` with a leaf's
hash, `witness` with a name of the trust list, or `source` with the SHA-256 of a source file; `#` begins a comment.
"""

import argparse
import sys
from collections.abc import Sequence

from store import files, notes, revocation
from store.errors import LowbackgroundError, UsageError


def items(text: str) -> list[revocation.Item]:
    """The items of a list as a person writes it, in any order. Raises `UsageError` for a line of another form."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split(maxsplit=2)
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 2:
            raise UsageError(
                f"line {number}: {line.strip()[:60]!r} is no `KIND VALUE REASON`; nobody could tell what it takes back."
            )
        found.append(revocation.Item(words[0], words[1], words[2].strip() if len(words) > 2 else "no reason given"))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the signed list; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.revoke", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("items", metavar="ITEMS", help="what is taken back, a line `KIND VALUE REASON` each")
    parser.add_argument("--scope", required=True, help="a snapshot's id (it and what extends it), a signer's name, or *")
    parser.add_argument("--sign", required=True, metavar="KEY", help="Ed25519 private key, PEM or note format")
    parser.add_argument("--origin", metavar="NAME", help="name to sign as, which a PEM key does not have")
    parser.add_argument("--out", required=True, metavar="LIST", help="where to write")
    asked = parser.parse_args(argv)
    try:
        key = notes.read_key(asked.sign, asked.origin)
        files.write_bytes(asked.out, revocation.write(asked.scope, items(files.read_bytes(asked.items).decode()), [key]))
    except LowbackgroundError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except (OSError, ValueError) as error:
        print(f"error: the list cannot be made: {error}. Nothing was written.", file=sys.stderr)
        return UsageError.exit_code
    print(f"{asked.out}, signed by {key.verifier.vkey}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
