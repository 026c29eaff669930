"""Options of the verb `mix` on the command line; imports nothing heavy."""

import argparse


def mix(verb: argparse.ArgumentParser) -> None:
    """Adds what `mix` takes beside the settings of its section."""
    verb.add_argument("run", nargs="+", metavar="RUN", help="runs that the other side comes from")
    verb.add_argument("--snapshot", required=True, metavar="SNAPSHOT", help="snapshot that the human side comes from")
    verb.add_argument("--into", required=True, metavar="MIX", help="folder of the mix")
    verb.add_argument(
        "--floor", metavar="SHARE", help="least share of verified human units at every prefix, such as 0.5 or 1/3 (default 0.5)"
    )
    verb.add_argument("--min-attestation", metavar="LEVEL", help="weakest attestation that counts as human (default corroborated)")
    verb.add_argument(
        "--scores",
        action="append",
        default=[],
        metavar="TABLE",
        help="Parquet file, folder or glob with a document's key in each row and any other columns, for --where and mix.strata; may repeat",
    )
    verb.add_argument(
        "--where", metavar="SQL", help="condition that a document must meet, human ones too: \"origin = 'human' OR quality > 0.5\""
    )
    verb.add_argument(
        "--shuffle-buffer", metavar="ROWS", help="rows of a reader's shuffle buffer under which the floor is to hold as well"
    )
    verb.add_argument("--human-apart", action="store_true", help="write the human side once more by itself, beside the mix")
