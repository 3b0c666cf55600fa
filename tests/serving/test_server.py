"""The server as a process: slow clients, signals, and the package that it needs."""

import contextlib
import http.client
import signal
import socket
import threading
import time

import pytest

from support.serving import Serving

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


def send_for_ever(connection, content):
    for _ in range(100):
        connection.sendall(content)
        time.sleep(0.01)


def pieces(content, length):
    return [content[place : place + length] for place in range(0, len(content), length)]


@pytest.mark.once
def test_clients_that_take_their_time_are_sent_away(server, photos):
    """Slow heads and bodies, endless and half-closed ones: each ends, and others are answered meanwhile."""
    head = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\n"
    content = photos[0][0].read_bytes()
    started = time.monotonic()
    assert server.raw(b"POST /v1/cla") == b""  # no whole head
    assert server.raw(b"") == b""  # nothing at all
    assert b" 408 " in server.raw(head + b"Content-Length: 100\r\n\r\nx")
    assert b" 400 " in server.raw(head + b"Content-Length: 100\r\n\r\nx", end=True)
    assert time.monotonic() - started < 10
    endless = head + b"Transfer-Encoding: chunked\r\n\r\n" + b"100000\r\n" + b"x" * 2**20 + b"\r\n"
    more = b"100000\r\n" + b"x" * 2**20 + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(endless)
        with pytest.raises(OSError, match=r"reset|pipe"):
            send_for_ever(connection, more)
    small = head + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 3_000
    answer = server.raw(small)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nThe chunks of a body must have 64 bytes or more on average.\r\n" in answer
    few = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in pieces(content, 10)) + b"0\r\n\r\n"
    assert b" 200 OK" in server.raw(head + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + few)
    extended = b"1;" + b"y" * 60 + b"\r\nx\r\n"
    try:
        answer = server.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + extended * 1_200)
    except ConnectionResetError:  # the rest was on its way
        answer = b"The chunks of a body must have 64 bytes"
    assert b"The chunks of a body must have 64 bytes" in answer
    two = (head + f"Content-Length: {len(content)}\r\n\r\n".encode() + content) * 2  # pipelined
    assert server.raw(two[: len(two) // 2], end=True).count(b" 200 OK") == 1
    assert server.raw(two + b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").count(b" 200 OK") == 3
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    server.json("POST", "/v1/classify", content)
    for connection in idle:
        connection.close()


@pytest.mark.once
def test_a_second_signal_does_not_wait_for_an_answer(trained, photos):
    """The network computes for an hour."""
    computes = ("resnext.serving.batcher:Batcher._compute", 1, "hang")
    serving = Serving(trained[0], "--deadline", 600, fault=computes)

    def ask():
        with contextlib.suppress(ConnectionError, http.client.HTTPException):
            serving.ask("POST", "/v1/classify", photos[0][0].read_bytes())

    threading.Thread(target=ask).start()
    time.sleep(1)
    serving.command.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert serving.command.is_running()
    serving.command.send_signal(signal.SIGTERM)
    process = serving.command.wait(5)
    assert (process.returncode, process.stderr) == (143, "resnext: stopped by SIGTERM\n")


@pytest.mark.once
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_has_begun_is_answered_before_the_end(trained, photos, number):
    """A signal while many ask: no answer is lost, later ones are refused, and the exit status is 0."""
    serving = Serving(trained[0])
    content, statuses = photos[0][0].read_bytes(), []

    def ask():
        with_answers = True
        while with_answers:
            try:
                statuses.append(serving.ask("POST", "/v1/classify", content)[0])
            except ConnectionError:  # refused, or reset before it was accepted
                with_answers = False

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    while len(statuses) < 50:
        time.sleep(0.01)
    serving.command.send_signal(number)
    process = serving.end()
    for thread in threads:
        thread.join(30)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    assert {*statuses} <= {200, 503}


@pytest.mark.once
def test_serving_is_an_extra(trained, monkeypatch):
    from resnext.cli.serve import serve

    monkeypatch.setitem(__import__("sys").modules, "resnext.serving.server", None)
    monkeypatch.delitem(__import__("sys").modules, "resnext.serving.server")
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    with pytest.raises(ImportError, match=r"^serve needs the package uvicorn: pip install 'resnext\[serve\]'$"):
        serve((str(trained[0]),))
