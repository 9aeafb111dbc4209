#!/usr/bin/env python3
"""Stands in for the program `ollama` where its start script is tested.

Writes each command to the file $COMMANDS, and fails those that $FAILING names. `serve` answers requests until SIGTERM,
with the status $STATUS.
"""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


def note(line: str) -> None:
    with Path(os.environ["COMMANDS"]).open("a") as commands:
        commands.write(f"{line}\n")


class Answers(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        note(f"POST {self.path} {body}")
        self.send_response(int(os.environ["STATUS"]))
        self.end_headers()
        self.wfile.write(b'{"error":"the runner has terminated"}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def end(_signal: int, _frame: object) -> None:
    note("ended")
    os._exit(0)


command = sys.argv[1]
note(" ".join(sys.argv[1:]))
if command in os.environ["FAILING"].split():
    sys.exit(f"\rpulling 17%\rpulling 18%\nError: {command} failed")
if command == "serve":
    signal.signal(signal.SIGTERM, end)
    host, port = os.environ["OLLAMA_HOST"].split(":")
    HTTPServer((host, int(port)), Answers).serve_forever()
