"""A proxy in front of an S3 server that delays answers and answers some requests with 503."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

BUSY = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)
DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code>'
    b"<Message>Access Denied</Message></Error>"
)
OURS = ("connection", "keep-alive", "transfer-encoding", "content-length")


class BadWeather:
    """Forwards requests after `delay` seconds; answers the share `refused` of them with 503.

    The same order of requests gives the same refusals. Requests with a `denied` method get 403, as with
    credentials without that permission.
    """

    def __init__(
        self, endpoint: str, *, refused: float = 0.05, delay: float = 0.02, denied: Collection[str] = ()
    ) -> None:
        self.requests = self.refusals = 0
        self._target = urlsplit(endpoint).netloc
        self._refused, self._delay, self._denied = refused, delay, denied
        self._chance = random.Random(5)
        self._lock = threading.Lock()
        weather = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return lambda: weather.answer(self)
                raise AttributeError(name)

            def log_message(self, format: str, *args: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def endpoint(self) -> str:
        """The address of the proxy."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, asked: BaseHTTPRequestHandler) -> None:
        """Refuse the request, or forward it with its signed headers unchanged."""
        body = asked.rfile.read(int(asked.headers.get("Content-Length") or 0))
        time.sleep(self._delay)
        if asked.command in self._denied:
            _say(asked, 403, [("Content-Type", "application/xml")], DENIED)
            return
        if self._refuses():
            _say(asked, 503, [("Content-Type", "application/xml")], BUSY)
            return
        onward = http.client.HTTPConnection(self._target, timeout=30)
        onward.putrequest(asked.command, asked.path, skip_host=True, skip_accept_encoding=True)
        for name, value in asked.headers.items():
            if name.lower() != "connection":
                onward.putheader(name, value)
        onward.endheaders(body)
        answered = onward.getresponse()
        _say(asked, answered.status, answered.getheaders(), answered.read())
        onward.close()

    def _refuses(self) -> bool:
        with self._lock:
            self.requests += 1
            refuses = self._chance.random() < self._refused
            self.refusals += refuses
            return refuses


def _say(
    asked: BaseHTTPRequestHandler,
    status: int,
    headers: list[tuple[str, str]],
    body: bytes,
) -> None:
    asked.send_response_only(status)
    for name, value in headers:
        if name.lower() not in OURS or (asked.command == "HEAD" and name.lower() == "content-length"):
            asked.send_header(name, value)
    if asked.command != "HEAD" and status not in (204, 304):
        asked.send_header("Content-Length", str(len(body)))
    asked.end_headers()
    if asked.command != "HEAD":
        asked.wfile.write(body)
