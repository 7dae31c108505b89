"""Settings of the process: read once, every bad one named at once."""

import base64
import re
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.settings import SETTINGS, BadSettings, Settings, from_env

ROOT = Path(__file__).parent.parent
A_KEY = base64.b64encode(bytes(range(32))).decode()


def test_an_empty_environment_gives_the_defaults() -> None:
    assert from_env({}) == Settings()


def test_every_setting_is_read_from_its_variable(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("")
    settings = from_env(
        {
            "GATEWAY_DATABASE": str(tmp_path / "g.db"),
            "GATEWAY_PUBLIC_URL": "https://mail.school.example/",
            "GATEWAY_HOST": "0.0.0.0",
            "GATEWAY_PORT": "9000",
            "GATEWAY_MASTER_KEY": A_KEY,
            "GATEWAY_GRAPH_URL": "http://127.0.0.1:9001",
            "GATEWAY_LOGIN_URL": "http://localhost:9001",
            "GATEWAY_CA_FILE": str(ca_file),
            "GATEWAY_LOG_LEVEL": "DEBUG",
            "GATEWAY_LOG_FORMAT": "Pretty",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
            "GATEWAY_SWEEP_INTERVAL": "60",
            "GATEWAY_ELSEWHERE_INTERVAL": "120",
            "GATEWAY_EMBED_HOSTS": "https://SELMA.school.example/, test.selma.example:8443 http://localhost:9000",
            "GATEWAY_RICH_NOTIFICATIONS": "On",
        }
    )
    assert settings.public_url == "https://mail.school.example"
    assert settings.local_url == "http://127.0.0.1:9000"
    assert settings.master_key is not None
    assert settings.master_key.value == bytes(range(32))
    assert settings.log_level == "debug"
    assert settings.log_format == "pretty"
    assert settings.traces
    assert settings.sweep_interval == timedelta(minutes=1)
    assert settings.elsewhere_interval == timedelta(minutes=2)
    assert settings.embed_hosts == (
        "https://selma.school.example",
        "https://test.selma.example:8443",
        "http://localhost:9000",
    )
    assert settings.rich_notifications is True


@pytest.mark.parametrize(
    "hosts", ["*", "https://*.selma.example", "http://selma.example", "https://a.example;x", "'self'"]
)
def test_who_may_frame_a_page_is_named_one_by_one(hosts: str) -> None:
    with pytest.raises(BadSettings, match="GATEWAY_EMBED_HOSTS"):
        from_env({"GATEWAY_EMBED_HOSTS": hosts})


def test_all_bad_settings_are_named_at_once_each_with_what_would_be_right() -> None:
    with pytest.raises(BadSettings) as caught:
        from_env(
            {
                "GATEWAY_PORT": "eighty",
                "GATEWAY_PUBLIC_URL": "http://mail.school.example",
                "GATEWAY_MASTER_KEY": "short",
                "GATEWAY_SWEEP_INTERVAL": "1",
                "GATEWAY_ELSEWHERE_INTERVAL": "59",
                "GATEWAY_RICH_NOTIFICATIONS": "perhaps",
                "GATEWAY_LOG_LEVEL": "loud",
                "GATEWAY_CA_FILE": "/no/such/file",
                "GATEWAY_PUBLC_URL": "https://mail.school.example",
            }
        )
    problems = {problem.split(":")[0]: problem for problem in caught.value.problems}
    assert set(problems) == {
        "GATEWAY_PORT",
        "GATEWAY_PUBLIC_URL",
        "GATEWAY_MASTER_KEY",
        "GATEWAY_SWEEP_INTERVAL",
        "GATEWAY_ELSEWHERE_INTERVAL",
        "GATEWAY_RICH_NOTIFICATIONS",
        "GATEWAY_LOG_LEVEL",
        "GATEWAY_CA_FILE",
        "GATEWAY_PUBLC_URL",
    }
    assert "https" in problems["GATEWAY_PUBLIC_URL"]
    assert "openssl rand -base64 32" in problems["GATEWAY_MASTER_KEY"]
    assert "Did you mean GATEWAY_PUBLIC_URL?" in problems["GATEWAY_PUBLC_URL"]


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(A_KEY + "\n")
    settings = from_env({"GATEWAY_MASTER_KEY_FILE": str(key_file)})
    assert settings.master_key is not None
    assert settings.master_key.to_text() == A_KEY


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="not both"):
        from_env({"GATEWAY_MASTER_KEY": A_KEY, "GATEWAY_MASTER_KEY_FILE": str(tmp_path / "key")})


def test_the_master_key_is_not_in_the_repr() -> None:
    assert A_KEY not in repr(from_env({"GATEWAY_MASTER_KEY": A_KEY}))


def test_the_readme_lists_every_setting_and_its_default() -> None:
    rows = dict(re.findall(r"^\| `(GATEWAY_\w+)` \| ([^|]+?) \|", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert rows == {
        setting.variable: setting.default.replace("./", "`./") + "`" * ("./" in setting.default) for setting in SETTINGS
    }
