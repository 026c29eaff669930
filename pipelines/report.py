"""`report`: one HTML file that shows a run, a snapshot or a mix to people who would rather look than read.

The file is self-contained: no script, no network, charts as inline SVG. The same input gives the same bytes.
"""

from typing import Any

from store import files
from store.catalog import connect
from store.errors import LowbackgroundError, UsageError
from store.manifest import Opened, open_any, open_run


def run(target: str, out: str | None = None, mix: str | None = None, verification: dict[str, Any] | None = None) -> dict[str, Any]:
    """Writes the report of what lies at `target`; returns its path and what it shows.

    `out` is where to write (default `TARGET.html` beside the folder). For a run, `mix` adds the step into that mix's
    shards. `verification` is a summary of `verify`, which the page tells; without one, a mix is verified without an anchor,
    and the page of anything else says that it was not. Raises `UsageError` where there is nothing finished, or where `mix` goes with
    something else than a run.
    """
    import duckdb

    opened = open_any(target)
    if mix is not None and opened.kind != "run":
        raise UsageError(
            f"{target} is a {opened.kind}, and the way into a mix is shown for a run. Leave the mix out, or name the run."
        )
    name = files.join(target).rsplit("/", 1)[-1].partition("@")[0] or opened.kind
    if verification is None and opened.kind == "mix":
        verification = _verify(target)
    try:
        data = _render(opened, name, mix, verification)
    except (LowbackgroundError, duckdb.Error, ValueError) as error:
        # That files are damaged is what the page has to say, where it cannot be drawn from them.
        if verification is None or verification.get("exit_code") != 1:
            raise
        data = _damaged(opened, name, verification, error)
    where = out or f"{target.rstrip('/').rpartition('@')[0] or target.rstrip('/')}.html"
    files.write_bytes(where, data)
    return {"verb": "report", "kind": opened.kind, "target": target, "id": opened.id, "out": where, "bytes": len(data)}


def _render(opened: Opened, name: str, mix: str | None, verification: dict[str, Any] | None) -> bytes:
    with connect(opened) as con:
        if opened.kind == "run":
            from pipelines.reporting import run_page

            return run_page.render(opened, con, name, _in_mix(opened, mix) if mix else None, verification)
        if opened.kind == "snapshot":
            from pipelines.reporting import snapshot_page

            return snapshot_page.render(opened, con, name, verification)
        from pipelines.reporting import mix_page

        return mix_page.render(opened, con, name, verification)


def _damaged(opened: Opened, name: str, verification: dict[str, Any], error: Exception) -> bytes:
    """The page of what cannot be read far enough to draw it."""
    from pipelines.reporting import page

    why = str(error).split("\n", 1)[0]
    answers = [
        ("What is this?", f"What its manifest calls a {opened.kind}, with files that are damaged or missing."),
        ("How much is verified human?", page.UNPROVEN),
    ]
    status = page.status(verification, f"It is damaged so that nothing more can be shown: {why}")
    return page.page(name, opened.kind, f"{opened.kind} {opened.id}", answers, [], [status])


def _in_mix(opened: Opened, mix: str) -> dict[str, int]:
    """Documents of a run that a mix's shards hold, by origin."""
    with connect(mix) as shards, connect(open_run(opened.url)) as con:
        held = shards.sql("SELECT DISTINCT key FROM shards WHERE origin <> 'human'").to_arrow_table()
        con.register("held", held)
        found = con.execute(
            "SELECT origin, count(*) FROM tags WHERE key IN (SELECT key FROM held) GROUP BY origin ORDER BY origin"
        ).fetchall()
    return dict(found)


def _verify(target: str) -> dict[str, Any]:
    """What `verify` says of a mix without an anchor; that it cannot be verified is a failure and not an error here."""
    from pipelines import verify

    try:
        return verify.run(target, None, quiet=True)
    except LowbackgroundError as error:
        return {"exit_code": error.exit_code, "error": str(error)}
