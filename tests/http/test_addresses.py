"""What an address is, said in two ways: at once of nearly all, by the book of the others. Both say the same."""

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.http.values import by_the_book, mail_address

ATOMS = st.from_regex(r"[A-Za-z0-9_.+'-]{1,20}", fullmatch=True)
LABELS = st.from_regex(r"[A-Za-z0-9-]{1,12}", fullmatch=True) | st.sampled_from(["xn--mori-qsa", "a" * 63, "a" * 64])
ENDS = st.sampled_from(["nz", "example", "test", "TEST", "local", "Arpa", "invalid", "onion", "localhost", "c0m", "9"])
ADDRESSES = st.builds(
    lambda local, labels, end: f"{local}@{'.'.join([*labels, end])}", ATOMS, st.lists(LABELS, max_size=3), ENDS
)


def said(check, text: str) -> str | tuple[str]:
    try:
        return check(text)
    except ValueError as error:
        return (str(error),)


@given(ADDRESSES | st.text(max_size=30))
@example("aroha.ngata@school.example")
@example(f"a@{'b' * 64}.nz")
@example("a@b.nz\n")
@example("a@ab--c.nz")
def test_an_address_that_is_plain_is_one_by_the_book_too(text: str) -> None:
    assert said(mail_address, text) == said(by_the_book, text)
