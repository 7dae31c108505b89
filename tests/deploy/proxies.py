"""The documented proxies, really running: the files of `deploy/` with this machine's paths and ports in them."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
PATIENCE_S: Final = 20
LOOK_EVERY_S: Final = 0.05
KINDS: Final = ("nginx", "caddy")
HOST: Final = "mail.school.example"
NGINX_AROUND: Final = """\
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes auto;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/selma-gateway.conf;
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A certificate for localhost, signed by itself, and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One that runs. `certificate` is what its clients must trust; in `folder` are its files and logs."""

    url: str
    certificate: Path
    folder: Path


def self_signed(folder: Path) -> Identity:
    """Made in this folder."""
    certificate, key = folder / "fullchain.pem", folder / "privkey.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return Identity(certificate=certificate, key=key)


def nginx_command(folder: Path, *, port: int, backend: int, identity: Identity) -> list[str]:
    """Write its files."""
    text = (DEPLOY / "nginx" / "selma-gateway.conf").read_text()
    text = re.sub(r"server \{\n    listen 80;.*?\n\}\n", "", text, flags=re.DOTALL)  # the way from http to https
    text = text.replace("listen 443", f"listen 127.0.0.1:{port}").replace("    listen [::]:443 ssl http2;\n", "")
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{backend}").replace(HOST, "localhost")
    text = re.sub(r"(ssl_certificate) .*;", rf"\1 {identity.certificate};", text)
    text = re.sub(r"(ssl_certificate_key) .*;", rf"\1 {identity.key};", text)
    text = text.replace("/var/log/nginx/", f"{folder}/")
    (folder / "selma-gateway.conf").write_text(text)
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(NGINX_AROUND.format(folder=folder, user=user))
    return [*(_found("nginx"), "-c", str(folder / "nginx.conf"), "-p", str(folder)), "-g", "daemon off;"]


def caddy_command(folder: Path, *, port: int, backend: int, identity: Identity) -> list[str]:
    """Write its file."""
    text = (DEPLOY / "caddy" / "Caddyfile").read_text()
    text = text.replace("{\n\tservers", "{\n\tadmin off\n\tauto_https disable_redirects\n\tservers")
    where = f"https://localhost:{port}, https://127.0.0.1:{port}"
    text = text.replace(
        f"{{$SELMA_GATEWAY_HOST:{HOST}}} {{", f"{where} {{\n\ttls {identity.certificate} {identity.key}"
    )
    text = text.replace("{$SELMA_GATEWAY_BACKEND:127.0.0.1:8080}", f"127.0.0.1:{backend}")
    (folder / "Caddyfile").write_text(text)
    return [_found("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


COMMANDS: Final = {"nginx": nginx_command, "caddy": caddy_command}


@contextmanager
def proxy(kind: str, folder: Path, identity: Identity, *, port: int, backend: int) -> Iterator[Proxy]:
    """Run it before the gateway at `backend`, and stop it."""
    command = COMMANDS[kind](folder, port=port, backend=backend, identity=identity)
    log = folder / "proxy.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=said, env={**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        )
    try:
        _wait_for(port, process, log)
        yield Proxy(url=f"https://localhost:{port}", certificate=identity.certificate, folder=folder)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)


def _found(command: str) -> str:
    where = shutil.which(command, path=f"{os.environ['PATH']}:/usr/sbin")
    if where is None:
        raise SystemExit(f"This needs {command}. Debian and Ubuntu: apt install {command}")
    return where


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    began = time.perf_counter()
    while time.perf_counter() - began < PATIENCE_S:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(LOOK_EVERY_S)
        else:
            return
    raise AssertionError(f"the proxy does not listen: {log.read_text()}")
