"""Other people's servers, as they are installed: web servers, a proxy, an S3 service.

with nginx(tmp_path, repo.folder) as url: …       # https, with certificates of tls
with tinyproxy(tmp_path, user="pi", password="…") as port: …
with s3(tmp_path) as service: …                   # moto, or whoever LITTORAL_S3 names

Each is a process of its own on a port of loopback; a test that asks for one that is missing is
skipped by its ``needs_…``.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from simulators.broker import ConsoleCa, free_port

WAIT_S = 20.0
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
TINYPROXY = shutil.which("tinyproxy")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
needs_tinyproxy = pytest.mark.skipif(
    TINYPROXY is None or os.geteuid() != 0,
    reason="tinyproxy is not installed, or there is no root for names that only it knows",
)


@dataclass(frozen=True, slots=True)
class Service:
    """An S3 service: what boto3 has to be told, and a bucket there."""

    endpoint: str
    bucket: str
    environment: Mapping[str, str]


@contextmanager
def nginx(folder: Path, root: Path, *, tls: ConsoleCa, more: str = "") -> Iterator[str]:
    """Serve ``root`` as nginx does; ``more`` are words for its server."""
    port = free_port()
    here = folder / f"nginx-{port}"
    here.mkdir()
    (here / "nginx.conf").write_text(f"""
daemon off; master_process off; pid {here}/pid; error_log {here}/error.log;
events {{}}
http {{
  access_log {here}/access.log; default_type application/octet-stream;
  types {{ application/json json; text/html html; }}
  client_body_temp_path {here}/t1; proxy_temp_path {here}/t2; fastcgi_temp_path {here}/t3;
  uwsgi_temp_path {here}/t4; scgi_temp_path {here}/t5;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {tls.certificate}; ssl_certificate_key {tls.key};
    root {root};
    {more}
  }}
}}
""")
    command = [NGINX or "nginx", "-p", str(here), "-c", str(here / "nginx.conf")]
    with _running(command, port, here / "out"):
        yield f"https://127.0.0.1:{port}"


@contextmanager
def python(folder: Path, root: Path) -> Iterator[str]:
    """Serve ``root`` as ``python -m http.server`` does: HTTP/1.0, whole files alone."""
    port = free_port()
    command = [*(sys.executable, "-m", "http.server", str(port)), *("--bind", "127.0.0.1")]
    with _running([*command, "--directory", str(root)], port, folder / f"http-{port}"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def tinyproxy(
    folder: Path, *, user: str = "", password: str = "", names: tuple[str, ...] = ("console.test",)
) -> Iterator[int]:
    """Run a proxy to which alone ``names`` mean something: this machine."""
    port = free_port()
    hosts, conf = folder / "hosts", folder / "tinyproxy.conf"
    hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *names)))
    auth = f"BasicAuth {user} {password}\n" if user else ""
    conf.write_text(f"Port {port}\nListen 127.0.0.1\nTimeout 600\nAllow 127.0.0.1\n{auth}")
    script = f"mount --bind {hosts} /etc/hosts && exec {TINYPROXY} -d -c {conf}"
    with _running(["unshare", "--mount", "sh", "-c", script], port, folder / f"proxy-{port}"):
        yield port


@contextmanager
def s3(folder: Path, *, strict: bool = False) -> Iterator[Service]:
    """Run moto, or use LITTORAL_S3 as it is set.

    moto looks at signatures if it is ``strict``, and then it knows none in an address.
    """
    named = os.environ.get("LITTORAL_S3")
    if named is not None:
        yield _service(named, os.environ)
        return
    pytest.importorskip("moto")
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1"]
    # It believes the first requests, which make a user.
    believed = "3" if strict else "inf"
    environment = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": believed}
    with _running([*command, "-p", str(port)], port, folder / f"s3-{port}", environment):
        endpoint = f"http://127.0.0.1:{port}"
        yield _service(endpoint, _user(endpoint))


def _user(endpoint: str) -> dict[str, str]:
    import boto3

    region = "us-east-1"
    keys = {"aws_access_key_id": "first", "aws_secret_access_key": "first"}
    iam = boto3.client("iam", endpoint_url=endpoint, region_name=region, **keys)
    iam.create_user(UserName="console")
    may = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    iam.put_user_policy(UserName="console", PolicyName="blobs", PolicyDocument=policy)
    made = iam.create_access_key(UserName="console")["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
        "AWS_DEFAULT_REGION": region,
    }


def _service(endpoint: str, keys: Mapping[str, str]) -> Service:
    import boto3

    given = {name: value for name, value in keys.items() if name.startswith("AWS_")}
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
        region_name=given.get("AWS_DEFAULT_REGION", "us-east-1"),
    )
    bucket = f"models-{time.time_ns()}"
    client.create_bucket(Bucket=bucket)
    return Service(endpoint, bucket, {**given, "AWS_ENDPOINT_URL": endpoint})


@contextmanager
def _running(
    command: list[str], port: int, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run ``command`` until this ends; it is there when ``port`` answers."""
    with (
        log.open("wb") as out,
        subprocess.Popen(command, stdout=out, stderr=out, env=environment) as process,
    ):
        try:
            end = time.monotonic() + WAIT_S
            while not _answers(port):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.02)
            yield
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
