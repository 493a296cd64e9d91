"""Stand-ins for the two APIs that `setup dashboards` speaks with; no such server can be had here.

Written from the servers' own sources: what they refuse is refused here.

- OpenSearch Dashboards: `osd-xsrf` header, multipart field `file` whose name ends in `.ndjson`,
  types and migration versions it knows, references that exist; 200 also for a failed import.
- Grafana: bearer token, folders by uid, `overwrite`, its own `id` and `version`.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KNOWN = {"index-pattern": (7, 6, 0), "search": (7, 9, 3), "visualization": (7, 10, 0),
         "dashboard": (7, 9, 3)}  # fmt: skip
TOKEN = "glsa_" + "t" * 32


class Api:
    """What is stored, and every call that was made."""

    prefix = ""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.writes: list[str] = []
        self.headers: list[Any] = []
        self.url = ""

    def answer(self, method: str, path: str, query: Any, headers: Any, body: bytes) -> Any:
        raise NotImplementedError


class OsdApi(Api):
    """OpenSearch Dashboards."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[tuple[str, str], Any] = {}

    def answer(self, method: str, path: str, query: Any, headers: Any, body: bytes) -> Any:
        if method != "GET" and "osd-xsrf" not in headers:
            return 400, {
                "error": "Bad Request",
                "message": "Request must contain a osd-xsrf header.",
            }
        if (method, path) == ("POST", "/api/saved_objects/_bulk_get"):
            return 200, {"saved_objects": [self._get(each) for each in json.loads(body)]}
        if (method, path) == ("POST", "/api/saved_objects/_import"):
            self.writes.append(path)
            return self._import(query, headers, body)
        return 404, {"statusCode": 404, "error": "Not Found", "message": "Not Found"}

    def _get(self, asked: Any) -> Any:
        found = self.objects.get((asked["type"], asked["id"]))
        if found is None:
            error = {"statusCode": 404, "error": "Not Found", "message": "Saved object not found"}
            return asked | {"error": error}
        return found | {"updated_at": "2026-01-01T00:00:00.000Z", "version": "WzEsMV0="}

    def _import(self, query: Any, headers: Any, body: bytes) -> Any:
        name, text = _file(headers["Content-Type"], body)
        if not name.endswith(".ndjson"):
            return 400, {"error": "Bad Request", "message": f"Invalid file extension {name}"}
        made = [json.loads(line) for line in text.splitlines() if line.strip()]
        errors = [error for each in made for error in self._errors(each, made, query)]
        if not errors:
            self.objects |= {(each["type"], each["id"]): each for each in made}
        done = {"success": not errors, "successCount": 0 if errors else len(made)}
        return 200, done | ({"errors": errors} if errors else {})

    def _errors(self, each: Any, made: Any, query: Any) -> Iterator[Any]:
        about = {"id": each["id"], "type": each["type"], "title": each["attributes"]["title"]}
        if each["type"] not in KNOWN:
            yield about | {"error": {"type": "unsupported_type"}}
            return
        version = tuple(map(int, each["migrationVersion"][each["type"]].split(".")))
        if version > KNOWN[each["type"]]:
            yield about | {"error": {"type": "unknown", "statusCode": 422}}
        key = each["type"], each["id"]
        if key in self.objects and query.get("overwrite") != ["true"]:
            yield about | {"error": {"type": "conflict"}}
        keys = {(one["type"], one["id"]) for one in made} | set(self.objects)
        missing = [one for one in each["references"] if (one["type"], one["id"]) not in keys]
        if missing:
            yield about | {"error": {"type": "missing_references", "references": missing}}


class GrafanaApi(Api):
    """Grafana."""

    def __init__(self) -> None:
        super().__init__()
        self.folders: dict[str, Any] = {}
        self.boards: dict[str, tuple[Any, str]] = {}

    def answer(self, method: str, path: str, query: Any, headers: Any, body: bytes) -> Any:
        del query
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"message": "Invalid API key"}
        uid = path.rpartition("/")[2]
        if method == "GET" and path.startswith("/api/folders/"):
            found = self.folders.get(uid)
            return (200, found) if found else (404, {"message": "folder not found"})
        if method == "GET" and path.startswith("/api/dashboards/uid/"):
            board, folder = self.boards.get(uid, (None, ""))
            answer = {"dashboard": board, "meta": {"folderUid": folder}}
            return (200, answer) if board else (404, {"message": "Dashboard not found"})
        return self._write(method, path, body)

    def _write(self, method: str, path: str, body: bytes) -> Any:
        if (method, path) == ("POST", "/api/folders"):
            self.writes.append(path)
            folder = json.loads(body)
            if not re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", folder["uid"]):
                return 400, {"message": "uid contains illegal characters"}
            self.folders[folder["uid"]] = folder
            return 200, folder
        if (method, path) == ("POST", "/api/dashboards/db"):
            self.writes.append(path)
            return self._save(json.loads(body))
        return 404, {"message": "Not found"}

    def _save(self, asked: Any) -> Any:
        board, folder = asked["dashboard"], asked["folderUid"]
        if folder not in self.folders:
            return 400, {"message": "folder not found"}
        if board.get("id") is not None:
            return 404, {"status": "not-found", "message": "Dashboard not found"}
        before = self.boards.get(board["uid"])
        if before and not asked.get("overwrite"):
            return 412, {"status": "version-mismatch"}
        version = before[0]["version"] + 1 if before else 1
        saved = board | {"id": before[0]["id"] if before else len(self.boards) + 1}
        self.boards[board["uid"]] = (saved | {"version": version}, folder)
        return 200, {"status": "success", "uid": board["uid"], "version": version}


def _file(content_type: str, body: bytes) -> tuple[str, str]:
    """The name and text of the multipart field `file`."""
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    assert boundary is not None
    for part in body.split(b"--" + boundary[1].encode()):
        head, _, content = part.partition(b"\r\n\r\n")
        found = re.search(rb'name="file"; filename="([^"]*)"', head)
        if found is not None:
            return found[1].decode(), content.removesuffix(b"\r\n").decode()
    return "", ""


@contextmanager
def serving(api: Api) -> Iterator[Api]:
    """Run a stand-in, under a path as behind a proxy."""
    api.prefix = "/under/a/path"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            path = parts.path.removeprefix(api.prefix)
            api.calls.append(f"{self.command} {path}")
            api.headers.append(dict(self.headers))
            query = parse_qs(parts.query)
            status, answer = api.answer(self.command, path, query, self.headers, body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.1,))
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}{api.prefix}"
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
