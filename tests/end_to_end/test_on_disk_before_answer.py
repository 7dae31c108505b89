"""A 202 means "on disk": strace sees the log flushed before the answer leaves.

`kill -9` cannot show that, for what was written survives the process in the kernel's memory; a power cut would tell.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.conftest import Site
from tests.end_to_end.processes import a_letter, started
from tests.end_to_end.strace import Call, answered_too_early, calls, strace

TRACED = ("-e", "trace=pwrite64,fdatasync,fsync,write,writev,sendto,sendmsg")
LETTERS = 20


def test_the_log_is_on_disk_before_the_202_leaves(site: Site, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with (
        started(site.env, under=strace(trace, *TRACED)),
        httpx.Client(base_url=site.url, headers=site.headers, timeout=30, trust_env=False) as client,
        ThreadPoolExecutor(LETTERS) as pool,
    ):

        def post(number: int) -> str:
            answer = client.post("/v1/messages", json=a_letter(number, site.microsoft))
            assert answer.status_code == 202, answer.text
            return str(answer.json()["id"])

        one_by_one = [post(number) for number in range(LETTERS)]
        at_once = list(pool.map(post, range(LETTERS, 2 * LETTERS)))
    promised = [*one_by_one, *at_once]
    with trace.open(errors="replace") as lines:
        assert list(answered_too_early(calls(lines), promised)) == []
    assert len(set(promised)) == 2 * LETTERS


WRITE = '7 10.000001 pwrite64(15</data/gateway.db-wal>, "\\0\\0msg_1\\0", 4096, 32) = 4096'
FLUSH = "7 10.000002 fdatasync(15</data/gateway.db-wal>) = 0"
ANSWER = '5 10.000003 write(23<socket:[48385]>, "HTTP/1.1 202 Accepted\\r\\n\\r\\n{\\"id\\":\\"msg_1\\"}", 90) = 90'
FLUSH_BEGINS = "7 10.000002 fdatasync(15</data/gateway.db-wal> <unfinished ...>"
FLUSH_ENDS = "7 10.000004 <... fdatasync resumed>) = 0"
ANSWER_BEGINS = ANSWER.removesuffix(") = 90") + " <unfinished ...>"
ANSWER_ENDS = "5 10.000005 <... write resumed>) = 90"


@pytest.mark.parametrize(
    "trace",
    [
        pytest.param([WRITE, FLUSH, ANSWER], id="one after the other"),
        pytest.param([WRITE, FLUSH_BEGINS, "5 10.000003 write(9, 1) = 1", FLUSH_ENDS, ANSWER], id="interrupted"),
        pytest.param([WRITE, FLUSH, ANSWER_BEGINS, ANSWER_ENDS], id="the answer is interrupted"),
    ],
)
def test_a_good_order_is_good(trace: list[str]) -> None:
    assert list(answered_too_early(calls(trace), ["msg_1"])) == []


@pytest.mark.parametrize(
    "trace",
    [
        pytest.param([WRITE, ANSWER, FLUSH], id="answered before the flush"),
        pytest.param([WRITE, FLUSH_BEGINS, ANSWER, FLUSH_ENDS], id="answered while it is flushed"),
        pytest.param([WRITE, ANSWER_BEGINS, FLUSH, ANSWER_ENDS], id="the answer had begun before the flush"),
        pytest.param([WRITE, FLUSH_BEGINS, ANSWER], id="the flush never returned"),
        pytest.param([FLUSH, WRITE, ANSWER], id="flushed before it was written"),
        pytest.param([FLUSH_BEGINS, WRITE, FLUSH_ENDS, ANSWER], id="written while it was flushed"),
        pytest.param([WRITE, FLUSH.replace("= 0", "= -1 EIO (Input/output error)"), ANSWER], id="the flush failed"),
        pytest.param([WRITE, FLUSH.replace("-wal", ""), ANSWER], id="another file was flushed"),
        pytest.param([FLUSH, ANSWER], id="nothing was written"),
        pytest.param([WRITE, FLUSH], id="nothing was answered"),
    ],
)
def test_a_wrong_order_is_found(trace: list[str]) -> None:
    [problem] = answered_too_early(calls(trace), ["msg_1"])
    assert problem.startswith("msg_1: ")


def test_the_halves_of_interrupted_lines_are_put_together() -> None:
    found = calls(
        [
            "7 1.5 read(3</a> , <unfinished ...>",
            "8 1.6 fdatasync(4</b> <unfinished ...>",
            '7 1.7 <... read resumed>"abc", 10) = 3',
            "8 1.8 --- SIGCHLD {si_signo=SIGCHLD} ---",
            "8 1.9 <... fdatasync resumed>) = -1 EIO (Input/output error) (INJECTED)",
            "9 2.0 fsync(5</c> <unfinished ...>",
            "9 2.1 +++ killed by SIGKILL +++",
        ]
    )
    assert [(call.thread, call.name, call.result, call.began, call.ended) for call in found] == [
        (7, "read", 3, 0, 2),
        (8, "fdatasync", -1, 1, 4),
        (9, "fsync", None, 5, None),
    ]
    assert isinstance(found[0], Call)
    assert found[0].arguments.endswith('"abc", 10')
