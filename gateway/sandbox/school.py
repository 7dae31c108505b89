"""A small school to begin with: an app, three mailboxes, six students who answer, and a little unrelated mail.

Beside the mailboxes there is one user of each kind that cannot be one, to see what an admin is told.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.sandbox.box import Sandbox
from gateway.sandbox.correspondents import Correspondent, Style, bare, gmail, outlook, plain_text
from gateway.sandbox.model import Address, MailboxKind

ROLES: Final = ("User.ReadBasic.All", "Mail.Send", "Mail.ReadWrite")
SECRET_LIFE: Final = timedelta(days=200)
DOMAIN: Final = "school.example"
STUDENT_DOMAIN: Final = "student.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """Someone the school writes to."""

    student_id: str
    name: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class School:
    """What an admin would have copied from the Entra portal, and who is there."""

    tenant_id: str
    client_id: str
    client_secret: str
    secret_expires_at: datetime
    mailboxes: tuple[str, ...]
    students: tuple[Student, ...]


def build(sandbox: Sandbox) -> School:
    """Furnish an empty sandbox. The same seed gives the same ids."""
    world = sandbox.world
    app = world.add_app("SELMA mail gateway", roles=ROLES)
    expires_at = (world.clock.now() + SECRET_LIFE).replace(microsecond=0)
    secret = world.add_secret(app, expires_at)
    mailboxes = [
        world.add_user(f"{name}@{DOMAIN}", display_name, shared=shared).mail
        for name, display_name, shared in _MAILBOXES
    ]
    world.add_user(f"principal@{DOMAIN}", "Ngaire Thompson", licensed=False)
    for address, display_name, kind in _OTHERS:
        world.add_user(address, display_name, kind=kind)
    world.add_user(f"registrar@{DOMAIN}", "Registrar", aliases=[f"enrolments@{DOMAIN}"])
    world.add_user(f"archive@{DOMAIN}", "Archive")
    world.delete_user(f"archive@{DOMAIN}")
    for person in _PEOPLE:
        world.correspondents.add(person)
    for mailbox, sender, subject, html in _OTHER_MAIL:
        world.deliver(f"{mailbox}@{DOMAIN}", from_=sender, subject=subject, html=html)
    return School(
        tenant_id=world.tenant,
        client_id=app.app_id,
        client_secret=secret,
        secret_expires_at=expires_at,
        mailboxes=tuple(mailboxes),
        students=tuple(
            Student(student_id=f"S{1001 + number}", name=person.name, address=person.address)
            for number, person in enumerate(_PEOPLE)
        ),
    )


_MAILBOXES: Final = (
    ("admissions", "Admissions", False),
    ("office", "School Office", False),
    ("international", "International Office", True),
)


_OTHERS: Final = (
    (f"workshop@{DOMAIN}", "Workshop", MailboxKind.ON_PREMISES),
    (f"leavers@{DOMAIN}", "Leavers", MailboxKind.INACTIVE),
    ("relief@partner.example", "Relief Teacher", MailboxKind.GUEST),
)


def _student(local: str, name: str, style: Style, *says: str) -> Correspondent:
    return Correspondent(address=f"{local}@{STUDENT_DOMAIN}", name=name, style=style, says=says)


_A_LONG_ANSWER: Final = """Dear Admissions team,

Thank you very much for your letter. I have read it carefully and I have a few questions before I can accept.

First, my IELTS result will only be out on the 14th. Is it a problem if I send it after the closing date? I can send \
you the booking confirmation now if that helps.

Second, my parents would like to know whether the fee includes the homestay placement or only the airport pickup. The \
brochure says one thing and the website another.

Third, I was told by my agent in Pune that the insurance has to start on the day I fly and not on the first day of \
class. Could you please confirm this, because the quote I have starts on orientation day.

Finally, could you tell me who I should write to about the student visa letter? I need it by the end of this month to \
book my appointment.

I am really looking forward to coming to Aotearoa.

Kind regards,
Priya Sharma"""

_PEOPLE: Final = (
    _student(
        "maia.parata",
        "Māia Parata",
        gmail,
        "Kia ora,\n\nThank you for your email, I am so happy to hear this! I will send the signed form by Friday.\n\n"
        "Ngā mihi,\nMāia",
        "Kia ora anō,\n\nHere is what you asked for. Is there anything else I should do?\n\nNgā mihi,\nMāia",
    ),
    _student(
        "tane.ngata",
        "Tāne Ngata",
        plain_text,
        "Kia ora koutou,\n\nGot it, thanks. Can I still change my start date to the February intake?\n\nTāne",
        "Sweet as, that works for me.\n\nTāne",
    ),
    _student("sophie.mckenzie", "Sophie McKenzie", outlook, "Hi there,\n\nThanks for letting me know.\n\nSophie"),
    _student(
        "wiremu.tuhiwai",
        "Wiremu Tūhiwai",
        bare,
        "Chur, thanks heaps! 🎉 See you on Monday 😊",
    ),
    _student(
        "priya.sharma",
        "Priya Sharma",
        outlook,
        _A_LONG_ANSWER,
        "Dear Admissions team,\n\nMany thanks, that answers everything.\n\nKind regards,\nPriya",
    ),
    _student(
        "liam.oconnor",
        "Liam O’Connor",
        gmail,
        "Hi,\n\nSent from my phone so sorry for typos <3\n\nYes I'll be there & I'll bring mum. "
        "Is parking > 2 hours ok?\n\nLiam",
    ),
)

_OTHER_MAIL: Final = (
    (
        "admissions",
        Address(name="Tui Stationery", address="orders@tui-stationery.example"),
        "Your order 88213 has shipped",
        "<p>Kia ora, your 40 boxes of A4 paper are on their way.</p>",
    ),
    (
        "admissions",
        Address(name="Microsoft Viva", address="noreply@viva.example"),
        "Your daily briefing",
        "<p>You have a quiet day ahead.</p>",
    ),
    (
        "office",
        Address(name="Hēmi Walker", address="hemi.walker@parents.example"),
        "Lost jacket, Room 4",
        "<p>Mōrena, has anyone handed in a blue jacket? It has Aria's name in it.</p>",
    ),
    (
        "international",
        Address(name="Kiwi Homestays", address="bookings@kiwi-homestays.example"),
        "Invoice INV-2071",
        "<p>Please find our invoice for November.</p>",
    ),
)
