"""Clients that trickle, hang or take nothing, in number; others must not notice them."""

import socket
import time
from contextlib import ExitStack

import pytest
from api_helpers import NOW, serving, url_of
from wire import PROTECTED, TOKEN, connect, parsed

from api.worker import HEAD_S

NUMBER = 60  # more than all threads of all workers
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
    """Open connections that each send some bytes and stay."""
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
def test_a_head_that_takes_too_long_is_ended(hostile, crowd):
    silent, spoke = crowd(20, b""), crowd(20, TRICKS["half a head"])
    began = time.monotonic()
    while time.monotonic() - began < HEAD_S - 2:
        for sock in spoke:  # a byte a second does not prolong it
            sock.sendall(b"x")
        hostile.still_serves()
        time.sleep(1)
    assert {everything(sock) for sock in silent} == {b""}
    for sock in spoke:
        (answer,) = parsed(everything(sock))
        assert (answer.check().status, answer.json["error"]) == (408, "Request Timeout")


@pytest.mark.chaos
@pytest.mark.parametrize("name", ["no byte", "half a head", "half a body", "keeps alive"])
def test_more_than_can_be_held_push_each_other_out(hostile, crowd, name):
    crowd(3000, TRICKS[name])
    hostile.still_serves()


@pytest.mark.chaos
def test_a_slow_head_and_body_a_byte_a_second(hostile, crowd):
    slow = crowd(NUMBER, b"GET /he") + crowd(NUMBER, TRICKS["half a body"])
    for _ in range(15):
        for sock in list(slow):
            try:
                sock.sendall(b"a")
            except OSError:
                slow.remove(sock)  # its time was over
        hostile.still_serves()
        time.sleep(1)
    assert not slow


@pytest.fixture
def large(api_copy):
    """A database whose answer of a day is 8 MB as JSON, and 16 MB as CSV."""
    api_copy.execute(
        """
        insert into analytics.daily_metric_rollups
            (day, metric_name, dimension_key, value, dimensions, is_final, computed_at)
        select
            %s, 'event_volume_by_name', name, 1, jsonb_build_object('event_name', name),
            false, now()
        from
            generate_series(1, 4000) as number,
            lateral (select number || repeat('x', 2000) as name) as names
        """,
        [NOW.date()],
    )
    return api_copy.info.dsn


@pytest.mark.chaos
@pytest.mark.parametrize("form", ["json", "csv"])
def test_clients_that_do_not_take_their_answers_keep_no_thread(large, form):
    day = f"{NOW:%Y-%m-%d}"
    question = f"GET {PROTECTED[0]}?from={day}&to={day}&format={form} HTTP/1.1\r\nHost: x\r\n"
    question += f"x-dashboard-token: {TOKEN}\r\nConnection: close\r\n\r\n"
    environment = {"DATABASE_URL": url_of(large), "DASHBOARD_TOKEN": TOKEN, "API_WORKERS": "1"}
    environment |= {"API_THREADS": "2"}
    with serving(token=TOKEN, **environment) as (_, port, _), ExitStack() as stack:
        takers = []
        for _ in range(2):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.connect(("127.0.0.1", port))
            sock.sendall(question.encode())
            takers.append(sock)
        time.sleep(3)
        with connect(port) as sock:
            sock.sendall(HEAD + b"Connection: close\r\n\r\n")
            assert [answer.status for answer in parsed(everything(sock))] == [200]
        number = 4000 if form == "json" else 8000
        for sock in takers:  # who begins to take it gets all of it
            sock.settimeout(60)
            (answer,) = parsed(everything(sock))
            assert answer.status == 200 and answer.body.count(b"xxxx" * 500) == number
