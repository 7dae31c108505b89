import pytest

from subscriptions.handshake import BadHandshake, handshake_answer

TOKEN = "Validation: Testing client application reachability for subscription Request-Id: 4145e871"


def test_the_token_comes_back_exactly_as_plain_text() -> None:
    answer = handshake_answer(TOKEN)
    assert answer.body == TOKEN.encode()
    assert answer.headers["content-type"].startswith("text/plain")


def test_nothing_is_escaped_but_no_browser_takes_it_for_a_page() -> None:
    answer = handshake_answer("<script>alert(1)</script> ünïcödé")
    assert answer.body.decode() == "<script>alert(1)</script> ünïcödé"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("token", ["", "x" * 2049, "ü" * 1025, "\ud800"])
def test_what_is_no_token_of_graph_is_refused(token: str) -> None:
    with pytest.raises(BadHandshake):
        handshake_answer(token)


def test_two_kilobytes_are_not_too_long() -> None:
    assert len(handshake_answer("x" * 2048).body) == 2048
