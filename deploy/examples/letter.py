"""letter.py FROM TO STUDENT: post a letter, wait until it has left, and print what happened."""

import os
import sys
import time

from selma_gateway import ON_ITS_WAY, Gateway, Letter, Person, new_idempotency_key


def main(sender: str, to: str, student: str) -> int:
    """0 when it has left."""
    letter = Letter(
        sender=sender,
        to=[Person(address=to)],
        subject="Your enrolment",
        html="<p>Kia ora</p>",
        objects=[("student", student)],
        created_by="Jane Doe",
    )
    with Gateway(os.environ["GATEWAY"], os.environ["GATEWAY_API_KEY"]) as gateway:
        accepted = gateway.post(letter, idempotency_key=new_idempotency_key())
        print("accepted:", accepted.id)
        while (status := gateway.status(accepted.id)) in ON_ITS_WAY:
            time.sleep(1)
        print("status:", status)
        print("threads of the student:", sum(1 for _ in gateway.threads("student", student)))
        events, cursor = gateway.events()
        print("events:", *(one.type for one in events if one.message_id == accepted.id))
        print("go on from:", cursor)
    return 0 if status == "sent" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
