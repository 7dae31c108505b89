"""The demo: the gateway and the built-in Microsoft 365 sandbox in one process, with a small school in it.

Everything speaks HTTP over loopback sockets, as it would to Microsoft. Nothing outlives the process.
"""

import asyncio
import shlex
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import orjson

from gateway.http.pages import ticket_url
from gateway.http.services import AccountConfiguration
from gateway.main import gateway
from gateway.running import Gateway, run
from gateway.sandbox import Sandbox, school
from gateway.sandbox.school import School
from gateway.serving import listen, server_for, stop_signal
from gateway.settings import Settings
from storage import accounts, api_keys
from storage.api_keys import ApiKey, Scope

TIME_ZONE: Final = "Pacific/Auckland"
LINKS_LIVE: Final = timedelta(hours=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What a visitor needs: an API key of all scopes, and where to look."""

    gateway: Gateway
    sandbox: Sandbox
    school: School
    database: Path
    url: str
    sandbox_url: str
    key: ApiKey
    key_value: str

    def page(self, path: str) -> str:
        """A link that signs the visitor in and goes to `path`."""
        return self.url + ticket_url(
            self.gateway.session_key, self.key.id, next=path, lives=LINKS_LIVE, now=self.gateway.clock.now()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """A gateway that knows of nobody yet, and a sandbox with a school in it. Both run."""

    gateway: Gateway
    sandbox: Sandbox
    school: School
    settings: Settings


@asynccontextmanager
async def both(settings: Settings, *, sandbox: Sandbox | None = None, stop: asyncio.Event) -> AsyncIterator[Both]:
    """Run gateway and sandbox until the block ends; `stop` set earlier ends the gateway."""
    sandbox = sandbox or Sandbox()
    with (
        tempfile.TemporaryDirectory(prefix="selma-gateway-demo-") as folder,
        listen("127.0.0.1", 0) as sandbox_listener,
        _listen_near(settings) as listener,
    ):
        sandbox_url, url = _url(sandbox_listener), _url(listener)
        settings = replace(
            settings,
            database=Path(folder) / "gateway.db",
            public_url=url,
            graph_url=sandbox_url,
            login_url=sandbox_url,
        )
        server = server_for(sandbox.app)
        async with (
            asyncio.TaskGroup() as group,
            sandbox.running(),
            gateway(settings) as built,
        ):
            group.create_task(server.serve(sockets=[sandbox_listener]), name="sandbox")
            running = group.create_task(run(built, listener, stop), name="gateway")
            yield Both(gateway=built, sandbox=sandbox, school=school.build(sandbox), settings=settings)
            stop.set()
            await running
            server.should_exit = True


@asynccontextmanager
async def demo(settings: Settings, *, sandbox: Sandbox | None = None, stop: asyncio.Event) -> AsyncIterator[Demo]:
    """As `both`, with the school connected and its mailboxes watched."""
    async with both(settings, sandbox=sandbox, stop=stop) as running:
        yield await _connect(running)


def _listen_near(settings: Settings) -> socket.socket:
    """The wanted port, or any free one: a demo should not fail for a port."""
    try:
        return listen(settings.host, settings.port)
    except OSError:
        return listen(settings.host, 0)


def _url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


async def _connect(running: Both) -> Demo:
    """What an admin does once on the settings page."""
    built, the_school = running.gateway, running.school
    key, value = await make_key(built)
    configuration = AccountConfiguration(
        tenant_id=the_school.tenant_id,
        client_id=the_school.client_id,
        client_secret=the_school.client_secret,
        secret_expires_at=the_school.secret_expires_at,
        cloud="global",
        time_zone=TIME_ZONE,
    )
    await built.setup.configure_account(key.account_id, configuration)
    for address in the_school.mailboxes:
        await built.setup.add_mailbox(key.account_id, address)
        await built.setup.validate_mailbox(key.account_id, address)
    return Demo(
        gateway=built,
        sandbox=running.sandbox,
        school=the_school,
        database=running.settings.database,
        url=running.settings.url,
        sandbox_url=running.settings.graph_url or "",
        key=key,
        key_value=value,
    )


async def make_key(built: Gateway) -> tuple[ApiKey, str]:
    """A key of all scopes for the first account, and its value."""
    [account, *_] = await built.store.read(accounts.all_of_them)
    value = api_keys.new_value()
    key = await built.store.write(
        api_keys.create, account.id, name="demo", scopes=frozenset(Scope), value=value, now=built.clock.now()
    )
    return key, value


def welcome(running: Demo) -> str:
    """What is printed once everything runs."""
    student = running.school.students[0]
    letter = {
        "from": running.school.mailboxes[0],
        "to": [{"name": student.name, "address": student.address}],
        "subject": "Your enrolment",
        "html": f"<p>Kia ora {student.name},</p><p>your place is confirmed. Please tell us when you will arrive.</p>",
        "objects": [{"type": "student", "id": student.student_id}],
        "created_by": "Jane Doe",
    }
    body = orjson.dumps(letter).decode()
    events = running.page(f"/objects/student/{student.student_id}/events")
    students = "\n".join(f"    {one.student_id}  {one.name} <{one.address}>" for one in running.school.students)
    return f"""
selma-gateway is running, with a Microsoft 365 sandbox and a small school in it.

  Settings      {running.page("/settings")}
  Events page   {events}
                (of {student.name}; leave it open, then send the letter below)
  API docs      {running.url}/docs
  Sandbox       {running.sandbox_url}/_sandbox/state

  Mailboxes     {", ".join(running.school.mailboxes)}
  Students
{students}

  Send a letter; the reply stands on the Events page within seconds:

curl -sS {running.url}/v1/messages \\
  -H {shlex.quote(f"Authorization: Bearer {running.key_value}")} \\
  -H "Idempotency-Key: $(date +%s%N)" \\
  -H 'Content-Type: application/json' \\
  -d {shlex.quote(body)}

Stop with Ctrl-C. Nothing is kept.
"""


async def run_demo(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = stop_signal()
    async with demo(settings, stop=stop) as running:
        print(welcome(running), flush=True)
        await stop.wait()
