"""How requests are read off a connection: by uvicorn's own parser h11, which takes what clients really send.

Java's client offers HTTP/2 (`Upgrade: h2c`) with its first request; h11 goes on in HTTP/1.1 and reads the body.
"""

import json

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from exchange.errors import TABLE
from exchange.web.problems import PROBLEM


class RequestProtocol(H11Protocol):
    """Answers what is no HTTP at all by a problem document, as every other fault is answered."""

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, and close the connection."""
        entry = TABLE["E_REQUEST"]
        document = {"type": f"urn:exchange:error:{entry.code}", "title": entry.meaning, "status": 400,
                    "detail": msg, "code": entry.code, "advice": entry.advice}  # fmt: skip
        body = json.dumps(document, ensure_ascii=False).encode()
        headers = [("content-type", PROBLEM), ("content-length", str(len(body))), ("connection", "close")]
        for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
