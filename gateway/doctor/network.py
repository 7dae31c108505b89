"""What is around it: the gateway at its address, its public address, and the connection to Microsoft 365."""

import errno
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

import httpx

import storage
from gateway.connections import Connections
from gateway.doctor.patient import Patient, Skipped, bad, doubtful, well
from gateway.graph import build_http, build_login_http
from gateway.master_key import unlock
from gateway.serving import listen
from gateway.setup.outside import Outside
from gateway.setup.report import Check, Verdict
from gateway.setup.service import Setup
from storage import accounts
from storage.accounts import Account

PATIENCE_S: Final = 5.0


async def gateway(patient: Patient) -> Check:
    """It answers at its address, or nobody does and it may begin."""
    settings, tried = patient.settings, f"Called {patient.settings.local_url}."
    if settings.port == 0:
        raise Skipped("GATEWAY_PORT is 0: where it listens is known to its log alone.")
    try:
        async with httpx.AsyncClient(base_url=settings.local_url, trust_env=False, timeout=PATIENCE_S) as client:
            alive, ready = await client.get("/healthz"), await client.get("/readyz")
    except httpx.ConnectError:
        return _free(patient, tried)
    except httpx.HTTPError:
        cure = "See what the process does (its log, py-spy dump), and start it again."
        return bad("gateway", tried, "Somebody listens there and does not answer.", cure)
    if _said(alive).get("status") != "alive":
        cure = "End that program, or give the gateway another GATEWAY_PORT."
        return bad("gateway", tried, "Another program answers there.", cure)
    wrong = [f"{one['name']}: {one['detail']}" for one in _said(ready).get("parts", []) if not one["ok"]]
    if ready.status_code != HTTPStatus.OK:
        return doubtful("gateway", tried, f"It runs and is not ready. {' '.join(wrong)}", "See what is said above.")
    return well("gateway", tried, "It runs, and is ready.")


def _free(patient: Patient, tried: str) -> Check:
    try:
        listen(patient.settings.host, patient.settings.port).close()
    except OSError as error:
        cure = "Correct GATEWAY_HOST and GATEWAY_PORT; ports below 1024 need a right of their own."
        if error.errno == errno.EADDRINUSE:
            cure = "End the program that has it, or give the gateway another GATEWAY_PORT."
        return bad("gateway", tried, f"Nobody answers, and it cannot be listened at: {error.strerror}.", cure)
    return doubtful("gateway", tried, "It does not run; its address is free.", "Start it: selma-gateway serve")


def _said(answer: httpx.Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


async def connections(patient: Patient) -> list[Check]:
    """Each account's connection, as `account check` tries it: public address, Graph's clock, token, permissions."""
    if patient.offline:
        raise Skipped("Nobody outside was to be asked (--offline).")
    patient.needs("database", "schema", "integrity", "master key")
    if not patient.database.exists() or patient.made["schema"].verdict is not Verdict.OK:
        raise Skipped("The database is not of this release yet: start the gateway first.")
    settings, clock = patient.settings, patient.clock
    try:
        async with storage.open_store(settings.database, alone=False) as store:
            key = await unlock(store, settings, clock)
            async with build_http(settings.ca_file) as http:
                with build_login_http(settings.ca_file) as login_http:
                    joined = Connections(store, key, settings, clock, http=http, login_http=login_http)
                    setup = Setup(store, joined, clock, key, settings, outside=Outside(clock, http))
                    found = await store.read(accounts.all_of_them)
                    return [check for one in found for check in await _of(setup, one, several=len(found) > 1)]
    except storage.StorageError as error:
        raise Skipped(f"The database cannot be used: {error}") from error


async def _of(setup: Setup, account: Account, *, several: bool) -> list[Check]:
    report = await setup.check(account.id)
    prefix = f"{account.name}: " if several else ""
    return [
        replace(one, name=prefix + ("clock of Graph" if one.name == "clock" else one.name.replace("_", " ")))
        for one in report.checks
    ]
