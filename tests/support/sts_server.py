"""A fake of the two AWS services that turn a profile into keys: neither has a test server.

Its answers have the form of AWS's API references: AssumeRole of STS, GetRoleCredentials of the SSO portal.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<AssumedRoleUser><Arn>{arn}/session</Arn><AssumedRoleId>AROA:session</AssumedRoleId></AssumedRoleUser>
<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>
<SessionToken>a-token</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>"""
REFUSED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>User ada is not authorized to perform sts:AssumeRole on {arn}</Message>
</Error><RequestId>1</RequestId></ErrorResponse>"""


class StsServer:
    """Returns `key` and `secret` for `role` and for every sign-in; `asked` records (caller, role)."""

    def __init__(self, role: str, key: str, secret: str) -> None:
        self.role, self.key, self.secret = role, key, secret
        self.asked: list[tuple[str, str]] = []
        sts = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                (arn,) = sent["RoleArn"]
                sts.asked.append((self.headers["Authorization"].split("Credential=")[1].split("/")[0], arn))
                body = ASSUMED if arn == sts.role else REFUSED
                self._answer(
                    200 if arn == sts.role else 403,
                    "text/xml",
                    body.format(arn=arn, key=sts.key, secret=sts.secret),
                )

            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                sts.asked.append((self.headers["x-amz-sso_bearer_token"], query["role_name"][0]))
                keys = {"accessKeyId": sts.key, "secretAccessKey": sts.secret, "sessionToken": "a-token"}
                answer = {"roleCredentials": {**keys, "expiration": 4_102_444_800_000}}
                self._answer(200, "application/json", json.dumps(answer))

            def _answer(self, status: int, kind: str, body: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> StsServer:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
