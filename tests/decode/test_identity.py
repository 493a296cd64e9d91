"""Who is who, for every authentication plugin (formats.md 1.6, 7)."""

from __future__ import annotations

import orjson
import pytest
from decode.decoding import decode
from hypothesis import given
from hypothesis import strategies as st

from shipper.decode.identity import parse_identity

# Plugin, what the client sent, account whose privileges count, proxy account, external user.
PLUGINS = [
    ("mysql_native_password", "app", "app", "", ""),
    ("mysql_old_password", "legacy", "legacy", "", ""),
    ("mysql_clear_password", "ldapuser", "ldapuser", "", ""),
    ("authentication_pam, no proxy", "antonio", "antonio", "", "antonio"),
    ("authentication_pam, by group", "antonio", "data_entry", "'antonio'@'%'", "antonio"),
    ("authentication_windows", "", "wlad", "''@''", r"EXAMPLE\wladimir"),
    ("auth_socket", "valerie", "valerie", "", "valerie"),
    ("test_plugin_server", "mary", "employee", "'employee_ext'@'localhost'", "test_login"),
]


def connect_json(user: str, priv_user: str, proxy_user: str, os_login: str) -> bytes:
    fields = {
        "name": "Connect",
        "record": "7_2024-09-03T01:53:14",
        "timestamp": "2024-09-03T01:53:33Z",
        "connection_id": "9",
        "status": 0,
        "user": user,
        "priv_user": priv_user,
        "os_login": os_login,
        "proxy_user": proxy_user,
        "host": "localhost",
        "ip": "",
        "db": "",
    }
    return orjson.dumps({"audit_record": fields}) + b"\n"


def connect_array(user: str, priv_user: str, proxy_user: str, os_login: str) -> bytes:
    text = {key: orjson.dumps(value).decode() for key, value in locals().items()}
    return (
        '{ "timestamp": "2018-05-24 23:15:07", "id": 0, "class": "connection", "event": "connect", '
        f'"connection_id": 12, "account": {{ "user": {text["priv_user"]}, "host": "localhost" }}, '
        f'"login": {{ "user": {text["user"]}, "os": {text["os_login"]}, "ip": "", '
        f'"proxy": {text["proxy_user"]} }}, '
        '"connection_data": { "connection_type": "socket", "status": 0, "db": "" } }\n'
    ).encode()


def connect_new(user: str, priv_user: str, proxy_user: str, os_login: str) -> bytes:
    return (
        "<AUDIT_RECORD>\n <TIMESTAMP>2019-10-03T14:09:38 UTC</TIMESTAMP>\n"
        " <RECORD_ID>2_2019-10-03T14:06:33</RECORD_ID>\n <NAME>Connect</NAME>\n"
        " <CONNECTION_ID>5</CONNECTION_ID>\n <STATUS>0</STATUS>\n <STATUS_CODE>0</STATUS_CODE>\n"
        f" <USER>{user}</USER>\n <OS_LOGIN>{os_login}</OS_LOGIN>\n <HOST>localhost</HOST>\n"
        f" <IP/>\n <COMMAND_CLASS>connect</COMMAND_CLASS>\n <PRIV_USER>{priv_user}</PRIV_USER>\n"
        f" <PROXY_USER>{proxy_user}</PROXY_USER>\n <DB/>\n</AUDIT_RECORD>\n"
    ).encode()


@pytest.mark.parametrize("write", [connect_json, connect_array, connect_new])
@pytest.mark.parametrize(
    ("user", "priv_user", "proxy_user", "os_login"),
    [row[1:] for row in PLUGINS],
    ids=[row[0] for row in PLUGINS],
)
def test_each_name_has_its_own_field(
    write: object, user: str, priv_user: str, proxy_user: str, os_login: str
) -> None:
    assert callable(write)
    (item,) = decode(write(user, priv_user, proxy_user, os_login))
    assert item["kind"] == "connect"
    assert (item["user"], item["priv_user"]) == (user, priv_user)
    assert (item["proxy_user"], item["os_login"]) == (proxy_user, os_login)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("root[root] @ localhost []", ("root", "root", "localhost", "")),
        ("root[root] @ localhost [127.0.0.1]", ("root", "root", "localhost", "127.0.0.1")),
        ("test[test] @  [127.0.0.1]", ("test", "test", "", "127.0.0.1")),
        ("data_entry[antonio] @ pc1 [::1]", ("antonio", "data_entry", "pc1", "::1")),
        ("[] @  []", ("", "", "", "")),
        ("a[b[a[b] @ h []", ("a[b", "a[b", "h", "")),
        # A name that imitates the rest of the form: host and address are the last ones.
        ("x[x] @ evil [6.6.6.6] @ h [10.0.0.1]", ("x] @ evil [6.6.6.6", "x", "h", "10.0.0.1")),
    ],
)
def test_long_users_are_taken_apart(text: str, parts: tuple[str, ...]) -> None:
    assert parse_identity(text) == parts


@pytest.mark.parametrize("text", ["", "root", "root@localhost", "a[b]", "a @ b [c]"])
def test_plain_names_stay(text: str) -> None:
    assert parse_identity(text) is None


NAME = st.text(st.sampled_from("ab[]@ .%\\'\"é"), max_size=8)
HOST = st.text(st.sampled_from("ab.-1"), max_size=6)


@given(NAME, HOST, HOST)
def test_without_proxying_any_name_comes_back(user: str, host: str, ip: str) -> None:
    identity = parse_identity(f"{user}[{user}] @ {host} [{ip}]")
    assert identity == (user, user, host, ip)
