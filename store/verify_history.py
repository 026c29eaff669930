"""A snapshot among its versions: what it extends and the proof of it, its checkpoint, and which file belongs to which version."""

import re
from collections.abc import Iterator

from provenance.identity import check_consistency
from store import checkpoint, files, manifest, verify_manifest
from store.errors import CheckFailed
from store.integrity import Findings
from store.manifest import MANIFESTS, WORK, Opened

_CHECKPOINT = re.compile(rf"{checkpoint.FOLDER}/[0-9a-f]{{64}}\.txt", re.ASCII)


def history(opened: Opened, found: Findings) -> dict[str, Opened]:
    """The versions in the folder by id, after checks of each one's manifest, checkpoint and parent; those that a check of the
    manifest by itself blames are left out."""
    versions = dict[str, Opened]()
    for name in manifest.snapshot_ids(opened.url):
        try:
            versions[name] = manifest.open_version(opened.url, name)
        except (CheckFailed, FileNotFoundError) as error:
            found.blame(f"{MANIFESTS}/{name}.json", str(error))
    versions[opened.id] = opened
    unfit = {name: why for name, version in versions.items() if (why := _unfit(version))}
    sound = {name: version for name, version in versions.items() if name not in unfit}
    for name, version in sound.items():
        try:
            _check_chain(version, sound.get(version.parent or ""))
        except ValueError as error:
            unfit[name] = str(error)
        _check_checkpoint(version, found)
    for name, why in unfit.items():
        found.blame(f"{MANIFESTS}/{name}.json", why)
    if opened.parent is not None and opened.parent not in versions and opened.id not in unfit:
        path = f"{MANIFESTS}/{opened.parent}.json"
        if path not in found.wrong:
            found.lose(path, "the version that this one extends; whether it keeps what that one fixed cannot be checked")
    return sound


def _unfit(version: Opened) -> str:
    """Why a manifest says nothing that could be followed; empty for one that does."""
    try:
        verify_manifest.check(version)
    except ValueError as error:
        return str(error)
    return ""


def _check_checkpoint(version: Opened, found: Findings) -> None:
    own = checkpoint.path(version.id)
    try:
        checkpoint.check_file(version)
    except CheckFailed as error:
        if files.exists(files.join(version.url, own)):
            found.blame(own, str(error))
        else:
            found.lose(own, str(error))
    except ValueError as error:
        found.blame(own, f"it is no checkpoint: {error}")


def listing(opened: Opened, versions: dict[str, Opened], read: set[str], found: Findings) -> None:
    """Every file in the folder is listed by a version, and those of this one that are not in `read` have the listed size."""
    there, unrelated = _sizes(opened.url), _unrelated(opened, versions)
    versions = {name: version for name, version in versions.items() if name not in unrelated}
    own = {entry["path"]: entry["size"] for entry in opened.manifest["files"]}
    known = set(own) | {f"{MANIFESTS}/{name}.json" for name in manifest.snapshot_ids(opened.url) if name not in unrelated}
    making = _making(opened.url, versions)
    removed: dict[str, str] = {}
    needed: dict[str, set[str]] = {}
    for name, version in versions.items():
        known |= {entry["path"] for entry in version.manifest["files"]}
        known |= {checkpoint.path(name)} if version.manifest.get("signers") else set()
        removed |= dict.fromkeys(version.removed, name)
        needed |= {name: _needed(name, versions)} if version.removed else {}
    for path in there:
        if path.split("/")[0] == WORK:
            continue
        if path not in known:
            (found.in_the_making if path in making else found.extra).append(path)
        elif path in removed and path not in own and path not in needed[removed[path]]:
            found.extra.append(path)
            found.why[path] = f"version {removed[path]} redacted what it holds, and it is still there"
    for path, size in own.items():
        newer = removed.get(path, "")
        if path not in there:
            replaced = opened.id in list(_ancestry(newer, versions))[1:]
            found.lose(path, f"removed by redaction; version {newer} replaces it" if replaced else "")
        elif there[path] != size and path not in read:
            found.blame(path, f"{there[path]} bytes, where the manifest lists {size}")


def _unrelated(opened: Opened, versions: dict[str, Opened]) -> set[str]:
    """Versions that have no version in common with those that this one comes from: another snapshot, that vouches for nothing here."""
    own = set(_ancestry(opened.id, versions))
    return {name for name in versions if not own & set(_ancestry(name, versions))}


def _making(url: str, versions: dict[str, Opened]) -> set[str]:
    """Files that an unfinished command moved into place, as far as the next version of a snapshot could have them."""
    following = {len(version.manifest["tree"]["extensions"]) for version in versions.values()}
    found = set()
    for path in manifest.placing(url):
        named = verify_manifest.place(path)
        if (named is not None and named.writer in following) or _CHECKPOINT.fullmatch(path):
            found.add(path)
    return found


def _ancestry(name: str, versions: dict[str, Opened]) -> Iterator[str]:
    """A version and those that it comes from, as far as their manifests are there."""
    at: str | None = name
    while at is not None and at in versions:
        yield at
        at = versions[at].parent


def _needed(remover: str, versions: dict[str, Opened]) -> set[str]:
    """Files that versions list which the remover does not come from: other branches still stand on them."""
    above = set(_ancestry(remover, versions))
    others = (version for name, version in versions.items() if name not in above)
    return {entry["path"] for version in others for entry in version.manifest["files"]}


def _sizes(url: str) -> dict[str, int]:
    """Size of every file below a folder, by its path there."""
    fs, path = files.split_url(url)
    fs.invalidate_cache()
    base = path.rstrip("/") + "/"
    found = fs.find(path, detail=True)
    return {
        str(name)[len(base) :]: int(info["size"])
        for name, info in sorted(found.items())
        if str(name).startswith(base) and not str(name).endswith("/")
    }


def check_chain(opened: Opened, parent: Opened) -> None:
    """Raises `ValueError` unless both manifests are sound, and a snapshot's tree is made of its extensions, begins with its
    parent's by its proof, and keeps what its parent fixed."""
    verify_manifest.check(parent)
    verify_manifest.check(opened)
    _check_chain(opened, parent)


def _check_chain(opened: Opened, parent: Opened | None) -> None:
    """As `check_chain`, of sound manifests; the parent's is None where it is not there."""
    tree, proof = opened.manifest["tree"], opened.manifest.get("consistency") or []
    extensions = tree["extensions"]
    if (
        not extensions
        or sum(extension["size"] for extension in extensions) != tree["size"]
        or extensions[-1]["root"] != tree["root"]
    ):
        raise ValueError(f"its extensions do not add up to its tree of {tree['size']} leaves and root {tree['root']}")
    names = [extension["manifest"] for extension in extensions]
    if names[-1] is not None or None in names[:-1] or (names[-2] if len(names) > 1 else None) != opened.parent:
        raise ValueError(f"its extensions were made by {names}, and its parent is {opened.parent}")
    if opened.parent is None:
        if proof:
            raise ValueError("it extends nothing, and carries a consistency proof")
        return
    size, root = tree["size"] - extensions[-1]["size"], extensions[-2]["root"]
    nodes = [bytes.fromhex(node) for node in proof]
    check_consistency(size, bytes.fromhex(root), tree["size"], bytes.fromhex(tree["root"]), nodes)
    if parent is None:
        return
    theirs = parent.manifest["tree"]
    if (theirs["size"], theirs["root"]) != (size, root):
        raise ValueError(
            f"it extends a tree of {size} leaves and root {root}, and its parent has {theirs['size']} and {theirs['root']}"
        )
    if theirs["extensions"][:-1] != extensions[:-2] or theirs["extensions"][-1]["size"] != extensions[-2]["size"]:
        raise ValueError("its extensions are not those of its parent and one more")
    verify_manifest.check_child(opened, parent)
