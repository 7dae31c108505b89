"""Microsoft 365 in a box: a stand-in for Entra's token endpoint and Microsoft Graph, strict where they are strict.

For laptops without a tenant, for those who build against the gateway, and for rehearsing trouble. It is an ASGI app of
its own and imports nothing else of the gateway; the gateway reaches it by HTTP like the real one.

What belongs where:

    box          the sandbox: the one place that joins the parts
    app, admin   HTTP: the routes of Entra and Graph, and `/_sandbox/…` to move the world from outside
    entra        the token endpoint; tokens: the JWTs
    graph/       Graph v1.0: routes, OData, entities, errors, delta, batch, subscribing
    world        the state of the tenant and the hands to move it: directory, mailbox, subscriptions
    postoffice   from /send to the Inboxes; correspondents: the people who answer; mime, text, conversations: mail
    limits       what an app may do in a mailbox; ledger: what has left; reports, report_mime: what came back
    notifier     handshakes, change and lifecycle notifications; agenda: what happens later; clock: when that is
    behaviour    where Microsoft 365 differs from itself; faults: trouble by appointment
    school       a small school to begin with; serve: on a port
"""

from gateway.sandbox import school
from gateway.sandbox.behaviour import Behaviour
from gateway.sandbox.box import Sandbox
from gateway.sandbox.clock import Clock, SystemClock
from gateway.sandbox.correspondents import Correspondent, Machine
from gateway.sandbox.faults import Effect, Fault
from gateway.sandbox.model import Address

__all__ = [
    "Address",
    "Behaviour",
    "Clock",
    "Correspondent",
    "Effect",
    "Fault",
    "Machine",
    "Sandbox",
    "SystemClock",
    "school",
]
