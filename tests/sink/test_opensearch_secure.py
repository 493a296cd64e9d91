"""OpenSearch 2.19 with the security plugin: TLS, users, the documented roles."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from clocks import FakeClock
from servers import free_port
from servers.certificates import Authority
from servers.opensearch import OpenSearch, shared
from servers.proxy import proxy
from sink.blocks import batch, failed_login
from sink.rigs.opensearch import OpenSearchRig

from shipper.clock import rfc3339
from shipper.errors import MisconfiguredError, UnavailableError
from shipper.notices import Notice
from shipper.sink import Surroundings

PAGE = Path(__file__).parents[2] / "docs" / "opensearch.md"
PASSWORD = "Right-2026-and-long-enough!"  # noqa: S105 of a server that is thrown away
NOW = 1_800_000_000.0


def documented_roles() -> list[dict[str, Any]]:
    blocks = re.findall(r"```json\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    roles = [orjson.loads(block) for block in blocks]
    assert len(roles) == 2
    return roles


@pytest.fixture(scope="module")
def server() -> OpenSearch:
    return shared("secure")


@pytest.fixture
def rig(server: OpenSearch) -> Iterator[OpenSearchRig]:
    rig = OpenSearchRig(server)
    # The documented roles are for this name.
    rig.base = "mysql-audit"
    rig.remove()
    try:
        yield rig
    finally:
        rig.remove()


def user(server: OpenSearch, role: dict[str, Any]) -> str:
    """Make an account that has this role and nothing else."""
    name = f"u{uuid.uuid4().hex[:10]}"
    security = "/_plugins/_security/api"
    server.call("PUT", f"{security}/roles/{name}", role)
    set_password(server, name, PASSWORD)
    server.call("PUT", f"{security}/rolesmapping/{name}", {"users": [name]})
    return name


def set_password(server: OpenSearch, name: str, password: str) -> None:
    body = {"password": password}
    server.call("PUT", f"/_plugins/_security/api/internalusers/{name}", body)


def login(server: OpenSearch, name: str) -> dict[str, Any]:
    assert server.authority
    ca_file = str(server.authority.ca_file)
    return {"username": name, "password": PASSWORD, "ca_file": ca_file}


def test_the_documented_role_is_enough_for_everything(rig: OpenSearchRig) -> None:
    role, _ = documented_roles()
    told: list[Notice] = []
    around = Surroundings(clock=FakeClock(NOW), tell=told.append)
    settings = login(rig.server, user(rig.server, role)) | {"retention": "own"}
    old, new = rfc3339(NOW - 400 * 86400), rfc3339(NOW)
    with closing(rig.sink(around, setup="require", **settings)) as sink:
        sink.prepare()
        assert sink.deliver(batch(failed_login(at=new), failed_login(at=old))).new == 2
        assert sink.deliver(batch(failed_login(at=new), failed_login(at=old))).duplicates == 2
        assert tuple(sink.check()) == ()
    assert len(rig.documents()) == 2
    with closing(rig.sink(around, setup="require", **settings)) as sink:
        sink.prepare()
    assert len(rig.documents()) == 1
    assert told == []


# Every account has the right to `_bulk` itself, through the stock role own_index; setup only reads
# what it may not write, and the reading rights are each other's substitutes. What cannot be seen of
# a template's effect is no trouble.
SPARED = re.compile(r"indices:data/write/bulk$|/get$|/simulate_index$")


@pytest.mark.parametrize(
    "right",
    [each for each in documented_roles()[0]["cluster_permissions"] if not SPARED.search(each)]
    + documented_roles()[1]["index_permissions"][0]["allowed_actions"],
)
def test_no_right_of_it_can_be_spared(rig: OpenSearchRig, right: str) -> None:
    """Without any one of them setup or the first delivery fails."""
    role, _ = documented_roles()
    for rights in (role["cluster_permissions"], role["index_permissions"][0]["allowed_actions"]):
        if right in rights:
            rights.remove(right)
    settings = login(rig.server, user(rig.server, role))

    def set_up_and_ship() -> None:
        with closing(rig.sink(setup="require", **settings)) as sink:
            sink.prepare()
            sink.deliver(batch(failed_login()))

    with pytest.raises(MisconfiguredError, match="permissions"):
        set_up_and_ship()


def test_the_smaller_role_ships_and_cannot_look(rig: OpenSearchRig) -> None:
    with closing(rig.sink(client_cert=None, **admin(rig.server))) as sink:
        sink.prepare()
    _, role = documented_roles()
    settings = login(rig.server, user(rig.server, role))
    with closing(rig.sink(setup="off", **settings)) as sink:
        sink.prepare()
        assert sink.deliver(batch(failed_login())).new == 1
    told: list[Notice] = []
    with closing(rig.sink(Surroundings(tell=told.append), **settings)) as sink:
        sink.prepare()  # auto: says what it may not do, and ships
        assert sink.deliver(batch(failed_login())).duplicates == 1
    assert told
    with (
        closing(rig.sink(setup="require", **settings)) as sink,
        pytest.raises(MisconfiguredError, match="security_exception"),
    ):
        sink.prepare()


def test_check_asks_for_nothing_that_shipping_does_not_need(rig: OpenSearchRig) -> None:
    _, role = documented_roles()
    settings = login(rig.server, user(rig.server, role))
    with closing(rig.sink(setup="off", pipeline="unseen", **settings)) as sink:
        assert tuple(sink.check()) == ()
    with closing(rig.sink(setup="off", **settings | {"password": "wrong"})) as sink:
        (finding,) = sink.check()
        assert "login was refused" in finding
    # And where it asks for more, one missing right is one finding.
    with closing(rig.sink(**settings)) as sink:
        findings = sink.check()
        assert len(set(findings)) == len(findings) == 2
        assert all(
            "component_template/get" in each or "index_template" in each for each in findings
        )


def test_the_documented_role_sees_what_takes_effect(rig: OpenSearchRig) -> None:
    role, _ = documented_roles()
    full = login(rig.server, user(rig.server, role))
    role["cluster_permissions"].remove("indices:admin/index_template/simulate_index")
    less = login(rig.server, user(rig.server, role))
    for settings in (full, less):
        with closing(rig.sink(setup="require", **settings)) as sink:
            sink.prepare()
            assert tuple(sink.check()) == ()
    rival = {"index_patterns": ["mysql-*"], "priority": 5000}
    rig.server.call("PUT", "/_index_template/mysql-audit-rival", rival)
    for settings in (full, less):
        with closing(rig.sink(**settings)) as sink:
            (finding,) = sink.check()
        assert "/_index_template/mysql-audit-rival (priority 5000) wins" in finding


def admin(server: OpenSearch) -> dict[str, Any]:
    everything = {
        "cluster_permissions": ["*"],
        "index_permissions": [{"index_patterns": ["*"], "allowed_actions": ["*"]}],
    }
    return login(server, user(server, everything))


def test_another_index_is_not_theirs_to_write(rig: OpenSearchRig) -> None:
    _, role = documented_roles()
    settings = login(rig.server, user(rig.server, role))
    with (
        closing(rig.sink(setup="off", index="other-%Y.%m.%d", **settings)) as sink,
        pytest.raises(MisconfiguredError, match="security_exception"),
    ):
        sink.deliver(batch(failed_login()))


def test_a_client_certificate_is_a_login(rig: OpenSearchRig) -> None:
    assert rig.server.authority
    certificate, key = rig.server.authority.pair("admin")
    ca_file = str(rig.server.authority.ca_file)
    settings = {"client_cert": certificate, "client_key": key, "ca_file": ca_file}
    with closing(rig.sink(**settings)) as sink:
        sink.prepare()
        assert sink.deliver(batch(failed_login())).new == 1


def test_a_password_that_was_changed_stops_the_sink(rig: OpenSearchRig) -> None:
    role, _ = documented_roles()
    name = user(rig.server, role)
    with closing(rig.sink(**login(rig.server, name))) as sink:
        sink.prepare()
        sink.deliver(batch(failed_login()))
        set_password(rig.server, name, "Another-2026-and-long-enough!")
        with pytest.raises(MisconfiguredError, match="login was refused"):
            sink.deliver(batch(failed_login(), start=10))
        assert "login was refused" in "".join(sink.check())
    assert PASSWORD not in "".join(sink.check())


def test_an_unknown_authority_is_refused_and_verify_says_so(
    rig: OpenSearchRig, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "ca", "stranger")
    settings = admin(rig.server)
    for ca_file in (None, str(stranger.ca_file)):
        with (
            closing(rig.sink(**settings | {"ca_file": ca_file})) as sink,
            pytest.raises(MisconfiguredError, match="not trusted"),
        ):
            sink.prepare()
    with closing(rig.sink(**settings | {"ca_file": None, "verify": False})) as sink:
        sink.prepare()
        assert sink.deliver(batch(failed_login())).new == 1


def test_a_node_that_is_down_does_not_hide_what_is_wrong_with_the_other(rig: OpenSearchRig) -> None:
    gone = f"https://127.0.0.1:{free_port()}"
    settings = admin(rig.server) | {"ca_file": None}
    for urls in ((gone, rig.server.url), (rig.server.url, gone)):
        with (
            closing(rig.sink(urls=urls, **settings)) as sink,
            pytest.raises(UnavailableError, match=r"cannot be reached.*not trusted"),
        ):
            sink.prepare()


def test_plain_and_tls_mixed_up(rig: OpenSearchRig) -> None:
    core = shared("core")
    https = core.url.replace("http:", "https:")
    with (
        closing(rig.sink(urls=(https,))) as sink,
        pytest.raises(MisconfiguredError, match="http:// instead of https://"),
    ):
        sink.prepare()
    plain = rig.server.url.replace("https:", "http:")
    with (
        closing(rig.sink(urls=(plain,))) as sink,
        pytest.raises(UnavailableError, match="does it want https://"),
    ):
        sink.prepare()


def test_the_role_fits_a_data_stream_by_its_name_alone(rig: OpenSearchRig) -> None:
    role, _ = documented_roles()
    role["index_permissions"][0]["index_patterns"] = [rig.base]
    settings = login(rig.server, user(rig.server, role)) | {"index": rig.base, "data_stream": True}
    told: list[Notice] = []
    with closing(rig.sink(Surroundings(tell=told.append), setup="require", **settings)) as sink:
        sink.prepare()
        assert sink.deliver(batch(failed_login(at=rfc3339(NOW)))).new == 1
    assert told == []


def test_the_documented_role_deletes_a_closed_index_too(rig: OpenSearchRig) -> None:
    role, _ = documented_roles()
    settings = login(rig.server, user(rig.server, role)) | {"retention": "own"}
    around = Surroundings(clock=FakeClock(NOW))
    with closing(rig.sink(around, **settings | {"retention": "off"})) as sink:
        sink.prepare()
        sink.deliver(batch(failed_login(at=rfc3339(NOW - 400 * 86400))))
    (index,) = rig.server.call("GET", f"/{rig.base}-*/_settings")
    rig.server.call("POST", f"/{index}/_close")
    with closing(rig.sink(around, **settings)) as sink:
        sink.prepare()
    rig.server.call("GET", f"/{index}", ok=(404,))


def test_a_certificate_that_has_expired_is_waited_for(rig: OpenSearchRig, tmp_path: Path) -> None:
    core, authority = OpenSearchRig(shared("core")), Authority(tmp_path / "ca")
    ca_file = str(authority.ca_file)
    expired = authority.pair("expired", days=-1)
    with (
        proxy(core.server.url, expired) as between,
        closing(rig.sink(urls=(between.url,), ca_file=ca_file)) as sink,
    ):
        with pytest.raises(UnavailableError, match="expired") as raised:
            sink.prepare()
        assert raised.value.reason == "auth"


@pytest.mark.parametrize("certificate", ["", "old", "forged", "strange"])
def test_a_client_certificate_that_is_missing_expired_or_unknown(
    rig: OpenSearchRig, tmp_path: Path, certificate: str
) -> None:
    """Stop, where the server's alert arrives; TLS 1.3 may also just lose the connection."""
    core, authority = OpenSearchRig(shared("core")), Authority(tmp_path / "ca")
    ca_file = str(authority.ca_file)
    settings: dict[str, Any] = {"ca_file": ca_file}
    if certificate:
        # The forged one's authority has the right name, and another key.
        other = Authority(tmp_path / "other", *([] if certificate == "forged" else ["other"]))
        old = certificate == "old"
        pair = authority.pair(certificate, days=-1) if old else other.pair(certificate)
        settings |= {"client_cert": pair[0], "client_key": pair[1]}
    with (
        proxy(core.server.url, authority.pair("server"), ca_file) as between,
        closing(rig.sink(urls=(between.url,), **settings)) as sink,
        pytest.raises((MisconfiguredError, UnavailableError), match="client certificate"),
    ):
        sink.prepare()


def test_a_missing_file_is_named(rig: OpenSearchRig, tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere.pem")
    for settings in ({"ca_file": missing}, {"client_cert": missing}):
        with (
            closing(rig.sink(**settings)) as sink,
            pytest.raises(MisconfiguredError, match=r"nowhere\.pem"),
        ):
            sink.prepare()
