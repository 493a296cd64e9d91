"""Policy and filters against a plain model of the plugin's rules."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.config import Loader, read_document
from shipper.model import (
    AUDIT_START,
    AUDIT_STOP,
    CHANGE_USER,
    COMMAND,
    CONNECT,
    DISCONNECT,
    KINDS,
    QUERY,
    TABLE,
    AuditRecord,
    Block,
    Defect,
    Reason,
    Span,
)
from shipper.policy import PolicySettings
from shipper.policy.lists import accounts, names
from shipper.refine.policy import Policy, _Verdicts


def block(records: list[AuditRecord]) -> Block:
    """Ten bytes a record, from 1000; a defect before the first."""
    starts = [1010 + 10 * number for number in range(len(records))]
    defect = Defect(Reason.FOREIGN, "?", Span(1000, 1010), b"?")
    return Block(
        1000, 1010 + 10 * len(records), records, starts, [s + 10 for s in starts], [defect]
    )


def passes(settings: PolicySettings, **fields: Any) -> bool:
    kept, _ = Policy(settings).select(block([AuditRecord(**fields)]))
    return bool(kept.records)


# --- the model: the rules of docs/policy.md, one by one, for one record

USERS = ("app", "root", "o'neil", "a@b", "", "App")
HOSTS = ("web1", "10.0.0.7", "%", "10.0.%", "10.0.0.0/255.255.0.0", "WEB1", "web_", "")
COMMANDS = ("select", "create_table", "set_option", "error", "SELECT")
DATABASES = ("shop", "my,db", "Shop")
NAMES = {"accounts": None, "commands": COMMANDS, "databases": DATABASES}


def like(text: str, pattern: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(like(text[at:], pattern[1:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] in {"_", text[0]} and like(text[1:], pattern[1:])


def account_listed(record: AuditRecord, listed: list[tuple[str, str]]) -> bool | None:
    user = record.priv_user or record.user
    if user is None and record.host is None and record.ip is None:
        return None
    places = [place.lower() for place in (record.host, record.ip) if place] or [""]
    for name, host in listed:
        if name != (user or ""):
            continue
        for place in places:
            if like(place, host.lower()):
                return True
            if "/" in host and place.startswith("10.0."):  # the only network in HOSTS
                return True
    return False


def listed_in(record: AuditRecord, filter_: str, entries: list[Any]) -> bool | None:
    if filter_ == "accounts":
        return account_listed(record, entries)
    if record.kind in {CONNECT, DISCONNECT, CHANGE_USER}:
        return None
    if filter_ == "commands":
        if not record.command_class:
            return None
        return record.command_class.lower() in [entry.lower() for entry in entries]
    if record.kind not in {QUERY, TABLE} or not record.db:
        return None
    return None if record.command_class == "create_table" else record.db in entries


def model(record: AuditRecord, policy: str, lists: dict[str, list[Any]]) -> str | None:
    if record.kind in {AUDIT_START, AUDIT_STOP}:
        return None
    wanted = {
        "ALL": True,
        "NONE": False,
        "LOGINS": record.kind in {CONNECT, DISCONNECT, CHANGE_USER},
        "QUERIES": record.kind not in {CONNECT, DISCONNECT, CHANGE_USER},
    }
    if not wanted[policy]:
        return "policy"
    for filter_ in ("accounts", "commands", "databases"):
        for way in ("include", "exclude"):
            entries = lists.get(f"{way}_{filter_}")
            listed = None if entries is None else listed_in(record, filter_, entries)
            if listed is not None and listed != (way == "include"):
                return filter_
    return None


def maybe(values: tuple[str, ...]) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(values)


RECORDS = st.builds(
    AuditRecord,
    kind=st.sampled_from(KINDS),
    user=maybe(USERS),
    priv_user=maybe(USERS),
    host=maybe(HOSTS[:2] + HOSTS[-3:]),
    ip=maybe(("10.0.0.7", "10.0.200.1", "192.168.0.1", "")),
    command_class=maybe(COMMANDS),
    db=maybe((*DATABASES, "")),
)


@st.composite
def filters(draw: st.DrawFn) -> dict[str, list[Any]]:
    lists: dict[str, list[Any]] = {}
    for filter_, values in NAMES.items():
        way = draw(st.sampled_from(("include", "exclude", None)))
        if way is None:
            continue
        entry = st.tuples(st.sampled_from(USERS), st.sampled_from(HOSTS[:-1]))
        lists[f"{way}_{filter_}"] = draw(
            st.lists(entry if values is None else st.sampled_from(values), max_size=3)
        )
    return lists


def quoted(text: str, quote: str) -> str:
    return f"{quote}{text.replace(quote, quote * 2)}{quote}"


def rendered(entry: Any, quote: str) -> str:
    if isinstance(entry, tuple):
        return "@".join(quoted(part, quote) for part in entry)
    return quoted(entry, quote)


@given(
    records=st.lists(RECORDS, max_size=12),
    policy=st.sampled_from(("ALL", "LOGINS", "QUERIES", "NONE")),
    lists=filters(),
    quote=st.sampled_from("'\"`"),
    as_text=st.booleans(),
)
def test_a_policy_is_its_model(
    *,
    records: list[AuditRecord],
    policy: str,
    lists: dict[str, list[Any]],
    quote: str,
    as_text: bool,
) -> None:
    texts = {key: tuple(rendered(e, quote) for e in entries) for key, entries in lists.items()}
    options: Any = {key: ", ".join(text) if as_text else text for key, text in texts.items()}
    settings = PolicySettings(policy=policy, **options)  # type: ignore[arg-type]
    assert list(settings.problems()) == []
    whole = block(records)
    kept, counts = Policy(settings).select(whole)
    verdicts = [model(record, policy, lists) for record in records]
    expected = [at for at, verdict in enumerate(verdicts) if verdict is None]
    assert kept.records == [records[at] for at in expected]
    assert kept.starts == [whole.starts[at] for at in expected]
    assert kept.ends == [whole.ends[at] for at in expected]
    assert (kept.start, kept.end, kept.defects) == (whole.start, whole.end, whole.defects)
    assert counts == {name: verdicts.count(name) for name in set(verdicts) - {None}}
    assert len(whole.records) == len(records)  # other sinks share it


# --- examples of each rule, as docs/policy.md gives them


def test_without_filters_the_block_itself_is_given() -> None:
    whole = block([AuditRecord(kind=kind) for kind in KINDS])
    kept, counts = Policy(PolicySettings()).select(whole)
    assert kept is whole
    assert counts == {}


@pytest.mark.parametrize("kind", [AUDIT_START, AUDIT_STOP])
def test_start_and_stop_of_the_audit_log_always_pass(kind: str) -> None:
    settings = PolicySettings(policy="NONE", include_accounts="nobody@nowhere")
    assert passes(settings, kind=kind, user="root", host="localhost", command_class="select")


def test_the_account_is_that_of_the_privileges_else_the_login() -> None:
    settings = PolicySettings(exclude_accounts="'app'@'web1'")
    assert passes(settings, kind=CONNECT, user="app", priv_user="proxied", host="web1")
    assert not passes(settings, kind=CONNECT, user="login", priv_user="app", host="web1")
    assert not passes(settings, kind=CONNECT, user="app", priv_user="", host="web1", status=1045)


@pytest.mark.parametrize(
    ("entry", "matches"),
    [
        ("app@web1.example.org", True),
        ("app@WEB1.example.org", True),
        ("app@10.1.2.3", True),
        ("app@%", True),
        ("'app'@'10.1.%'", True),
        ("app@'web_.example.org'", True),
        ("app@10.0.0.0/255.0.0.0", True),
        ("App@%", False),
        ("app@localhost", False),
        ("app@10.1.2", False),
        ("app@webX.example.org", False),
        ("app@web1-example.org", False),
    ],
)
def test_an_entry_matches_the_host_or_the_address(entry: str, *, matches: bool) -> None:
    settings = PolicySettings(include_accounts=entry)
    record = {"kind": QUERY, "user": "app", "host": "web1.example.org", "ip": "10.1.2.3"}
    assert passes(settings, **record) == matches


def test_commands_and_databases_concern_no_connections() -> None:
    settings = PolicySettings(include_commands="select", include_databases="shop")
    for kind in (CONNECT, DISCONNECT, CHANGE_USER):
        assert passes(settings, kind=kind, command_class="connect", db="other")


def test_a_table_is_always_logged_when_it_is_made_and_what_touches_none_too() -> None:
    settings = PolicySettings(include_databases="shop")
    assert not passes(settings, kind=QUERY, command_class="select", db="other")
    assert passes(settings, kind=QUERY, command_class="create_table", db="other")
    assert passes(settings, kind=QUERY, command_class="select", db="")
    assert passes(settings, kind=COMMAND, command_class="error", db="other")


def test_what_a_record_does_not_say_leaves_it_in() -> None:
    settings = PolicySettings(
        include_accounts="app@%", include_commands="select", include_databases="shop"
    )
    assert passes(settings, kind=QUERY)


def test_an_empty_list_includes_nothing_and_excludes_nothing() -> None:
    record = {"kind": QUERY, "command_class": "select"}
    assert not passes(PolicySettings(include_commands=""), **record)
    assert not passes(PolicySettings(include_commands=()), **record)
    assert passes(PolicySettings(exclude_commands=""), **record)


# --- lists


def test_lists_as_the_plugin_takes_them() -> None:
    assert names("select, set_option ,,`my,db`,'it''s'") == [
        "select",
        "set_option",
        "my,db",
        "it's",
    ]
    assert accounts("root@localhost,'app'@'10.%', \"o'neil\"@`%`, ''@h, a@b@c, @h") == [
        ("root", "localhost"),
        ("app", "10.%"),
        ("o'neil", "%"),
        ("", "h"),
        ("a@b", "c"),
        ("", "h"),
    ]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"include_accounts": "root"}, "include_accounts: 'root' is not an account"),
        ({"exclude_accounts": ("a@b,c@d'",)}, "is not an account"),
        ({"include_accounts": "root@"}, "'root@' is not an account"),
        ({"include_databases": "shop,'my"}, 'include_databases: a quote is not closed in "\'my"'),
        ({"exclude_commands": ("a'b",)}, 'exclude_commands: "a\'b" is not a name'),
        (
            {"include_commands": "", "exclude_commands": ""},
            "include_commands and exclude_commands exclude each other",
        ),
    ],
)
def test_mistakes_are_problems(options: dict[str, Any], problem: str) -> None:
    settings = PolicySettings(**options)
    (found,) = settings.problems()
    assert problem in found
    with pytest.raises(ValueError, match=r"exclude each other|is not a|is not closed"):
        Policy(settings)


def test_the_configuration_may_give_text_or_a_list() -> None:
    value, problems = read_document(
        "policy: LOGINS\ninclude_accounts: \"'app'@'%', root@localhost\"\n"
        "exclude_databases: [shop, mysql]\n",
        {},
    )
    loader = Loader({}, str)
    settings = loader.load(PolicySettings, value)
    assert problems + loader.problems == []
    assert settings == PolicySettings(
        policy="LOGINS",
        include_accounts="'app'@'%', root@localhost",
        exclude_databases=("shop", "mysql"),
    )


# --- the memo


def test_verdicts_are_remembered_and_memory_is_limited() -> None:
    asked = []

    def judge(key: tuple[str | None, ...]) -> str:
        asked.append(key)
        return "accounts"

    verdicts = _Verdicts(judge)
    for number in range(10_000):
        assert verdicts["query", str(number)] == "accounts"
        assert verdicts["query", str(number)] == "accounts"
        assert len(verdicts) <= _Verdicts.ENTRIES_MAX
    assert len(asked) == 10_000
    assert verdicts["query", "x" * 100_000] == "accounts"
    assert not any(len(key[1] or "") > 10_000 for key in verdicts)
