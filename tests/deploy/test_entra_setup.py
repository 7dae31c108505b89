"""deploy/entra-setup.sh against an Azure CLI of our own: what it does, that it does it once, and what it prints."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.fake_az import EMPTY, ROLES

SCRIPT = Path(__file__).parents[2] / "deploy" / "entra-setup.sh"
FAKE = Path(__file__).with_name("fake_az.py")


@dataclass
class Tenant:
    folder: Path

    def __post_init__(self) -> None:
        self.set(**EMPTY)
        az = self.folder / "bin" / "az"
        az.parent.mkdir()
        az.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{FAKE}" "$@"\n')
        az.chmod(0o755)

    @property
    def state(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "az.json").read_text()))

    def set(self, **changes: Any) -> None:
        file = self.folder / "az.json"
        before = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(before | changes))

    def run(self, *options: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        env = {"PATH": path, "FAKE_AZ": str(self.folder / "az.json")}
        done = subprocess.run([str(SCRIPT), *options], env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done


@pytest.fixture
def tenant(tmp_path: Path) -> Tenant:
    return Tenant(tmp_path)


def test_it_registers_permits_and_prints_what_stage_4_asks_for(tenant: Tenant) -> None:
    done = tenant.run()
    [app] = tenant.state["apps"]
    assert set(app["asked"]) == set(app["granted"]) == set(ROLES.values())
    for value in ("84bd8158-6d4d-4958-8b9f-9d6445542f95", app["id"], "secret~value-1", app["secrets"][0], "global"):
        assert value in done.stdout
    assert "secret~value-1" not in done.stderr


def test_run_again_it_changes_nothing(tenant: Tenant) -> None:
    tenant.run()
    before = tenant.state
    done = tenant.run()
    assert tenant.state == before
    assert "cannot be shown again" in done.stderr


def test_what_is_half_done_is_completed(tenant: Tenant) -> None:
    tenant.run()
    state = tenant.state
    state["apps"][0] |= {"granted": [ROLES["Mail.Send"]], "asked": [], "secrets": []}
    tenant.set(apps=state["apps"], changes=[])
    tenant.run()
    assert sorted(tenant.state["changes"]) == sorted(
        ["ad app permission add"] * 3 + ["grant"] * 2 + ["ad app credential reset"]
    )


def test_a_new_secret_leaves_the_old_one(tenant: Tenant) -> None:
    tenant.run()
    done = tenant.run("--new-secret", "--months", "3")
    assert len(tenant.state["apps"][0]["secrets"]) == 2
    assert "secret~value-2" in done.stdout


def test_a_certificate_is_uploaded_in_place_of_a_secret(tenant: Tenant, tmp_path: Path) -> None:
    (tmp_path / "gateway.cer").write_text("-----BEGIN CERTIFICATE-----")
    tenant.run("--certificate", str(tmp_path / "gateway.cer"))
    [app] = tenant.state["apps"]
    assert (app["secrets"], app["certs"]) == ([], [f"@{tmp_path / 'gateway.cer'}"])


def test_a_dry_run_says_what_it_would_do_and_changes_nothing(tenant: Tenant) -> None:
    before = tenant.state
    done = tenant.run("--dry-run")
    assert tenant.state == before
    for what in ("Registering the app", "Granting Mail.Send", "Adding a client secret"):
        assert f"would: {what}" in done.stderr
    tenant.run()
    before = tenant.state
    assert "would:" not in tenant.run("--dry-run").stderr
    assert tenant.state == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--months", "36"), "from 1 to 24"),
        (("--months", "six"), "from 1 to 24"),
        (("--name", "x' or '1"), "must not have a quote"),
        (("--certificate", "/nowhere.cer"), "there is no file"),
        (("--name",), "needs a value"),
        (("--what",), "unknown option"),
    ],
)
def test_what_cannot_be_meant_is_refused(tenant: Tenant, options: tuple[str, ...], sentence: str) -> None:
    assert sentence in tenant.run(*options, code=1).stderr
    assert tenant.state["changes"] == []


def test_two_apps_of_one_name_are_not_guessed_between(tenant: Tenant) -> None:
    tenant.run()
    [app] = tenant.state["apps"]
    tenant.set(apps=[app, app | {"id": "app-9"}])
    assert "--app-id" in tenant.run(code=1).stderr
    tenant.run("--app-id", app["id"])


def test_who_is_not_signed_in_is_told_how(tenant: Tenant) -> None:
    tenant.set(signed_in=False)
    assert "az login" in tenant.run(code=1).stderr


@pytest.mark.parametrize(("az_cloud", "ours"), [("AzureUSGovernment", "gcc_high"), ("AzureChinaCloud", "china")])
def test_the_cloud_is_named_as_the_gateway_names_it(tenant: Tenant, az_cloud: str, ours: str) -> None:
    tenant.set(cloud=az_cloud)
    assert f"--cloud {ours}" in tenant.run().stdout


def test_shellcheck_has_nothing_to_say() -> None:
    done = subprocess.run(["shellcheck", str(SCRIPT)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
