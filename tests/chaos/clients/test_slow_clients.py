"""Many clients that trickle, hang or do not read; others must not notice them."""

from contextlib import ExitStack

import pytest
from wire import connect, parsed

NUMBER = 60  # more than all threads
HEAD = b"GET /health HTTP/1.1\r\nHost: x\r\n"
TRICKS = {
    "no byte": b"",
    "half a line": b"GET /hea",
    "half a head": HEAD + b"X-Slow: ",
    "half a body": HEAD.replace(b"GET", b"POST") + b"Content-Length: 100\r\n\r\nhalf",
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\nhalf",
    "an endless chunk line": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"x" * 5000,
    "100-continue": HEAD + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    "never closes": HEAD + b"Connection: close\r\n\r\n",
    "refused and stays": b"NO HTTP\r\n\r\n",
    "keeps alive": HEAD + b"\r\n",
    "a pipeline with a half": HEAD + b"\r\n" + HEAD + b"\r\n" + HEAD,
}


@pytest.fixture
def crowd(hostile):
    """Open many connections that send some bytes and stay open."""
    with ExitStack() as stack:

        def come(number, blob):
            found = [stack.enter_context(connect(hostile.port)) for _ in range(number)]
            for sock in found:
                sock.sendall(blob)
            return found

        yield come


def everything(sock):
    received = b""
    while block := sock.recv(65536):
        received += block
    return received


@pytest.mark.parametrize("blob", TRICKS.values(), ids=TRICKS)
def test_others_are_answered_while_many_hang(hostile, crowd, blob):
    crowd(NUMBER, blob)
    hostile.still_serves()


def test_a_client_may_be_slow_within_reason(hostile):
    with connect(hostile.port) as sock:
        for byte in HEAD + b"Connection: close\r\n\r\n":
            sock.sendall(bytes([byte]))
        assert [answer.status for answer in parsed(everything(sock))] == [200]


@pytest.mark.chaos
def test_others_are_answered_while_heads_and_bodies_trickle(hostile, crowd):
    slow = crowd(NUMBER, b"GET /he") + crowd(NUMBER, TRICKS["half a body"])
    for _ in range(10):
        for sock in slow:
            sock.sendall(b"a")
        hostile.still_serves()
