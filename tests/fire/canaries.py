"""Nothing that people wrote, nobody's name and no secret stands where operators look, whatever goes wrong.

A canary of its own stands in each sensitive field. Letters, replies, strangers' mail, good and bad requests, forged
notifications go through a gateway that logs at debug, exports its traces and meets every fault of the sandbox; then
its logs, metrics, problem bodies, traces and process arguments are searched for each canary in each form.
"""

import asyncio
import random
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import orjson

from tests.end_to_end.processes import Microsoft, Process, connect, settings_for, tried
from tests.fire.cage import Cage, a_letter
from tests.fire.leaks import hits
from tests.tracing.collector import collecting

ANY: Final = "^(GET|POST|PATCH|PUT|DELETE) /v1.0/users"
FORM_TOKEN: Final = re.compile(r'name="form_token" value="([^"]+)"')
JSON: Final = {"content-type": "application/json"}
# A mailbox that an admin has added is no correspondent: operators see by its name which one is at its limits.
ALLOWED: Final = ("added mailbox in /metrics",)
# Where the search finds nothing at all it proves nothing. These must stand in the gateway's own file.
KEPT: Final = (
    *("subject", "body", "reply", "to name", "to address", "bcc address", "attachment name", "header value"),
    *("object id", "staff", "metadata value", "idempotency key", "batch name"),
)
QUIET_S: Final = 5.0
PATIENCE_S: Final = 600.0
SPANS: Final = ("accept", "draft", "submit", "notification", "pull", "fetch", "store", "push")
WORDS_OF_LOGS: Final = ("letter accepted", "graph call", "answered")  # what a log that was written has in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for. `letters` in each of two lives of the gateway."""

    letters: int
    seed: int
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Sung:
    """What came of it. `searched` are the bytes of each place."""

    plan: Plan
    canaries: int
    searched: Mapping[str, int]
    statuses: Mapping[str, int]
    struck: int
    events: Mapping[str, int]
    violations: Sequence[str]
    took_s: float


@dataclass(slots=True)
class Choir:
    """Who sings: SELMA's client and the sandbox's, and the answers that SELMA got.

    `problems` are the problem bodies that came back, without what the request itself had said.
    """

    cage: Cage
    api: httpx.AsyncClient
    sandbox: httpx.AsyncClient
    mailboxes: Sequence[str]
    students: Sequence[str]
    file_bytes: int = 4_000_000  # so much takes an upload session
    problems: list[tuple[frozenset[str], bytes]] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    heard: str = "0"

    async def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """One request; a problem is kept to be searched."""
        request = self.api.build_request(method, path, **given)
        said = await request.aread() + str(request.url).encode() + repr(request.headers.raw).encode()
        answer = await self.api.send(request)
        if "problem+json" in answer.headers.get("content-type", ""):
            own = {
                name for name in self.cage.words.keys() - self.cage.secrets if hits(_one(self.cage, name), {"": said})
            }
            self.problems.append((frozenset(own), answer.content))
        self.statuses[str(answer.status_code)] += 1
        return answer

    def leaks_in_problems(self) -> list[str]:
        """A problem may repeat to its caller what the caller has just said, but no secret, and nobody else's words."""
        needles = self.cage.needles()
        return [
            leak
            for own, body in self.problems
            for leak in hits(
                {n: w for n, w in needles.items() if n.removesuffix(", in part") not in own}, {"a problem": body}
            )
        ]


def _one(cage: Cage, name: str) -> dict[str, str]:
    return {name: cage.words[name].partition("ā")[0]}


async def set_weather(choir: Choir) -> None:
    """Everything goes wrong now and then, and Graph's sentences quote the mail."""
    says = choir.cage.word("graph's sentence")
    for number, fault in enumerate(
        (
            {"status": 429, "code": "ApplicationThrottled", "headers": {"Retry-After": "1"}},
            {"status": 503, "code": "ServiceUnavailable", "headers": {"Retry-After": "1"}},
            {"status": 504, "code": "UnknownError", "effect": "after"},
            {"status": 500, "code": "InternalServerError"},
            {"reset": True},
            {"effect": "after", "reset": True},
            {"status": 403, "code": "ErrorAccessDenied"},
            {"status": 400, "code": "ErrorInvalidRecipients"},
        )
    ):
        rule = {
            "match": ANY,
            "times": None,
            "share": 0.03,
            "seed": number,
            "message": f"{says} is not allowed",
            **fault,
        }
        (await choir.sandbox.post("/_sandbox/faults", json=rule)).raise_for_status()
    gusts = {"notifications_lost": 0.2, "notifications_doubled": 0.2, "notifications_shuffled": True}
    (await choir.sandbox.patch("/_sandbox/behaviour", json=gusts)).raise_for_status()
    for number, student in enumerate(choir.students):
        habits: dict[str, Any] = {"says": [choir.cage.word("reply")]}
        habits |= [
            {"out_of_office": True},
            {"machine": "is_full"},
            {"changes_subject_to": choir.cage.word("new subject")},
            {},
        ][number % 4]
        (await choir.sandbox.patch(f"/_sandbox/correspondents/{student}", json=habits)).raise_for_status()


async def speak(choir: Choir, letters: int) -> None:
    """Letters, alone and together, and mail of strangers."""
    word = choir.cage.word
    upload = {"name": f"{word('file name')}.pdf"}
    content = word("file content").encode() * (choir.file_bytes // 20)
    kept = await choir.ask("POST", "/v1/files", params=upload, content=content, headers={"content-type": "text/plain"})
    for number in range(letters):
        sender, student = choir.mailboxes[number % len(choir.mailboxes)], choir.students[number % len(choir.students)]
        letter = a_letter(choir.cage, sender, student, kept.json().get("id") if number == 0 else None)
        key = {"idempotency-key": f"{word('idempotency key')}-{choir.cage.chance.random()}"}
        await choir.ask("POST", "/v1/messages", json=letter, headers=key)
        await choir.sandbox.post(
            "/_sandbox/deliver",
            json={
                "mailbox": sender,
                "from": word("stranger's address") + "@elsewhere.example",
                "name": word("stranger's name"),
                "subject": word("stranger's subject"),
                "html": "<p>" + word("stranger's body") + "</p>",
            },
        )
    batch = [a_letter(choir.cage, choir.mailboxes[0], student) for student in choir.students]
    body = {"name": word("batch name"), "created_by": word("staff"), "letters": batch}
    await choir.ask("POST", "/v1/batches", json=body)


async def read(choir: Choir) -> None:
    """What staff look at and look for."""
    word, student = choir.cage.word, choir.cage.word("object id")
    staff = {"selma-staff": word("reader").encode().hex()}
    await choir.ask("GET", "/v1/threads", params={"q": word("search word")}, headers=staff)
    await choir.ask("GET", f"/v1/objects/student/{student}/threads", params={"q": word("search word")})
    await choir.ask("GET", f"/v1/objects/student/{student}/events")
    for path in ("/v1/messages", "/v1/threads", "/v1/events?after=0", "/v1/reviews", "/v1/audit", "/v1/account"):
        await choir.ask("GET", path)
    made = await choir.ask(
        "POST", "/v1/embed-links", json={"object": {"type": "student", "id": student}, "staff": word("reader")}
    )
    if made.status_code == httpx.codes.CREATED:
        link = httpx.URL(made.json()["url"]).raw_path.decode()
        choir.cage.secret("embed link", max(re.split(r"[/?=&]", link), key=len))
        for path in (link, link + "x", link[:-3]):
            await choir.ask("GET", path, headers={"authorization": ""})
    form = FORM_TOKEN.search((await choir.ask("GET", "/sign-in", headers={"authorization": ""})).text)
    if form is not None:
        key = choir.cage.words["the API key"]
        fields = {"form_token": form[1], "key": key, "next": f"/{word('path')}"}
        entered = await choir.ask(
            "POST", "/sign-in", data=fields, headers={"origin": str(choir.api.base_url).rstrip("/")}
        )
        for value in entered.cookies.values():
            choir.cage.secret("the session cookie", value)
        await choir.ask("GET", f"/objects/student/{student}/events", headers={"authorization": ""})


async def err(choir: Choir) -> None:
    """Requests that cannot be answered as they wish, and those of people who are nobody."""
    word, cage = choir.cage.word, choir.cage
    letter = a_letter(cage, choir.mailboxes[0], choir.students[0])
    for change in (
        {"from": f"{word('unknown mailbox')}@school.example"},
        {"to": [{"name": word("to name"), "address": word("bad address")}]},
        {word("unknown field"): 1},
        {"in_reply_to": word("path")},
        {"metadata": {"x": word("metadata value") * 300}},
    ):
        await choir.ask("POST", "/v1/messages", json=letter | change)
    await choir.ask("POST", "/v1/messages", content=b'{"subject": "' + word("broken JSON").encode(), headers=JSON)
    for path in ("/v1/messages/", "/v1/threads/", "/v1/", "/", "/v1/files/", "/v1/batches/", "/problems/"):
        await choir.ask("GET", path + word("path"), params={word("unknown parameter"): word("path")})
    await choir.ask("GET", "/v1/account", headers={"authorization": f"Bearer {word('wrong API key')}"})
    hostile = {"x-request-id": f"{word('request id')} <", "traceparent": f"00-{word('traceparent')}"}
    await choir.ask("GET", "/v1/account", headers=hostile)
    wrong = {"kind": "client_secret", "client_secret": word("wrong client secret")}
    await choir.ask("POST", "/v1/account/credentials", json=wrong)
    await choir.ask("POST", "/v1/mailboxes", json={"address": f"{word('added mailbox')}@school.example"})
    for url in (f"https://127.0.0.1/{word('webhook path')}", f"http://127.0.0.1:9/{word('webhook path')}"):
        made = await choir.ask("POST", "/v1/webhooks", json={"url": url, "description": word("description")})
        if made.status_code == httpx.codes.CREATED:
            cage.secret("webhook secret", made.json()["secret"])
    forged = {
        "subscriptionId": word("path"),
        "clientState": word("client state"),
        "changeType": "created",
        "resource": f"Users/{word('resource')}/Messages/1",
        "resourceData": {"id": word("resource")},
    }
    for body in ({"value": [forged]}, {"value": [forged | {"changeType": word("path")}]}, {"value": word("path")}):
        for door in ("/graph/notifications", "/graph/lifecycle"):
            await choir.ask("POST", door, json=body)


async def know_the_states(choir: Choir) -> None:
    """Graph's own secrets with us are watched, too."""
    state = (await choir.sandbox.get("/_sandbox/state")).json()
    for number, one in enumerate(state["subscriptions"]):
        choir.cage.secret(f"clientState {number}", one["client_state"])


async def look_at_the_figures(choir: Choir) -> dict[str, bytes]:
    """What the open and the operators' routes show."""
    return {path: (await choir.api.get(path)).content for path in ("/metrics", "/healthz", "/readyz")}


def leaks(cage: Cage, places: Mapping[str, bytes]) -> list[str]:
    """Which canary stands where it must not, in which form."""
    return [leak for leak in hits(cage.needles(), places) if not leak.startswith(ALLOWED)]


def blindness(cage: Cage, folder: Path) -> list[str]:
    """What the search does not see though it is there."""
    kept = b"".join(file.read_bytes() for file in folder.iterdir() if file.name.startswith("gateway.db"))
    return [f"the search is blind for: {name}" for name in KEPT if cage.word(name).encode() not in kept]


async def sing(choir: Choir, letters: int, settle: Callable[[], Awaitable[None]]) -> dict[str, bytes]:
    """One life of the gateway."""
    await set_weather(choir)
    await speak(choir, letters)
    await settle()
    await know_the_states(choir)
    await read(choir)
    await err(choir)
    await settle()
    return await look_at_the_figures(choir)


def burn(plan: Plan, watcher: Callable[[int], None] = lambda lives: None) -> Sung:
    """With real processes: two lives, one that logs JSON and is killed, one that logs for people and is stopped."""
    began, cage = time.perf_counter(), Cage(random.Random(plan.seed))
    places: dict[str, bytes] = {}
    with Process("sandbox", "--port", "0", "--json") as process, collecting() as collector:
        microsoft = Microsoft.from_line(process.output_line())
        env = settings_for(microsoft, plan.folder) | {
            "GATEWAY_LOG_LEVEL": "debug",
            "GATEWAY_WEBHOOK_NETWORKS": "127.0.0.0/8",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "500",
        }
        cage.secret("the client secret", microsoft.client_secret)
        key = cage.secret("the API key", connect(env, microsoft))
        figures = tried("keys", "create", "--scope", "metrics", "--json", env=env).stdout
        metrics_key = cage.secret("the metrics key", orjson.loads(figures)["key"])
        cage.secret("the master key", next(plan.folder.glob("*.key")).read_text().strip())
        lives = [asyncio.run(_live(plan, env, form, key, metrics_key, microsoft, cage)) for form in ("json", "pretty")]
        watcher(plan.letters)
        places["traces"] = b"\n".join(collector.bodies)
        places["command line, errors"] = _at_the_command_line(env, cage)
    violations: list[str] = []
    for number, life in enumerate(lives, 1):
        places |= {f"{name} of life {number}": content for name, content in life.places.items()}
        violations += life.violations
    violations += [*leaks(cage, places), *blindness(cage, plan.folder)]
    violations += [f"{place} is empty" for place, content in places.items() if not content]
    violations += [f"there is no span “{name}”" for name in SPANS if name.encode() not in places["traces"]]
    return Sung(
        plan=plan,
        canaries=len(cage.words),
        searched={place: len(content) for place, content in places.items()},
        statuses=sum((Counter(life.statuses) for life in lives), Counter[str]()),
        struck=sum(life.struck for life in lives),
        events=sum((Counter(life.events) for life in lives), Counter[str]()),
        violations=sorted(set(violations)),
        took_s=time.perf_counter() - began,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What one life left."""

    places: Mapping[str, bytes]
    statuses: Mapping[str, int]
    struck: int
    events: Mapping[str, int]
    violations: Sequence[str]


async def _live(
    plan: Plan, env: Mapping[str, str], form: str, key: str, metrics_key: str, microsoft: Microsoft, cage: Cage
) -> Life:
    with Process("serve", env={**env, "GATEWAY_LOG_FORMAT": form}) as gateway:
        url = env["GATEWAY_PUBLIC_URL"]
        async with (
            httpx.AsyncClient(
                base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=120, trust_env=False
            ) as api,
            httpx.AsyncClient(base_url=microsoft.url, timeout=120, trust_env=False) as sandbox,
        ):
            await _is_there(api)
            choir = Choir(cage, api, sandbox, microsoft.mailboxes, microsoft.students)
            figures = await sing(choir, plan.letters, lambda: _settled(choir))
            figures["/metrics"] = (
                await api.get("/metrics", headers={"authorization": f"Bearer {metrics_key}"})
            ).content
            struck = len((await sandbox.get("/_sandbox/faults")).json()["struck"])
            _speak_nonsense(url, cage)
            arguments = _arguments_of(gateway)
        if form == "json":
            gateway.kill()
        else:
            gateway.process.send_signal(signal.SIGTERM)
            gateway.process.wait(timeout=30)
        log = gateway.rest()
    violations = [f"the {form} log has no line “{words}”" for words in WORDS_OF_LOGS if words not in log]
    violations += [f"a traceback in the {form} log"] if "Traceback (most" in log else []
    return Life(
        places={**figures, f"{form} log": log.encode(), "arguments": arguments},
        statuses=choir.statuses,
        struck=struck,
        events=choir.events,
        violations=[*violations, *choir.leaks_in_problems()],
    )


def _arguments_of(gateway: Process) -> bytes:
    """As anybody on the machine sees them. Its environment is for its own user's eyes, and holds what was put there."""
    return Path(f"/proc/{gateway.pid}/cmdline").read_bytes()


async def _is_there(api: httpx.AsyncClient) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                if (await api.get("/healthz")).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.1)


async def _settled(choir: Choir) -> None:
    """Until nothing has happened for a while, or for as long as one waits for a gateway under fire."""
    async with asyncio.timeout(PATIENCE_S):
        quiet_since = time.perf_counter()
        while time.perf_counter() - quiet_since < QUIET_S:
            page = (await choir.api.get("/v1/events", params={"after": choir.heard, "limit": 1000})).json()
            if page["items"]:
                quiet_since, choir.heard = time.perf_counter(), page["cursor"]
                choir.events.update(one["type"] for one in page["items"])
            await asyncio.sleep(0.2)


def _speak_nonsense(url: str, cage: Cage) -> None:
    """What is no HTTP."""
    target, word = httpx.URL(url), cage.word("raw request").encode()
    for said in (
        b"GET /" + word + b" HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + word + b"\0: x\r\n\r\n",
        word + b"\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: " + word + b"\r\n\r\n",
    ):
        with socket.create_connection((target.host, target.port or 80), timeout=10) as connection:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass


def _at_the_command_line(env: Mapping[str, str], cage: Cage) -> bytes:
    """What commands say that cannot do what they are told; of their arguments they may speak."""
    wrong = {**env, "SELMA_CLIENT_SECRET": cage.word("wrong client secret")}
    said = [
        tried("account", "rotate", env=wrong),
        tried("account", "check", env=env),
        tried("outbox", "retry", "msg_0", env=env),
    ]
    return "".join(done.stderr for done in said).encode()
