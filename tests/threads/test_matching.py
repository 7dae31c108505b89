import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.threads.matching import (
    MAX_ID_LENGTH,
    MAX_REFERENCES,
    Evidence,
    Hold,
    Join,
    NotOurs,
    Reason,
    Verdict,
    judge,
    judge_written,
    references,
    same_address,
    usable_message_id,
)

T, OTHER = "thr_1", "thr_2"


def evidence(
    conversation: str | None, answered: tuple[str, ...], takes_part_in: set[str], *, report: bool = False
) -> Evidence:
    return Evidence(conversation=conversation, answered=answered, takes_part_in=frozenset(takes_part_in), report=report)


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        pytest.param(
            evidence(T, (T,), {T}), Join(thread_id=T, reason=Reason.CONVERSATION_AND_REFERENCES), id="yes yes yes"
        ),
        pytest.param(
            evidence(T, (T,), set()),
            Join(thread_id=T, reason=Reason.CONVERSATION_AND_REFERENCES, new_participant=True),
            id="yes yes no",
        ),
        pytest.param(evidence(T, (), {T}), Join(thread_id=T, reason=Reason.CONVERSATION), id="yes no yes"),
        pytest.param(
            evidence(None, (T,), {T}), Join(thread_id=T, reason=Reason.REFERENCES, remember=True), id="no yes yes"
        ),
        pytest.param(
            evidence(None, (T,), set()), Hold(thread_id=T, reason=Reason.STRANGER_WITH_REFERENCES), id="no yes no"
        ),
        pytest.param(evidence(T, (), set()), Hold(thread_id=T, reason=Reason.STRANGER_IN_CONVERSATION), id="yes no no"),
        pytest.param(evidence(None, (), set()), NotOurs(), id="no no any"),
    ],
)
def test_the_table_of_witnesses(given: Evidence, verdict: Verdict) -> None:
    assert judge(given) == verdict


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        pytest.param(
            evidence(T, (OTHER,), {OTHER}),
            Join(thread_id=OTHER, reason=Reason.REFERENCES),
            id="the letter is answered by one of its own people: it is more exact, the conversation stays",
        ),
        pytest.param(
            evidence(T, (OTHER,), {T}), Hold(thread_id=T, reason=Reason.WITNESSES_DISAGREE), id="only in the other"
        ),
        pytest.param(
            evidence(T, (OTHER,), set()), Hold(thread_id=T, reason=Reason.WITNESSES_DISAGREE), id="a stranger"
        ),
        pytest.param(
            evidence(None, (T, OTHER), {T, OTHER}),
            Hold(thread_id=T, reason=Reason.WITNESSES_DISAGREE),
            id="letters of two threads",
        ),
        pytest.param(
            evidence(T, (OTHER, T), {T, OTHER}),
            Join(thread_id=T, reason=Reason.CONVERSATION_AND_REFERENCES),
            id="letters of two threads, but the conversation says which",
        ),
        pytest.param(
            evidence(T, (OTHER,), set(), report=True),
            Hold(thread_id=T, reason=Reason.WITNESSES_DISAGREE),
            id="a report takes part nowhere when it matters where",
        ),
    ],
)
def test_witnesses_that_disagree(given: Evidence, verdict: Verdict) -> None:
    assert judge(given) == verdict


def test_nobody_asks_who_sent_a_delivery_report() -> None:
    assert judge(evidence(T, (), set(), report=True)) == Join(thread_id=T, reason=Reason.CONVERSATION)
    assert isinstance(judge(evidence(None, (T,), set(), report=True)), Join)


@pytest.mark.parametrize(
    ("sharing", "recipients", "verdict"),
    [
        ({T: {"a@x"}}, ["A@X"], Join(thread_id=T, reason=Reason.WRITTEN_IN_MAILBOX)),
        ({T: {"a@x"}}, ["forwarded@x"], Join(thread_id=T, reason=Reason.WRITTEN_IN_MAILBOX)),
        ({T: {"a@x"}, OTHER: {"b@x"}}, ["a@x"], Join(thread_id=T, reason=Reason.WRITTEN_IN_MAILBOX)),
        ({T: {"a@x"}, OTHER: {"b@x"}}, ["b@x", "c@x"], Join(thread_id=OTHER, reason=Reason.WRITTEN_IN_MAILBOX)),
        ({T: {"a@x"}, OTHER: {"b@x"}}, ["a@x", "b@x"], Hold(thread_id=T, reason=Reason.WITNESSES_DISAGREE)),
        ({T: {"a@x"}, OTHER: {"a@x"}}, ["a@x"], Join(thread_id=T, reason=Reason.WRITTEN_IN_MAILBOX)),
    ],
)
def test_what_staff_write_goes_to_the_thread_of_those_it_is_written_to(
    sharing: dict[str, set[str]], recipients: list[str], verdict: Verdict
) -> None:
    people = {thread_id: frozenset(some) for thread_id, some in sharing.items()}
    assert judge_written(T, people, recipients) == verdict


THREADS = st.sampled_from(["a", "b", "c"])


@given(
    conversation=st.none() | THREADS,
    answered=st.lists(THREADS, max_size=4).map(tuple),
    takes_part_in=st.frozensets(THREADS),
)
def test_nobody_joins_a_thread_silently_in_which_nothing_but_the_sender_puts_them(
    conversation: str | None, answered: tuple[str, ...], takes_part_in: frozenset[str]
) -> None:
    verdict = judge(Evidence(conversation=conversation, answered=answered, takes_part_in=takes_part_in))
    if isinstance(verdict, Join):
        assert verdict.thread_id == conversation or verdict.thread_id in answered
        assert verdict.thread_id in takes_part_in or verdict.new_participant
    if isinstance(verdict, NotOurs):
        assert conversation is None
        assert not answered


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], ()),
        ([("In-Reply-To", "<a@x>")], ("<a@x>",)),
        ([("IN-REPLY-TO", "<a@x>"), ("references", "<r@x> <a@x>")], ("<a@x>", "<r@x>")),
        ([("References", "<1@x>\r\n\t<2@x> <3@x>")], ("<3@x>", "<2@x>", "<1@x>")),
        ([("References", "<1@x><2@x>")], ("<2@x>", "<1@x>")),
        ([("References", "junk <1@x> (a comment) more")], ("<1@x>",)),
        ([("References", "<> < > <a b@x> 1@x <<2@x>")], ("<2@x>",)),
        ([("References", "<1@x>"), ("References", "<2@x>")], ("<2@x>", "<1@x>")),
        ([("X-References", "<1@x>"), ("Subject", "<2@x>")], ()),
        ([("References", f"<{'a' * MAX_ID_LENGTH}@x> <1@x>")], ("<1@x>",)),
    ],
)
def test_references_are_read_nearest_first(headers: list[tuple[str, str]], found: tuple[str, ...]) -> None:
    assert references(headers) == found


def test_of_too_many_references_the_nearest_are_kept() -> None:
    chain = " ".join(f"<{number}@x>" for number in range(MAX_REFERENCES * 2))
    found = references([("References", chain)])
    assert len(found) == MAX_REFERENCES
    assert found[0] == f"<{MAX_REFERENCES * 2 - 1}@x>"


@given(st.lists(st.tuples(st.sampled_from(["References", "In-Reply-To"]), st.text())))
def test_no_header_is_too_odd_to_be_read(headers: list[tuple[str, str]]) -> None:
    for found in references(headers):
        assert usable_message_id(found) == found


@pytest.mark.parametrize("text", [None, "", "<>", "< >", "a@x", "<a@x", "<a b@x>", "<a@x><b@x>", "<a\n@x>"])
def test_what_is_no_message_id_is_no_evidence(text: str | None) -> None:
    assert usable_message_id(text) is None


def test_a_message_id_is_taken_as_it_is_but_for_blanks_around_it() -> None:
    assert usable_message_id(" <AbC+/=@x.example> ") == "<AbC+/=@x.example>"


def test_addresses_are_compared_without_case() -> None:
    assert same_address("Aroha@Student.Example", " aroha@student.example")
    assert not same_address("aroha@student.example", "aroha@students.example")
    assert not same_address(None, None)
    assert not same_address("", "")
