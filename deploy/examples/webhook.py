"""webhook.py PORT: take webhooks of the gateway. WEBHOOK_SECRET is what the gateway gave when the webhook was made."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from selma_gateway import BadSignature, verify

LARGEST = 1024 * 1024


class Receiver(BaseHTTPRequestHandler):
    """Checks, keeps, answers; the work comes later: whoever takes long counts as one that failed."""

    secret = os.environ.get("WEBHOOK_SECRET", "")
    seen: set[str] = set()  # noqa: RUF012 - yours is a table with a unique column

    def do_POST(self) -> None:
        """204 for what is genuine, also when it came before; 401 for the rest."""
        length = int(self.headers.get("content-length", "0"))
        body = self.rfile.read(min(length, LARGEST))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            webhook_id = verify(self.secret, headers, body)
        except BadSignature:
            self.send_response(401)
        else:
            if webhook_id not in self.seen:
                self.seen.add(webhook_id)
                print(webhook_id, json.loads(body)["type"], flush=True)
            self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
