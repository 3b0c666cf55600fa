"""`resnext serve`, running, and requests to it."""

import http.client
import json
import signal
import socket
import time

from support.command import Command


class Serving:
    """`resnext serve`, running, and requests to it."""

    def __init__(self, *arguments, **settings):
        self.command = Command("serve", *arguments, "--port", 0, **settings)
        while "stop with" not in self.command.stdout.read_text() if self.command.stdout.exists() else True:
            assert self.command.is_running(), self.command.errors
            time.sleep(0.05)
        self.port = int(self.command.stdout.read_text().split("://")[1].split(":")[1].split()[0].split("/")[0])

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def json(self, method, path, body=None, headers=None):
        status, _, content = self.ask(method, path, body, headers)
        assert status == 200, content
        return json.loads(content)

    def raw(self, content, timeout=30.0, end=False):
        """Send bytes as they are, and return all that comes back until the server closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(content)
            if end:
                connection.shutdown(socket.SHUT_WR)
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts)

    def end(self):
        if self.command.is_running():
            self.command.send_signal(signal.SIGTERM)
        return self.command.wait(30)
