"""The owner's door: the token opens it, nothing else does, and what is wrong comes back in words."""

from __future__ import annotations

import http.client
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sedi_engine.errors import InputError, StudioError
from sedi_engine.owner import LARGEST_BODY_BYTES, OWNER_FILE, Remote
from sedi_engine.service import Service


@pytest.fixture
def service(folder: Path) -> Iterator[Service]:
    opened = Service(folder)
    yield opened
    opened.close()


def post(folder: Path, path: str, body: bytes, authorization: str | None) -> int:
    port = json.loads((folder / OWNER_FILE).read_text(encoding="utf-8"))["port"]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", path, body, {"Authorization": authorization} if authorization else {})
    status = connection.getresponse().status
    connection.close()
    return status


def test_the_token_is_for_the_user_alone_and_goes_with_the_owner(folder: Path) -> None:
    service = Service(folder)
    assert stat.S_IMODE((folder / OWNER_FILE).stat().st_mode) == 0o600
    assert Remote.find(folder) is not None
    service.close()
    assert not (folder / OWNER_FILE).exists()
    assert Remote.find(folder) is None


def test_a_token_file_left_by_a_killed_owner_is_nobody(folder: Path) -> None:
    (folder / OWNER_FILE).write_text(json.dumps({"pid": 1, "port": 1, "token": "t"}), encoding="utf-8")
    assert Remote.find(folder) is None


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Bearer é", ""])
def test_without_the_token_nothing_is_done(service: Service, folder: Path, authorization: str | None) -> None:
    if authorization and not authorization.isascii():
        authorization = authorization.encode().decode("latin-1")
    assert post(folder, "/runs", b"{}", authorization) == 401


def test_a_body_without_end_is_refused_before_it_is_read(service: Service, folder: Path) -> None:
    """Only the header announces it: a refusal in the middle of a body may reach the sender as a broken pipe."""
    owner = json.loads((folder / OWNER_FILE).read_text(encoding="utf-8"))
    connection = http.client.HTTPConnection("127.0.0.1", owner["port"], timeout=10)
    connection.putrequest("POST", "/runs")
    connection.putheader("Authorization", f"Bearer {owner['token']}")
    connection.putheader("Content-Length", str(LARGEST_BODY_BYTES + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_errors_of_a_command_come_back_as_they_were(service: Service, folder: Path) -> None:
    remote = Remote.find(folder)
    assert remote is not None
    assert remote("runs") == []
    with pytest.raises(InputError, match="no run 'x'"):
        remote("summary", run_id="x")
    with pytest.raises(StudioError, match="knows no command 'rm'"):
        remote("rm")
