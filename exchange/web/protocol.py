"""How requests are read off a connection: uvicorn's compiled parser, mended for what clients really send."""

import json
import re

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from exchange.errors import TABLE
from exchange.web.problems import PROBLEM

_UPGRADE = re.compile(rb"\r\nupgrade:[ \t]*h2c[ \t]*(?=\r\n)", re.IGNORECASE)
_REQUEST_LINE = re.compile(rb"[A-Z]+ [^\r\n]+ HTTP/1\.1\r\n")
_END_OF_HEADERS = b"\r\n\r\n"


class RequestProtocol(HttpToolsProtocol):
    """Answers offers of HTTP/2 by HTTP/1.1, and what is no HTTP at all by a problem document.

    Java's own client offers HTTP/2 (`Upgrade: h2c`) with its first request. A server may ignore the offer (RFC 9110
    §7.8), but the parser takes everything behind it for another protocol: the body of a POST would be lost.
    """

    def data_received(self, data: bytes) -> None:
        """Take what has come, without the offer."""
        if b"h2c" in data and _REQUEST_LINE.match(data):
            head, end, body = data.partition(_END_OF_HEADERS)
            data = _UPGRADE.sub(b"", head + end[:2]) + end[2:] + body
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, and close the connection."""
        entry = TABLE["E_REQUEST"]
        document = {"type": f"urn:exchange:error:{entry.code}", "title": entry.meaning, "status": 400,
                    "detail": msg, "code": entry.code, "advice": entry.advice}  # fmt: skip
        body = json.dumps(document, ensure_ascii=False).encode()
        head = (
            f"HTTP/1.1 400 Bad Request\r\ncontent-type: {PROBLEM}\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
