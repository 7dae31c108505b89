"""`python -m tests.deploy nginx|caddy`: a day in the life of a gateway behind the documented proxy.

Real processes of the proxy, of the gateway and of the sandbox that plays Microsoft 365: it calls the gateway through
the proxy, by TLS. Each line is a promise of the proxy's file; the exit code is 0 when all were kept.
"""

import argparse
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import orjson

from gateway.settings import Settings
from tests.bench.processes import Child
from tests.deploy.proxies import KINDS, Proxy, proxy, self_signed
from tests.deploy.trusting_sandbox import TrustingPlan
from tests.end_to_end.processes import Microsoft, a_letter, connect, free_port, run, settings_for, started

LARGEST: Final = Settings().largest_attachment
FORGED: Final = "203.0.113.9"
PATIENCE_S: Final = 60
AT_ONCE_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that runs."""

    proxy: Proxy
    microsoft: Microsoft
    env: Mapping[str, str]
    key: str
    client: httpx.Client

    def curl(self, *arguments: str) -> str:
        """The status that curl hears, with the key."""
        done = subprocess.run(
            [
                *("curl", "-sS", "--cacert", str(self.proxy.certificate), "-o", "/dev/null", "-w", "%{http_code}"),
                *("-H", f"Authorization: Bearer {self.key}", *arguments),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S * 5,
        )
        return done.stdout or done.stderr


@contextmanager
def scene(kind: str, folder: Path) -> Iterator[Scene]:
    """The school, connected, behind its proxy."""
    port, identity = free_port(), self_signed(folder)
    with Child("tests.deploy.trusting_sandbox", TrustingPlan(trusts=str(identity.certificate))) as sandbox:
        microsoft = Microsoft.from_line(orjson.dumps(sandbox.heard()))
        env = settings_for(microsoft, folder) | {
            "GATEWAY_PUBLIC_URL": f"https://localhost:{port}",
            "GATEWAY_TRUSTED_PROXIES": "127.0.0.1",
            "GATEWAY_SWEEP_INTERVAL": "86400",  # so that a reply comes by notification or not at all
        }
        with proxy(kind, folder, identity, port=port, backend=int(env["GATEWAY_PORT"])) as ours:
            key = connect(env, microsoft)
            with (
                started(env),
                httpx.Client(
                    base_url=ours.url,
                    headers={"authorization": f"Bearer {key}"},
                    verify=ssl.create_default_context(cafile=str(ours.certificate)),
                    timeout=PATIENCE_S,
                    trust_env=False,
                ) as client,
            ):
                yield Scene(proxy=ours, microsoft=microsoft, env=env, key=key, client=client)


def graph_validates(here: Scene) -> str:
    """Microsoft's handshake passes: every folder gets its subscription."""
    began = time.perf_counter()
    while time.perf_counter() - began < PATIENCE_S:
        live = [one for one in _items(here, "/v1/subscriptions") if one["expiration_date_time"]]
        if len(live) >= 2 * len(here.microsoft.mailboxes):
            return f"{len(live)} subscriptions, each after a handshake through the proxy"
        time.sleep(0.2)
    raise AssertionError(f"subscriptions: {here.client.get('/v1/subscriptions').text}")


def a_letter_and_its_reply(here: Scene) -> str:
    """A letter is taken, and its reply comes by Graph's notification, told live and at once."""
    with here.client.stream("GET", "/v1/events/stream") as live:
        assert live.status_code == 200, live.status_code
        lines = live.iter_lines()
        assert next(lines).startswith("retry:")  # it came though nothing follows it yet
        posted = here.client.post("/v1/messages", json=a_letter(0, here.microsoft), headers={"idempotency-key": "one"})
        assert posted.status_code == 202, posted.text
        began = time.perf_counter()
        for line in lines:
            if line == "event: message.accepted":
                accepted = time.perf_counter() - began
            if line == "event: reply.received":
                break
            assert time.perf_counter() - began < PATIENCE_S, "no reply"
        took = time.perf_counter() - began
    assert accepted < AT_ONCE_S, accepted
    return f"told of the letter {accepted * 1000:.0f} ms after its 202, of the reply {took:.1f} s after it"


def a_long_poll(here: Scene) -> str:
    """A long poll is not cut: the longest wait is answered, empty."""
    last = here.client.get("/v1/events", params={"limit": 200}).json()["cursor"]
    began = time.perf_counter()
    answer = here.client.get("/v1/events", params={"after": last, "wait": 30})
    assert answer.status_code == 200, answer.text
    return f"answered with {answer.status_code} after {time.perf_counter() - began:.0f} s"


def an_events_page(here: Scene) -> str:
    """The Events page is shown, by a link as SELMA has it in a frame, and its live updates open at once."""
    asked = {"object": {"type": "student", "id": "S0"}, "staff": "Jane Doe"}
    link = here.client.post("/v1/embed-links", json=asked)
    assert link.status_code in (200, 201), link.text
    path = link.json()["url"].removeprefix(here.proxy.url)
    page = here.client.get(path, headers={"authorization": ""}, follow_redirects=True)
    assert page.status_code == 200, page.text
    assert "Letter 0" in page.text
    assert page.headers.get_list("strict-transport-security") == ["max-age=31536000"], page.headers
    assert "content-encoding" not in page.headers
    began = time.perf_counter()
    with here.client.stream("GET", str(page.url).split("?")[0].rstrip("/") + "/stream") as live:
        assert next(live.iter_lines()).startswith("retry:")
    assert time.perf_counter() - began < AT_ONCE_S
    token = path.split("/")[2]
    logs = "".join(log.read_text() for log in here.proxy.folder.glob("*.log"))
    assert token not in logs, "the link stands in a log"
    return f"{len(page.text):,} characters, HSTS once, not compressed, in no log"


def the_largest_file(here: Scene) -> str:
    """A file of the largest size is taken, streamed; a larger one is refused."""
    folder = here.proxy.folder
    largest, larger = folder / "largest", folder / "larger"
    for file, size in ((largest, LARGEST), (larger, LARGEST + 1_000_000)):
        with file.open("wb") as out:
            out.truncate(size)
    upload = (f"{here.proxy.url}/v1/files?name=offer.pdf", "-H", "Content-Type: application/pdf", "-X", "POST")
    began = time.perf_counter()
    taken = here.curl(*upload, "--data-binary", f"@{largest}")
    took = time.perf_counter() - began
    streamed = here.curl(*upload, "-T", str(largest))
    refused = here.curl(*upload, "-T", str(larger))
    assert (taken, streamed, refused) == ("201", "201", "413"), (taken, streamed, refused)
    for file in (largest, larger):
        file.unlink()
    return f"{LARGEST:,} bytes taken in {took:.1f} s, {LARGEST + 1_000_000:,} refused with 413"


def other_bodies(here: Scene) -> str:
    """The largest letter reaches the gateway; what is too large anywhere gets a 413."""
    at_most = Settings().largest_request
    fits = here.client.post("/v1/messages", content=b" " * at_most, headers={"content-type": "application/json"})
    assert fits.status_code in (400, 422), fits.text
    assert fits.headers["content-type"] == "application/problem+json"
    statuses = {
        path: here.client.post(path, content=b" " * size).status_code
        for path, size in {
            "/v1/messages": 40_000_000,
            "/graph/notifications": 20_000_000,
            "/v1/keys": 2_000_000,
        }.items()
    }
    assert set(statuses.values()) == {413}, statuses
    return f"a letter of {at_most:,} bytes read; {len(statuses)} larger bodies refused"


def nobody_forges_an_address(here: Scene) -> str:
    """The caller is who came, whatever he says of himself."""
    forged = {"x-forwarded-for": FORGED, "forwarded": f"for={FORGED}", "x-real-ip": FORGED}
    for network, status in (("127.0.0.1/32", 200), (f"{FORGED}/32", 403)):
        made = run("keys", "create", "--scope", "read", "--network", network, "--json", env=dict(here.env))
        held = {"authorization": f"Bearer {httpx.Response(200, content=made).json()['key']}"}
        answer = here.client.get("/v1/events", headers=forged | held)
        assert answer.status_code == status, (network, answer.text)
    here.client.get("/v1/threads", headers=forged)
    addresses = {one["address"] for one in _items(here, "/v1/audit") if one["via"] == "api"}
    assert addresses == {"127.0.0.1"}, addresses
    return f"the audit log has {addresses} alone; a key held to {FORGED} is refused"


PROMISES: Final[tuple[Callable[[Scene], str], ...]] = (
    graph_validates,
    a_letter_and_its_reply,
    an_events_page,
    the_largest_file,
    other_bodies,
    nobody_forges_an_address,
    a_long_poll,
)


def _items(here: Scene, path: str) -> list[dict[str, Any]]:
    answer = here.client.get(path)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def main() -> int:
    """1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy", description=__doc__)
    parser.add_argument("proxy", choices=KINDS)
    kind, broken = parser.parse_args().proxy, 0
    with tempfile.TemporaryDirectory(prefix="selma-gateway-deploy-") as folder, scene(kind, Path(folder)) as here:
        for promise in PROMISES:
            try:
                said = promise(here)
            except AssertionError as error:
                broken += 1
                said = f"BROKEN: {error}"
            print(f"{promise.__doc__}\n    {said}", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
