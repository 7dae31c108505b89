"""Where a mail begins to quote, when the mailbox did not say."""

import pytest

from gateway.threads.quotes import LONGEST_LINE, MOST_LINES, new_part

WRITER = "Admissions <admissions@school.example>"
INTRODUCTIONS = {
    "English": f"On Mon, 2 Mar 2026 at 22:00, {WRITER} wrote:",
    "English, wrapped": "On Mon, 2 Mar 2026 at 22:00, The Admissions Office\n<admissions@school.example> wrote:",
    "German": f"Am Mo., 2. März 2026 um 22:00 Uhr schrieb {WRITER}:",
    "French": f"Le lun. 2 mars 2026 à 22:00, {WRITER} a écrit :",
    "Spanish": f"El lun, 2 mar 2026 a las 22:00, {WRITER} escribió:",
    "Portuguese": f"Em seg., 2 de mar. de 2026 às 22:00, {WRITER} escreveu:",
    "Dutch": f"Op ma 2 mrt 2026 om 22:00 schreef {WRITER}:",
}
HEADERS = {
    "English": f"From: {WRITER}\nSent: Monday, 2 March 2026 22:00\nTo: Aroha\nSubject: Your enrolment\n",
    "under a rule": f"{'_' * 32}\nFrom: {WRITER}\nSent: Monday, 2 March 2026\nTo: Aroha\nSubject: Yours\n",
    "original message": f"-----Original Message-----\nFrom: {WRITER}\nSent: Monday\nTo: Aroha\nSubject: Yours\n",
    "German": f"Von: {WRITER}\nGesendet: Montag, 2. März 2026 22:00\nAn: Aroha\nBetreff: Your enrolment\n",
    "French": f"De : {WRITER}\nEnvoyé : lundi 2 mars 2026 22:00\nÀ : Aroha\nObjet : Your enrolment\n",
}


@pytest.mark.parametrize("introduction", INTRODUCTIONS.values(), ids=INTRODUCTIONS)
def test_what_stands_before_the_introduced_quote_is_new(introduction: str) -> None:
    said = "Yes please.\n\nNgā mihi\nAroha"
    assert new_part(f"{said}\n\n{introduction}\n\n> Kia ora\n") == said


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
def test_what_stands_before_outlooks_headers_is_new(headers: str) -> None:
    assert new_part(f"Yes please.\n\n{headers}\nKia ora\n") == "Yes please."


WHOLE = {
    "nothing is quoted": "Yes please.\n\nNgā mihi\nAroha\n-- \nAroha Ngata",
    "answers stand between quotes": "> When do you come?\n\nOn Monday.\n\n> Do you need a room?\n\nYes.\n",
    "a person's own sentence": "Hello,\nOn the form you wrote:\nplease come at nine.\n\nI will come then.",
    "a journey": "I travel\nFrom: Nelson\nTo: Auckland\n\nsee you",
    "nothing but the quote": f"On Mon, 2 Mar 2026 at 22:00, {WRITER} wrote:\n> Kia ora",
    "a language it does not know": f"好的。\n\n发件人: {WRITER}\n主题: Your enrolment\n\nKia ora",
    "empty": "",
}


@pytest.mark.parametrize("text", WHOLE.values(), ids=WHOLE)
def test_where_it_cannot_be_told_nothing_is_folded(text: str) -> None:
    assert new_part(text) is None


def test_long_lines_stay_whole() -> None:
    said = "word " * LONGEST_LINE
    assert new_part(f"{said}\n\n{INTRODUCTIONS['English']}\n> Kia ora") == said.strip()


HOSTILE = [
    "On ",
    "On \n",
    "From: x\n",
    ">",
    "> \n",
    "Am schrieb ",
    "Op heeft geschreven ",
    ":",
    "-",
    "x < \n",
    "Den skrev ",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_text_made_to_be_slow_is_answered_soon(piece: str) -> None:
    """Without the bounds some of these take minutes, and pytest's own timeout ends them."""
    new_part(piece * 200_000)


def test_further_down_nothing_is_looked_for() -> None:
    assert new_part("line\n" * (MOST_LINES + 1) + f"{INTRODUCTIONS['English']}\n> Kia ora") is None
