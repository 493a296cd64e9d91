"""The dashboard "Logins and failures": who, from where, why, and whether somebody is guessing."""

from __future__ import annotations

from typing import Final

from dashboards.generator.grafana import (
    SCOPE,
    Board,
    Panel,
    Query,
    Row,
    annotation,
    bad_from,
    grown,
    label_values,
    where,
)

BY_SOURCE: Final = "mysql_audit_connect_failures_by_source_total"
BY_ACCOUNT: Final = "mysql_audit_connect_failures_by_account_total"
# The detector's and the alert rules' own: 20 refusals in five minutes, five accounts.
BURST: Final = bad_from(None, 20)
SPRAY: Final = bad_from(2, 5)
_CRITICAL: Final = "success_after_burst|password_spray|audit_switched_off"
_NOBODY: Final = 'source_ip!="__other__"'
_NAMED: Final = 'user!="__other__", user=~"$user"'

_OVERVIEW: Final = (
    Panel(
        "stat",
        "Login attempts",
        "Connects and changes of user in the audit log, in the chosen time.",
        [Query("sum(increase(mysql_audit_connects_total{$scope}[$__range]))")],
        width=4,
        height=4,
        decimals=0,
    ),
    Panel(
        "stat",
        "Refused",
        "Logins that the server refused, health probes left out.",
        [Query("sum(increase(mysql_audit_connect_failures_total{$scope}[$__range]))")],
        width=4,
        height=4,
        decimals=0,
        thresholds=bad_from(1, 60),
        runbook="MySQLAuditFailedLoginBurst",
    ),
    Panel(
        "stat",
        "Share refused",
        "Refused logins by login attempts. A wrong password in a program shows here first.",
        [
            Query(
                "sum(increase(mysql_audit_connect_failures_total{$scope}[$__range]))\n/\n"
                "(sum(increase(mysql_audit_connects_total{$scope}[$__range])) > 0)"
            )
        ],
        unit="percentunit",
        width=4,
        height=4,
        decimals=1,
        thresholds=bad_from(0.05, 0.5),
    ),
    Panel(
        "stat",
        "Critical findings",
        "Findings of the detector that may mean somebody is in: a login that succeeded after many "
        "refused ones, one address that tries many accounts, an audit log switched off.",
        [
            Query(
                "sum(increase(mysql_audit_detections_total"
                f'{{$scope, rule=~"{_CRITICAL}"}}[$__range]))'
            )
        ],
        width=4,
        height=4,
        decimals=0,
        thresholds=bad_from(None, 1),
        options={"colorMode": "background"},
        runbook="MySQLAuditLoginAfterFailureBurst",
    ),
    Panel(
        "stat",
        "Accounts/address",
        "The most different accounts that one address was refused as, in the detector's sliding "
        "window. 5 is called spraying.",
        [Query("max(mysql_audit_source_failed_accounts{$scope}) or vector(0)")],
        width=4,
        height=4,
        decimals=0,
        thresholds=SPRAY,
        runbook="MySQLAuditPasswordSpraying",
    ),
    Panel(
        "stat",
        "Audit log",
        "OFF: the last word of at least one server was that it stopped auditing.",
        [Query("min(mysql_audit_logging_enabled{$scope})")],
        width=4,
        height=4,
        thresholds=((None, "red"), (1, "green")),
        mappings=(
            {
                "options": {
                    "0": {"color": "red", "index": 0, "text": "OFF"},
                    "1": {"color": "green", "index": 1, "text": "ON"},
                },
                "type": "value",
            },
        ),
        options={"colorMode": "background"},
        no_value="no record yet",
        runbook="MySQLAuditLoggingDisabled",
    ),
)
_TIME: Final = (
    Panel(
        "lines",
        "Logins",
        "Login attempts and refused logins a second.",
        [
            Query("sum(rate(mysql_audit_connects_total{$scope}[$__rate_interval]))", "attempts"),
            Query(
                "sum(rate(mysql_audit_connect_failures_total{$scope}[$__rate_interval]))",
                "refused",
            ),
        ],
        unit="ops",
        width=12,
        colors={"attempts": "blue", "refused": "red"},
    ),
    Panel(
        "bars",
        "Refused, by reason",
        "Refused logins by the server's error. ER_ACCESS_DENIED_ERROR is an unknown account or a "
        "wrong password: the server does not say which.",
        [
            Query(
                "sum by (error_code, error) (increase("
                "mysql_audit_connect_failures_total{$scope}[$__rate_interval])) > 0",
                "{{error_code}} {{error}}",
            )
        ],
        width=12,
        decimals=0,
        runbook="MySQLAuditNewErrorCode",
    ),
)
_WHO: Final = (
    Panel(
        "table",
        "Accounts refused",
        "The 20 accounts with most refused logins in the chosen time.",
        [Query(f"topk(20, sum by (user) ({grown(BY_ACCOUNT, f'$scope, {_NAMED}', '$__range')}))")],
        width=8,
        height=9,
        decimals=0,
        thresholds=BURST,
        columns={"user": "Account"},
        runbook="MySQLAuditFailedLoginBurstByAccount",
    ),
    Panel(
        "table",
        "Addresses refused",
        "The 20 client addresses with most refused logins in the chosen time.",
        [
            Query(
                "topk(20, sum by (source_ip) "
                f"({grown(BY_SOURCE, f'$scope, {_NOBODY}', '$__range')}))"
            )
        ],
        width=8,
        height=9,
        decimals=0,
        thresholds=BURST,
        columns={"source_ip": "Address"},
        runbook="MySQLAuditFailedLoginBurstBySource",
    ),
    Panel(
        "table",
        "New addresses",
        "Addresses that are refused now and never were before the chosen time, as far back as "
        "Prometheus and the shipper remember.",
        [
            Query(
                f"topk(20, sum by (source_ip) ({BY_SOURCE}{{$scope, {_NOBODY}}}) unless on "
                f"(source_ip) sum by (source_ip) ({BY_SOURCE}{{$scope}} offset $__range))"
            )
        ],
        width=8,
        height=9,
        decimals=0,
        thresholds=BURST,
        columns={"source_ip": "Address"},
        no_value="none",
    ),
)
_GUESSING: Final = (
    Panel(
        "lines",
        "Bursts by address",
        "Refused logins of one address within five minutes. The line at 20 is where the alert "
        "and the detector speak.",
        [
            Query(
                "topk(10, sum by (source_ip) "
                f"({grown(BY_SOURCE, f'$scope, {_NOBODY}', '5m')})) > 0",
                "{{source_ip}}",
            )
        ],
        width=12,
        decimals=0,
        thresholds=BURST,
        runbook="MySQLAuditFailedLoginBurstBySource",
    ),
    Panel(
        "lines",
        "Bursts by account",
        "Refused logins of one account within five minutes, from wherever.",
        [
            Query(
                f"topk(10, sum by (user) ({grown(BY_ACCOUNT, f'$scope, {_NAMED}', '5m')})) > 0",
                "{{user}}",
            )
        ],
        width=12,
        decimals=0,
        thresholds=BURST,
        runbook="MySQLAuditFailedLoginBurstByAccount",
    ),
    Panel(
        "ranking",
        "Spraying: accounts tried by address",
        "Different accounts that an address was refused as, in the detector's sliding window.",
        [Query("max by (source_ip) (mysql_audit_source_failed_accounts{$scope})", "{{source_ip}}")],
        width=8,
        decimals=0,
        thresholds=SPRAY,
        no_value="none",
        runbook="MySQLAuditPasswordSpraying",
    ),
    Panel(
        "bars",
        "Findings over time",
        "What the shipper's own detector found, by rule. Names are in its log and, as alerts, in "
        "the index: see the dashboard Investigation.",
        [
            Query(
                "sum by (rule) (increase("
                "mysql_audit_detections_total{$scope}[$__rate_interval])) > 0",
                "{{rule}}",
            )
        ],
        width=8,
        decimals=0,
        no_value="none",
        runbook="MySQLAuditDetection",
    ),
    Panel(
        "table",
        "Findings",
        "Findings of the detector in the chosen time.",
        [
            Query(
                "sum by (rule, pod) (increase(mysql_audit_detections_total{$scope}[$__range])) > 0"
            )
        ],
        width=8,
        decimals=0,
        thresholds=bad_from(None, 1),
        columns={"rule": "Rule", "pod": "Pod"},
        bars=False,
        no_value="none",
        runbook="MySQLAuditDetection",
    ),
)
_BESIDE: Final = (
    Panel(
        "lines",
        "Health probes",
        "Connections that broke off in the handshake with no user named, a second: load balancers. "
        "They count as attempts and never as refused.",
        [
            Query(
                "sum by (pod) (rate(mysql_audit_connect_probes_total{$scope}[$__rate_interval]))",
                "{{pod}}",
            )
        ],
        unit="ops",
        height=7,
    ),
    Panel(
        "bars",
        "Refused changes of user",
        "Refused attempts to become another user inside an open session. People do not mistype "
        "these.",
        [
            Query(
                "sum by (error) (increase(mysql_audit_connect_failures_total"
                '{$scope, event="change_user"}[$__rate_interval])) > 0',
                "{{error}}",
            )
        ],
        height=7,
        decimals=0,
        no_value="none",
    ),
    Panel(
        "table",
        "Without a series of their own",
        "Refusals of users and addresses beyond the limits of labels: they count in every sum, but "
        "not by name.",
        [
            Query(
                "sum by (metric, reason) (increase("
                "audit_shipper_untracked_label_values_total{$scope}[$__range])) > 0"
            )
        ],
        height=7,
        decimals=0,
        no_value="none",
        thresholds=bad_from(1),
        columns={"metric": "Metric", "reason": "Reason"},
        runbook="AuditShipperLabelValuesCapped",
    ),
)
DETECTIONS: Final = annotation(
    "Findings",
    "red",
    "sum by (rule, pod) (increase(mysql_audit_detections_total{$scope}[1m])) > 0",
    "{{rule}}",
    "found at {{pod}}",
)

BOARD: Final = Board(
    "mysql-audit-logins",
    "MySQL audit: logins and failures",
    "Who logs in, who is refused, from where and why; bursts, spraying, new addresses, findings.",
    (
        Row("At a glance", _OVERVIEW),
        Row("Over time", _TIME),
        Row("Who and from where", _WHO),
        Row("Guessing", _GUESSING),
        Row("Beside it", _BESIDE),
    ),
    (*where(), label_values("user", "Account", f"{BY_ACCOUNT}{{{SCOPE}}}")),
    (DETECTIONS,),
)
