"""The command line: `lowbackground VERB ...`. Imports nothing heavy before a verb needs it."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipelines import options
from provenance import extractors
from store.errors import LowbackgroundError, UsageError

if TYPE_CHECKING:
    from pipelines import freeze

VERBS = {
    "freeze": "freeze sources of before a cutoff into a snapshot that nobody can change unnoticed",
    "curate": "extract, deduplicate and tag a crawl, against snapshots and earlier runs if any are given",
    "query": "ask a run, a snapshot or a mix in SQL, or by the name of a stored query",
    "mix": "write training shards that keep a floor of verified human text at every prefix",
    "verify": "check a snapshot, a run or a mix from its own bytes",
    "report": "write one HTML file that shows a run, a mix or a snapshot",
}
EPILOGUE = (
    "Exit codes: 0 done (rejects are normal); 1 a check failed or the run is incomplete; 2 wrong usage or configuration; "
    "3 consistent but not anchored (verify without --anchor). Any configuration key of the README is an option: "
    "--minhash.permutations=256. Options of Beam go after `--`."
)


@dataclass(frozen=True)
class Job:
    """How a verb is to work: what is the same for all of them."""

    workers: int = 1
    beam_args: tuple[str, ...] = ()
    dry_run: bool = False
    quiet: bool = False
    config: tuple[str, ...] = ()
    overrides: tuple[tuple[str, str], ...] = field(default=())


def parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    top = argparse.ArgumentParser(
        prog="lowbackground", description="Low-background text: freeze it, prove it, mix it.", epilog=EPILOGUE, allow_abbrev=False
    )
    top.add_argument("--version", action=_Version, help="print the version and end")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    made = {
        name: verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", epilog=EPILOGUE, allow_abbrev=False)
        for name, text in VERBS.items()
    }
    for name in ("freeze", "curate", "mix"):
        made[name].add_argument(
            "--config",
            action="append",
            default=[],
            metavar="FILE.yaml",
            help="settings by section; may repeat, later files go over earlier ones, dotted options over all",
        )
        made[name].add_argument(
            "--dry-run", action="store_true", help="print the resolved settings, the input files and what would be written"
        )
        made[name].add_argument(
            "--workers", type=_positive, default=1, metavar="N", help="operating-system processes to use (default 1: this one)"
        )
    for verb in made.values():
        verb.add_argument("--json", action="store_true", help="the closing summary as one JSON object on standard output")
        verb.add_argument("--quiet", action="store_true", help="no progress on standard error")
    _freeze_and_curate(made)
    _others(made)
    return top


def _freeze_and_curate(made: dict[str, argparse.ArgumentParser]) -> None:
    source = "file, folder, glob or fsspec URL of WARC, ARC, WET, WACZ, Parquet, JSONL or Wikipedia XML (README: Readers, Presets)"
    for name in ("freeze", "curate"):
        made[name].add_argument(
            "--extract", choices=extractors.names(), help="how HTML becomes text; the same as --extract.extractor=NAME"
        )
    made["freeze"].add_argument("source", nargs="*", metavar="SOURCE", help=source)
    made["freeze"].add_argument("--into", required=True, metavar="SNAPSHOT", help="folder of the snapshot")
    made["freeze"].add_argument(
        "--cutoff", metavar="DATE", help="captures must end before it (UTC; usually 2022-01-01); with --extends the parent's"
    )
    made["freeze"].add_argument(
        "--declare", metavar="TEXT", help="who says, and why, that rows without a capture time are older than the cutoff"
    )
    made["freeze"].add_argument("--extends", metavar="ID", help="version of this snapshot to grow; its files are shared")
    made["freeze"].add_argument("--index-only", action="store_true", help="keep leaves and sketches, and no text")
    made["freeze"].add_argument(
        "--redact", metavar="LIST", help="with --extends: keys or URLs, one a line, whose texts go; their leaf hashes stay"
    )
    made["freeze"].add_argument("--sign", metavar="KEY", help="Ed25519 private key (PEM or note format) that signs the checkpoint")
    made["freeze"].add_argument(
        "--trust", metavar="FILE.yaml", help="trust list: whose word counts, by digest (README: Attestation)"
    )
    witness: dict[str, Any] = {"action": "append", "default": [], "metavar": "FILE"}
    made["freeze"].add_argument("--checksums", help="published list of checksums that SOURCE files stand in; may repeat", **witness)
    made["freeze"].add_argument(
        "--index",
        help="index of another custodian (CDXJ, CDX, Common Crawl's Parquet): file, folder or glob; may repeat",
        **witness,
    )
    made["freeze"].add_argument(
        "--timestamp",
        help="RFC 3161 token or OpenTimestamps proof over a SOURCE file or a list of checksums; may repeat",
        **witness,
    )
    made["curate"].add_argument("source", nargs="+", metavar="SOURCE", help=source)
    made["curate"].add_argument("--into", required=True, metavar="RUN", help="folder of the run")
    made["curate"].add_argument(
        "--against",
        action="append",
        default=[],
        metavar="SNAPSHOT|RUN",
        help="snapshot or earlier run to match; may repeat; SNAPSHOT@ID names a version",
    )
    made["curate"].add_argument(
        "--protect",
        action="append",
        default=[],
        metavar="GLOB",
        help="source files whose documents are tagged and never dropped; may repeat; the same as match.protect",
    )


def _others(made: dict[str, argparse.ArgumentParser]) -> None:
    made["query"].add_argument("target", metavar="RUN", help="folder of a run, snapshot or mix")
    made["query"].add_argument("sql", metavar="SQL|NAME", help="a statement, or the name of a stored query")
    made["query"].add_argument(
        "--format", choices=("table", "csv", "json", "parquet"), default="table", help="how the answer is written (default table)"
    )
    made["query"].add_argument("--out", metavar="FILE", help="write there and not to standard output")
    options.mix(made["mix"])
    for name in ("mix", "query"):
        _revoked(made[name])
    _verify(made["verify"])
    for name in ("verify", "report"):
        late = "latest cutoff that the snapshot of a mix may have (default 2022-01-01)"
        made[name].add_argument("--max-cutoff", metavar="DATE", help=late)
    made["report"].add_argument("target", metavar="RUN|MIX|SNAPSHOT", help="folder to show")
    made["report"].add_argument("--out", metavar="FILE.html", help="where to write (default TARGET.html beside the folder)")
    made["report"].add_argument("--mix", metavar="MIX", help="a mix of this run, whose shards end the funnel")
    made["report"].add_argument(
        "--anchor", metavar="SNAPSHOT-ID", help="the snapshot id that you trust: the report then says whether it verified"
    )


def _revoked(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--revoked", metavar="FILE", help="signed list of what counts for less since")
    verb.add_argument(
        "--key", action="append", default=[], metavar="VKEY", help="verifier key whose signatures you trust; may repeat"
    )


def _verify(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("target", metavar="SNAPSHOT|RUN|MIX|SHARD|PROOF", help="folder, one shard of a mix, or proof file, to check")
    verb.add_argument("--anchor", metavar="SNAPSHOT-ID", help="the snapshot id that you trust, from elsewhere than this folder")
    verb.add_argument(
        "--sample", type=float, metavar="SHARE", help="check a random share of a snapshot; says what a change would escape with"
    )
    verb.add_argument("--sample-seed", metavar="HEX", help="repeat the sample of an earlier --sample, which printed this")
    verb.add_argument(
        "--replay", action="append", default=[], metavar="SOURCE", help="extract a random sample from the sources again; may repeat"
    )
    verb.add_argument("--texts", metavar="SNAPSHOT", help="the snapshot of a mix of tokens, for a tokenizer that loses some text")
    verb.add_argument("--prove", metavar="KEY,...", help="write the proof that documents are in the snapshot, to --out")
    verb.add_argument("--out", metavar="FILE", help="where --prove writes")
    _revoked(verb)


class _Version(argparse.Action):
    """Prints the version, which takes longer to find than a parser should take to make."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any):
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"lowbackground {version('lowbackground')}")
        parser.exit()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} workers cannot work; give 1 or more")
    return number


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, Job]:
    """The verb's arguments and how to work. Exits with 2 as argparse does; raises `UsageError` for unknown options."""
    ours, beam = list(argv), []
    if "--" in ours:
        cut = ours.index("--")
        ours, beam = ours[:cut], ours[cut + 1 :]
    arguments, rest = parser().parse_known_args(ours)
    overrides = _dotted(rest, arguments.verb)
    if extractor := getattr(arguments, "extract", None):
        overrides = _with(overrides, "--extract", "extract.extractor", extractor)
    if patterns := getattr(arguments, "protect", None):
        overrides = _with(overrides, "--protect", "match.protect", json.dumps(patterns))
    if buffer := getattr(arguments, "shuffle_buffer", None):
        overrides = _with(overrides, "--shuffle-buffer", "mix.shuffle_buffer", buffer)
    if getattr(arguments, "human_apart", False):
        overrides = _with(overrides, "--human-apart", "mix.human_apart", "true")
    if (overrides or beam) and arguments.verb not in ("freeze", "curate", "mix"):
        raise UsageError(
            f"{arguments.verb} has no settings, and was given {(rest or beam)[0]!r}. See `lowbackground {arguments.verb} --help`."
        )
    job = Job(
        workers=getattr(arguments, "workers", 1),
        beam_args=tuple(beam),
        dry_run=getattr(arguments, "dry_run", False),
        quiet=arguments.quiet,
        config=tuple(getattr(arguments, "config", ())),
        overrides=tuple(overrides),
    )
    return arguments, job


def _dotted(rest: list[str], verb: str) -> list[tuple[str, str]]:
    """`--a.b=c` and `--a.b c` as pairs; anything else is unknown."""
    pairs, waiting = [], list(rest)
    while waiting:
        option, equals, value = waiting.pop(0).partition("=")
        if not option.startswith("--") or "." not in option:
            raise UsageError(
                f"{option!r} is no option of {verb}. See `lowbackground {verb} --help`; options of Beam go after `--`."
            )
        if not equals:
            if not waiting:
                raise UsageError(f"{option} needs a value, as in {option}=VALUE.")
            value = waiting.pop(0)
        pairs.append((option[2:], value))
    return pairs


def _with(overrides: list[tuple[str, str]], option: str, key: str, value: str) -> list[tuple[str, str]]:
    """The overrides with what a plain option means. Raises `UsageError` where they give its key another value."""
    if others := [other for path, other in overrides if path == key and other != value]:
        raise UsageError(f"{option}={value} and --{key}={others[0]} set one thing to two values. Give one of them.")
    return [*overrides, (key, value)]


def run(arguments: argparse.Namespace, job: Job) -> dict[str, Any]:
    """Runs one verb; returns its closing summary, with its exit code under `exit_code` where that is not 0."""
    if arguments.verb == "freeze":
        from pipelines import freeze

        return freeze.run(_order(arguments), job)
    if arguments.verb == "curate":
        from pipelines import curate

        return curate.run(arguments.source, arguments.into, arguments.against, job)
    if arguments.verb in ("mix", "query") and not arguments.revoked:
        _refuse(arguments, "keys are for a list given with --revoked, and none is", "key")
    if arguments.verb == "mix":
        from pipelines import mix

        return mix.run(
            arguments.run,
            arguments.snapshot,
            arguments.into,
            arguments.floor,
            arguments.min_attestation,
            job,
            revoked=arguments.revoked,
            vkeys=arguments.key,
            scores=arguments.scores,
            where=arguments.where,
        )
    if arguments.verb == "verify":
        return _verified(arguments)
    if arguments.verb == "query":
        from pipelines import query

        if arguments.json and not arguments.out:
            return query.answer(arguments.target, arguments.sql, arguments.revoked, arguments.key)
        return query.run(arguments.target, arguments.sql, arguments.format, arguments.out, arguments.revoked, arguments.key)
    from pipelines import report, verify

    trusted = arguments.anchor or arguments.max_cutoff
    verification = verify.run(arguments.target, arguments.anchor, True, max_cutoff=arguments.max_cutoff) if trusted else None
    summary = report.run(arguments.target, arguments.out, arguments.mix, verification)
    if verification:
        summary |= {"verification": verification["result"], "exit_code": int(verification["exit_code"] == 1)}
    return summary


def _verified(arguments: argparse.Namespace) -> dict[str, Any]:
    from pipelines import proving, verify

    if arguments.out and not arguments.prove:
        raise UsageError("--out is where --prove writes, and nothing is to be proven. Add --prove KEY, or leave it out.")
    if arguments.prove:
        checks = ("anchor", "sample", "sample_seed", "replay", "max_cutoff", "texts", "revoked", "key")
        _refuse(arguments, "--prove writes a proof and checks nothing", *checks)
        return proving.prove(arguments.target, arguments.prove, arguments.out)
    if verify.mix_of(arguments.target):
        _refuse(arguments, f"{arguments.target} is one shard of a mix", "revoked")
    elif proving.is_proof(arguments.target):
        others = ("sample", "sample_seed", "replay", "max_cutoff", "texts", "revoked")
        _refuse(arguments, f"{arguments.target} is a proof and no folder", *others)
        return proving.check(arguments.target, arguments.anchor, arguments.key)
    if arguments.sample is None and not arguments.replay:
        _refuse(arguments, "neither --sample nor --replay draws anything", "sample_seed")
    summary = verify.run(
        arguments.target,
        arguments.anchor,
        quiet=arguments.quiet,
        sample=arguments.sample,
        replay=arguments.replay,
        sample_seed=arguments.sample_seed,
        keys=() if arguments.revoked else arguments.key,
        max_cutoff=arguments.max_cutoff,
        texts=arguments.texts,
    )
    if arguments.revoked and int(summary["exit_code"]) != 1:
        return proving.lowered(arguments.target, arguments.revoked, arguments.key, summary)
    return summary


def _refuse(arguments: argparse.Namespace, why: str, *names: str) -> None:
    """Raises `UsageError` where an option was given that this use of the verb would pass over in silence."""
    if given := [name for name in names if getattr(arguments, name) not in (None, [])]:
        raise UsageError(f"--{given[0].replace('_', '-')} would count for nothing: {why}. Leave it out.")


def _order(arguments: argparse.Namespace) -> "freeze.Order":
    from pipelines import freeze

    return freeze.Order(
        sources=arguments.source,
        into=arguments.into,
        cutoff=arguments.cutoff,
        declaration=arguments.declare,
        extends=arguments.extends,
        redact=arguments.redact,
        sign=arguments.sign,
        index_only=arguments.index_only,
        trust=arguments.trust,
        checksums=arguments.checksums,
        indexes=arguments.index,
        timestamps=arguments.timestamp,
    )


def _failed(message: str, code: int, argv: Sequence[str] | None) -> int:
    """Says what went wrong on standard error and, with --json, as the one object on standard output."""
    print(f"error: {message}", file=sys.stderr)
    if "--json" in (sys.argv[1:] if argv is None else argv):
        print(json.dumps({"error": message, "exit_code": code}, ensure_ascii=False))
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command `lowbackground`; returns the exit code."""
    logging.basicConfig(level=logging.ERROR)  # Beam warns of optional packages that it does not need here
    try:
        arguments, job = parse(sys.argv[1:] if argv is None else argv)
        summary = run(arguments, job)
    except LowbackgroundError as error:
        return _failed(str(error), error.exit_code, argv)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return _failed(
            f"{error.strerror or error}{where}: a file or folder cannot be used. Check the path and who may use it.", 2, argv
        )
    except KeyboardInterrupt:
        print("error: interrupted; the same command goes on where it ended.", file=sys.stderr)
        return 130
    try:
        _close(arguments, summary)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough; what was to be done is done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return int(summary.get("exit_code", 0))


def _close(arguments: argparse.Namespace, summary: dict[str, Any]) -> None:
    if arguments.json:
        print(json.dumps(summary, ensure_ascii=False))
        return
    from pipelines.summary import show

    show(arguments.verb, summary)


if __name__ == "__main__":
    sys.exit(main())
