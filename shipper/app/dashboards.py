"""Brings the shipped dashboards to OpenSearch Dashboards and to Grafana: get, compare, write.

A second run writes nothing. Ids and uids are fixed, so nothing of anybody else's is touched; what
somebody changed in one of ours is set back, so change a copy.
"""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import urllib3
from msgspec import Struct

import shipper
from shipper.errors import MisconfiguredError, UnavailableError, UsageError

# What the files are generated with (`dashboards/generator`).
PATTERN: Final = "mysql-audit-*"
RUNBOOKS: Final = "docs/runbooks"
# Saved objects are written all at once; a server that migrates takes its time.
_TIMEOUT: Final = urllib3.Timeout(connect=10, read=120)
# Nobody answers with more than the objects that we have, some 300 kB.
_ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024


class State(StrEnum):
    """How an object was found, or left."""

    SAME = "unchanged"
    MADE = "created"
    RENEWED = "updated"


class Step(NamedTuple):
    """What came of one object."""

    state: State
    name: str


class Access(Struct, frozen=True, kw_only=True):
    """How a server is reached."""

    url: str
    headers: dict[str, str] = {}
    ca_file: str | None = None


def folder() -> Path:
    """Find the files: in the checkout, or where the package installed them."""
    checkout = Path(shipper.__file__).parents[1] / "dashboards"
    installed = Path(sys.prefix, "share", "audit-shipper", "dashboards")
    for each in (checkout, installed):
        if (each / "grafana").is_dir():
            return each
    raise UsageError(f"there are no dashboards in {checkout} nor in {installed}: give --files")


def saved_objects(files: Path, pattern: str) -> list[dict[str, Any]]:
    """Read the saved objects, each once, for indexes that match `pattern`.

    The order of the files is kept: an object comes after those that it refers to.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in _sorted(files / "opensearch", "*.ndjson"):
        for line in path.read_text(encoding="utf-8").splitlines():
            # TSVB and Vega have the pattern's title inside, not a reference to it.
            made = json.loads(line.replace(PATTERN, pattern))
            found.setdefault(made["id"], made)
    return list(found.values())


def grafana_dashboards(files: Path, runbooks: str) -> list[dict[str, Any]]:
    """Read Grafana's dashboards; `runbooks` is where their links lead."""
    found = []
    for path in _sorted(files / "grafana", "*.json"):
        board = json.loads(path.read_text(encoding="utf-8"))
        for variable in board["templating"]["list"]:
            if variable["name"] == "runbooks":
                variable["query"] = runbooks
        found.append(board)
    return found


def _sorted(files: Path, pattern: str) -> Sequence[Path]:
    paths = sorted(files.glob(pattern))
    if not paths:
        raise UsageError(f"there are no {pattern} in {files}")
    return paths


class _Server:
    """One HTTP API."""

    def __init__(self, access: Access) -> None:
        self._access = access
        try:
            context = ssl.create_default_context(cafile=access.ca_file)
        except OSError as error:
            raise MisconfiguredError(f"cannot use {access.ca_file}: {error}") from error
        self._pool = urllib3.PoolManager(ssl_context=context, timeout=_TIMEOUT, retries=False)

    def call(
        self, method: str, path: str, ok: tuple[int, ...] = (200,), **body: Any
    ) -> tuple[int, Any]:
        """Call; give status and JSON. Raises UnavailableError or MisconfiguredError."""
        url = self._access.url.rstrip("/") + path
        headers = dict(self._access.headers) | body.pop("headers", {})
        try:
            reply = self._pool.request(
                method, url, headers=headers, redirect=False, preload_content=False, **body
            )
            text = reply.read(_ANSWER_BYTES_MAX)
            reply.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"{url} cannot be reached: {error}") from error
        if reply.status not in ok:
            said = text[:300].decode(errors="replace")
            kind = UnavailableError if reply.status >= 500 else MisconfiguredError
            raise kind(f"{method} {url}: status {reply.status}: {said}")
        try:
            return reply.status, json.loads(text or b"null")
        except ValueError as error:
            raise MisconfiguredError(f"{url} answers, but not with JSON: is it the API?") from error


class OpenSearchDashboards:
    """The saved objects API of OpenSearch Dashboards."""

    def __init__(self, access: Access) -> None:
        """Connect to nothing yet."""
        self._server = _Server(access)

    def bring(self, objects: Sequence[dict[str, Any]], *, write: bool = True) -> list[Step]:
        """Import what is missing or different; `write=False` only looks."""
        there = self._there(objects)
        steps, wanted = [], []
        for made in objects:
            found = there.get(made["id"])
            state = State.MADE
            if found is not None:
                state = State.SAME if _alike(made, found) else State.RENEWED
            if state is not State.SAME:
                wanted.append(made)
            steps.append(Step(state, f"{made['type']} {made['attributes']['title']}"))
        if wanted and write:
            self._import(wanted)
        return steps

    def _there(self, objects: Sequence[dict[str, Any]]) -> dict[str, Any]:
        asked = [{"type": made["type"], "id": made["id"]} for made in objects]
        _, answer = self._server.call(
            "POST", "/api/saved_objects/_bulk_get", json=asked, headers=_XSRF
        )
        return {each["id"]: each for each in answer["saved_objects"] if "error" not in each}

    def _import(self, objects: Sequence[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(made, ensure_ascii=False) + "\n" for made in objects)
        # The importer refuses a file whose name does not end like this.
        file = ("audit-shipper.ndjson", lines.encode(), "application/ndjson")
        _, answer = self._server.call(
            "POST",
            "/api/saved_objects/_import?overwrite=true",
            fields={"file": file},
            headers=_XSRF,
        )
        # 200 is no success.
        if not answer.get("success"):
            errors = "; ".join(
                f"{each.get('type')} {each.get('title') or each.get('id')}: "
                f"{each.get('error', {}).get('type')}"
                for each in answer.get("errors", ())[:5]
            )
            count = answer.get("successCount", 0)
            raise MisconfiguredError(f"{count} of {len(objects)} objects were imported: {errors}")


_XSRF: Final = {"osd-xsrf": "true"}


def _alike(made: dict[str, Any], found: dict[str, Any]) -> bool:
    return all(found.get(name) == made[name] for name in ("attributes", "references"))


class Grafana:
    """The dashboard API of Grafana."""

    def __init__(self, access: Access) -> None:
        """Connect to nothing yet."""
        self._server = _Server(access)

    def bring(
        self, boards: Sequence[dict[str, Any]], folder: str, *, write: bool = True
    ) -> list[Step]:
        """Save what is missing or different, in a folder of this title."""
        uid = _folder_uid(folder)
        steps = [self._folder(uid, folder, write=write)]
        steps += [self._board(board, uid, write=write) for board in boards]
        return steps

    def _folder(self, uid: str, title: str, *, write: bool) -> Step:
        status, _ = self._server.call("GET", f"/api/folders/{uid}", (200, 404))
        if status == 200:
            return Step(State.SAME, f"folder {title}")
        if write:
            self._server.call("POST", "/api/folders", json={"uid": uid, "title": title})
        return Step(State.MADE, f"folder {title}")

    def _board(self, board: dict[str, Any], folder: str, *, write: bool) -> Step:
        name = f"dashboard {board['title']}"
        path = f"/api/dashboards/uid/{quote(board['uid'])}"
        status, answer = self._server.call("GET", path, (200, 404))
        state = State.MADE
        if status == 200:
            found, meta = answer["dashboard"], answer.get("meta", {})
            same = _core(found) == _core(board) and meta.get("folderUid", folder) == folder
            state = State.SAME if same else State.RENEWED
        if state is not State.SAME and write:
            message = f"audit-shipper {shipper.__version__}"
            body = {"dashboard": _core(board), "folderUid": folder, "overwrite": True}
            self._server.call("POST", "/api/dashboards/db", json=body | {"message": message})
        return Step(state, name)


def _core(board: dict[str, Any]) -> dict[str, Any]:
    """Leave out what Grafana itself counts."""
    return {key: value for key, value in board.items() if key not in ("id", "version")}


def _folder_uid(title: str) -> str:
    """Make an id of what Grafana allows in one: letters, digits, - and _, at most 40."""
    return "".join(_id_characters(title))[:40] or "audit-shipper"


def _id_characters(title: str) -> Iterator[str]:
    for character in title.lower():
        yield character if character.isascii() and character.isalnum() else "-"
