"""No secret stands anywhere in the clear: database, WAL, free pages, logs at debug, output, process arguments.

A real gateway is connected, its credential and its master key are rotated while it serves, wrong secrets are tried, and
it is killed so that its WAL stays; then every byte is searched, in each form that a secret could take.
"""

from pathlib import Path
from typing import Self

import httpx

from tests.end_to_end.conftest import Site
from tests.end_to_end.processes import a_letter, run, started, tried
from tests.end_to_end.test_one_key import wait_until_sent
from tests.fire.leaks import forms, hits

WRONG = "Wr0ng~secret.value-that-Entra-does-not-know"


def test_the_search_finds_each_form() -> None:
    for form, needle in forms(WRONG):
        assert hits({"it": WRONG}, {"there": b"x" + needle + b"y"}), form


class Admin:
    """With a key of all scopes, at the gateway and in Entra."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.gateway = httpx.Client(base_url=site.url, headers=site.headers, timeout=30, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.gateway.close()

    def new_secret(self) -> str:
        body = {"client_id": self.site.microsoft.client_id, "expires_at": "2090-01-01T00:00:00Z"}
        made = httpx.post(f"{self.site.microsoft.url}/_sandbox/secrets", json=body, trust_env=False)
        return str(made.json()["client_secret"])

    def offer(self, secret: str) -> int:
        body = {"kind": "client_secret", "client_secret": secret}
        return self.gateway.post("/v1/account/credentials", json=body).status_code

    def send_a_letter(self, number: int) -> None:
        letter = self.gateway.post("/v1/messages", json=a_letter(number, self.site.microsoft))
        assert letter.status_code == 202
        wait_until_sent(self.site, letter.json()["id"])


def test_no_secret_is_found_anywhere_and_the_master_key_is_replaced_while_letters_leave(site: Site) -> None:
    with Admin(site) as admin:
        rotate_and_search(site, admin)


def rotate_and_search(site: Site, admin: Admin) -> None:
    output: list[str] = []
    arguments: list[bytes] = []
    secrets = {"the first secret": site.microsoft.client_secret, "a wrong secret": WRONG}
    with started(site.env | {"GATEWAY_LOG_LEVEL": "debug"}) as gateway:
        admin.send_a_letter(1)
        secrets["the second secret"] = admin.new_secret()
        assert admin.offer(secrets["the second secret"]) == 201
        assert admin.offer(WRONG) == 422
        output.append(tried("account", "rotate", env={**site.env, "SELMA_CLIENT_SECRET": WRONG}).stderr)
        output.append(run("master-key", "rotate", env=site.env))
        admin.send_a_letter(2)
        secrets["the third secret"] = admin.new_secret()
        assert admin.offer(secrets["the third secret"]) == 201, "sealed with the new master key"
        made = admin.gateway.post("/v1/account/credentials", json={"kind": "certificate"})
        admin.send_a_letter(3)
        output += [made.text, admin.gateway.get("/v1/account").text, run("account", "credentials", env=site.env)]
        for line in (f"/proc/{gateway.pid}/cmdline", f"/proc/{gateway.pid}/environ"):
            arguments.append(Path(line).read_bytes())
    places = {file.name: file.read_bytes() for file in site.database.parent.iterdir() if "master.key" not in file.name}
    assert any(name.endswith("-wal") for name in places), "the WAL is searched too"
    places["log"] = gateway.rest().encode()
    places["output"] = "".join(output).encode()
    places["arguments"] = b"\0".join(arguments)
    assert b"no token" in places["log"] or b"debug" in places["log"], "the log was written"
    assert site.microsoft.client_id.encode() in places["gateway.db"] + places["gateway.db-wal"], "the search sees"
    assert hits(secrets, places) == []
    assert [name for name, content in places.items() if b"PRIVATE KEY" in content] == []
    with started(site.env):
        assert admin.gateway.get("/v1/account").json()["token_state"] == "ok"
        admin.send_a_letter(4)
