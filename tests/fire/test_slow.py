"""What slow clients did is read from the tool's words, and each kind of broken promise is found."""

import pytest

from tests.bench.numbers import Latency
from tests.fire.slow import Attack, came_by, cry_of, held_by, violations_of

SAID = """\
slow HTTP test status on 5th second:

initializing:        0
pending:             0
connected:           986
error:               0
closed:              0

slow HTTP test status on 10th second:

connected:           229
closed:              771
"""


def test_the_connections_that_came_and_were_held_are_read_from_what_it_says() -> None:
    assert held_by(SAID) == [986, 229]
    assert came_by(SAID) == 1000


@pytest.mark.parametrize(
    ("p99_ms", "failed", "came", "what"),
    [
        pytest.param(999, 0, 1000, [], id="hardly noticed"),
        pytest.param(1000, 0, 1000, ["slow heads: p99 of an ordinary request was 1.0 s"], id="slow"),
        pytest.param(20, 2, 1000, ["slow heads: 2 ordinary requests failed"], id="failed"),
        pytest.param(20, 0, 499, ["slow heads: only 499 came"], id="no attack"),
    ],
)
def test_what_an_ordinary_client_feels_is_judged(p99_ms: float, failed: int, came: int, what: list[str]) -> None:
    latency = Latency(count=100, p50_ms=2.0, p99_ms=p99_ms, worst_ms=p99_ms)
    one = Attack(
        kind="heads", came=came, held_at_most=came, held_at_end=0, latency=latency, failed=failed, rss_mib=100.0
    )
    assert violations_of(one, 1000) == what


def test_errors_in_the_log_are_counted_by_what_they_are_about() -> None:
    at_nine, at_ten = (
        f'{{"time":"{at}","logger":"gateway.http","event":"unforeseen","error":"RuntimeError","frames":["a","b"]}}'
        for at in ("09:00", "10:00")
    )
    assert cry_of(at_nine) == cry_of(at_ten) == "gateway.http unforeseen RuntimeError b"
    assert cry_of("Segmentation fault") == "Segmentation fault"
