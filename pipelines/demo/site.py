"""The demo's web site: a real HTTP/1.1 server on loopback, whose content can be exchanged while it runs."""

import gzip
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

CHUNK = 4_096

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Resource:
    """What the server answers at one path."""

    body: bytes
    content_type: str
    status: int = 200
    headers: Headers = ()
    gzipped: bool = False
    chunked: bool = False


def html_resource(html: str, salt: str, headers: Headers = ()) -> Resource:
    """A page in one of several charsets and codings that servers use; `salt` decides which."""
    choice = sha256(f"{salt}\n{html}".encode(errors="replace")).digest()
    charset = ("utf-8", "utf-8", "windows-1252", "iso-8859-1", "utf-16")[choice[0] % 5]
    page = html.replace('<meta charset="utf-8">', f'<meta charset="{charset}">')
    try:
        body = page.encode(charset)
    except UnicodeEncodeError:
        charset, body = "utf-8", html.encode(errors="replace")
    return Resource(body, f"text/html; charset={charset}", headers=headers, gzipped=choice[1] % 3 == 0, chunked=choice[2] % 3 == 0)


class Site:
    """The running server; a context manager. `show` exchanges all of its content."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def show(self, resources: Mapping[str, Resource]) -> None:
        self._server.resources = dict(resources)  # type: ignore[attr-defined]

    def __enter__(self) -> "Site":
        self.show({})
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "LowbackgroundDemo"
    sys_version = ""

    def do_GET(self) -> None:
        found = self.server.resources.get(self.path)  # type: ignore[attr-defined]
        resource = found or Resource(
            b"<html><body><p>There is no such page.</p></body></html>", "text/html; charset=utf-8", status=404
        )
        body = gzip.compress(resource.body, mtime=0) if resource.gzipped else resource.body
        self.send_response(resource.status)
        self.send_header("Content-Type", resource.content_type)
        for name, value in resource.headers:
            self.send_header(name, value)
        if resource.gzipped:
            self.send_header("Content-Encoding", "gzip")
        if resource.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            body = (
                b"".join(b"%x\r\n%s\r\n" % (len(body[i : i + CHUNK]), body[i : i + CHUNK]) for i in range(0, len(body), CHUNK))
                + b"0\r\n\r\n"
            )
        else:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: standard error belongs to the progress of the verbs."""
