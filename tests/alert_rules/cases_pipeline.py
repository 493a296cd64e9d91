"""When each alert on the pipeline fires, and when not. The notation of series: promtool.py."""

from __future__ import annotations

from typing import Final

from alert_rules.promtool import BIRTH, BOUNDARY, CLEARS, FIRES, GAP, RESET, Case
from alert_rules.shapes import BUILD, J, P, counter, process_counter

_GAPS = f'audit_shipper_source_gaps_total{{{J},{P},source="db",sink="index",reason="r"}}'
_DEAD = f'audit_shipper_sink_dead_lettered_records_total{{{J},{P},sink="index",reason="r"}}'
_DROPPED = f'audit_shipper_sink_dropped_records_total{{{J},{P},sink="index",reason="r"}}'


def _sink(name: str) -> str:
    return f'audit_shipper_sink_{name}{{{J},{P},sink="index"}}'


def _source(name: str) -> str:
    return f'audit_shipper_{name}{{{J},{P},source="db",sink="index"}}'


_OTHER_BUILD = BUILD.replace('"p"', '"q"').replace('"i"', '"k"')
_MIB = 1024 * 1024
_DECODED = f'audit_shipper_records_decoded_total{{{J},{P},source="db",record_class="query"}}'
_FAILED = f'audit_shipper_decode_failures_total{{{J},{P},source="db",reason="cut"}}'
_UNTRACKED = f'audit_shipper_untracked_label_values_total{{{J},{P},metric="m",reason="max_series"}}'

CASES: Final[dict[str, list[Case]]] = {
    "AuditShipperTargetMissing": [
        Case("never seen", {"x": "0x100"}, ("20m",), ("3m",), shows=BIRTH),
        Case(
            "gone, and back",
            {BUILD: "1x40 stale _x100 1x20"},
            ("26m",),
            ("9m", "22m", "37m"),
            'severity="critical"',
            (FIRES, CLEARS),
        ),
        Case("a short gap", {BUILD: "1x40 _x20 1x40"}, silent=("15m",), shows=(BOUNDARY, GAP)),
    ],
    "AuditShipperTargetGone": [
        Case(
            "one of two is gone for the night; it clears by itself",
            {BUILD: "1x40 stale", _OTHER_BUILD: "1x3200"},
            ("27m", "11h"),
            ("9m", "18m", "13h"),
            f'severity="warning",{P}',
            (FIRES, CLEARS),
        ),
        Case(
            "gone, and back",
            {BUILD: "1x40 stale _x100 1x40", _OTHER_BUILD: "1x400"},
            ("27m",),
            ("9m", "37m", "40m"),
        ),
        Case(
            "a short gap",
            {BUILD: "1x40 _x20 1x40"},
            silent=("15m", "25m"),
            shows=(BOUNDARY, GAP),
        ),
        Case(
            "back after a restart, with another version at another address",
            {
                BUILD: "1x40 stale",
                BUILD.replace('"i"', '"k"').replace('version="1"', 'version="2"'): "_x44 1x400",
            },
            silent=("9m", "27m", "60m"),
            shows=BIRTH,
        ),
        Case(
            "Prometheus was away",
            {BUILD: "1x40 _x240 1x100", _OTHER_BUILD: "1x40 _x240 1x100"},
            silent=("71m", "77m"),
        ),
    ],
    "AuditShipperDeliveryLagging": [
        Case(
            "ten minutes behind with records waiting",
            {_sink("acked_record_timestamp_seconds"): "0x400", _sink("pending_records"): "5x400"},
            ("17m",),
            ("4m", "14m"),
            f'severity="warning",{P},sink="index"',
            (FIRES, BOUNDARY),
        ),
        Case(
            "until it has caught up",
            {
                _sink("acked_record_timestamp_seconds"): "0x80 1215+15x100",
                _sink("pending_records"): "5x400",
            },
            ("17m",),
            ("21m", "30m"),
            shows=CLEARS,
        ),
        Case(
            "a sink that has acknowledged nothing yet: AuditShipperSinkDown is for it",
            {_sink("pending_records"): "5x400"},
            silent=("17m", "60m"),
            shows=BIRTH,
        ),
        Case(
            "a scrape gap",
            {
                _sink("acked_record_timestamp_seconds"): "0+15x40 _x80 1815+15x100",
                _sink("pending_records"): "5x40 _x80 5x100",
            },
            silent=("20m", "31m", "42m"),
            shows=GAP,
        ),
        Case(
            "an idle server",
            {_sink("acked_record_timestamp_seconds"): "0x400", _sink("pending_records"): "0x400"},
            silent=("17m", "60m"),
        ),
        Case(
            "a sink that is done now and then",
            {
                _sink("acked_record_timestamp_seconds"): "0x400",
                _sink("pending_records"): "5x8 0 5x8 0 5x8 0 5x8 0 5x8 0 5x8 0 5x8 0 5x8 0 5x8 0",
            },
            silent=("17m", "20m"),
        ),
        Case(
            "in time",
            {
                _sink("acked_record_timestamp_seconds"): "0+15x400",
                _sink("pending_records"): "5x400",
            },
            silent=("30m",),
        ),
    ],
    "AuditShipperBacklogGrowing": [
        Case(
            "more than 100 MiB and growing",
            {_source("source_pending_bytes"): f"0+{5 * _MIB}x200"},
            ("25m",),
            ("3m", "15m"),
            f'severity="warning",{P},source="db"',
            (FIRES, BIRTH),
        ),
        Case(
            "until it shrinks",
            {_source("source_pending_bytes"): f"0+{5 * _MIB}x120 {600 * _MIB}-{5 * _MIB}x100"},
            ("28m",),
            ("42m",),
            shows=CLEARS,
        ),
        Case(
            "a scrape gap, and no more behind it than before",
            {_source("source_pending_bytes"): f"{900 * _MIB}x20 _x80 {800 * _MIB}x100"},
            silent=("26m", "40m", "45m"),
            shows=GAP,
        ),
        Case(
            "shrinking",
            {_source("source_pending_bytes"): f"{900 * _MIB}-{_MIB}x400"},
            silent=("25m", "60m"),
        ),
        Case(
            "growing below 100 MiB",
            {_source("source_pending_bytes"): "0+100000x400"},
            silent=("25m", "60m"),
            shows=BOUNDARY,
        ),
    ],
    "AuditShipperSinkDown": [
        Case(
            "down for ten minutes, then up",
            {_sink("up"): "1x40 0x60 1x40"},
            ("21m",),
            ("14m", "19m", "26m"),
            f'severity="critical",{P},sink="index"',
            (FIRES, CLEARS),
        ),
        Case(
            "never up since the shipper began",
            {_sink("up"): "_x40 0x60"},
            ("16m",),
            ("9m", "14m"),
            shows=BIRTH,
        ),
        Case(
            "up now and then",
            {_sink("up"): "0x15 1 0x15 1 0x15 1 0x15 1 0x15 1 0x15 1"},
            silent=("12m", "20m"),
            shows=BOUNDARY,
        ),
        Case("not scraped", {_sink("up"): "1x40 _x80"}, silent=("25m",), shows=GAP),
    ],
    "AuditShipperDeadLettering": [
        *counter(_DEAD, 30, f'severity="warning",{P},sink="index",reason="r"'),
        *process_counter(_DEAD, 30),
    ],
    "AuditShipperRecordsDropped": [
        *counter(_DROPPED, 60, f'severity="critical",{P},sink="index",reason="r"'),
        *process_counter(_DROPPED, 60),
    ],
    "AuditShipperSourceGap": [
        *counter(_GAPS, 60, f'severity="critical",{P},source="db",reason="r"'),
        *process_counter(_GAPS, 60),
    ],
    "AuditShipperDecodeFailures": [
        Case(
            "one in a hundred, for long enough",
            {_DECODED: "0+100x400", _FAILED: "0+1x400"},
            ("20m",),
            ("14m",),
            f'severity="warning",{P},source="db"',
            FIRES,
        ),
        Case(
            "until they can be read",
            {_DECODED: "0+100x400", _FAILED: "0+1x100 100x300"},
            ("24m",),
            ("45m",),
            shows=CLEARS,
        ),
        Case(
            "nothing can be read at all",
            {_DECODED: "0x400", _FAILED: "0+1x400"},
            ("20m",),
            ("14m",),
        ),
        Case(
            "exactly one in a thousand",
            {_DECODED: "0+1000x400", _FAILED: "0+1x400"},
            silent=("20m", "60m"),
            shows=BOUNDARY,
        ),
        Case(
            "a shipper that starts with the counts of its former life",
            {_DECODED: "_x40 90000+100x100", _FAILED: "_x40 5000x100"},
            silent=("26m", "34m"),
            shows=BIRTH,
        ),
        Case(
            "a scrape gap",
            {_DECODED: "0+100x40 _x80 12100+100x100", _FAILED: "0x40 _x80 5x100"},
            silent=("31m", "36m", "50m"),
            shows=GAP,
        ),
        Case(
            "one in ten thousand",
            {_DECODED: "0+10000x400", _FAILED: "0+1x400"},
            silent=("20m", "60m"),
        ),
        Case("nothing at all", {_DECODED: "5x400", _FAILED: "0x400"}, silent=("20m", "60m")),
        Case(
            "a reset of both",
            {_DECODED: "90000+100x40 0+100x400", _FAILED: "50x40 0x400"},
            silent=("20m", "60m"),
            shows=RESET,
        ),
    ],
    "AuditShipperCheckpointStale": [
        Case(
            "reading without saving",
            {
                _source("checkpoint_timestamp_seconds"): "0x400",
                _source("source_read_bytes_total"): "0+100x400",
            },
            ("16m",),
            ("9m", "14m"),
            f'severity="warning",{P},source="db",sink="index"',
            (FIRES, BOUNDARY),
        ),
        Case(
            "until it is saved",
            {
                _source("checkpoint_timestamp_seconds"): "0x80 1215+15x100",
                _source("source_read_bytes_total"): "0+100x400",
            },
            ("16m",),
            ("21m", "30m"),
            shows=CLEARS,
        ),
        Case(
            "the bytes begin anew with the process, and are saved",
            {
                _source("checkpoint_timestamp_seconds"): "0x40 615+15x400",
                _source("source_read_bytes_total"): "9000x40 0+100x400",
            },
            silent=("16m", "30m"),
            shows=RESET,
        ),
        Case(
            "never saved since the shipper began: AuditShipperSinkDown is for it",
            {_source("source_read_bytes_total"): "_x40 0+100x400"},
            silent=("16m", "60m"),
            shows=BIRTH,
        ),
        Case(
            "a scrape gap",
            {
                _source("checkpoint_timestamp_seconds"): "0+15x40 _x80 1815+15x100",
                _source("source_read_bytes_total"): "0+100x40 _x80 9900+100x100",
            },
            silent=("20m", "31m", "38m"),
            shows=GAP,
        ),
        Case(
            "nothing to read",
            {
                _source("checkpoint_timestamp_seconds"): "0x400",
                _source("source_read_bytes_total"): "900x400",
            },
            silent=("16m", "60m"),
        ),
    ],
    "AuditShipperLabelValuesCapped": [
        Case(
            "some found no room",
            {_UNTRACKED: "0x8 0+1x60 60x400"},
            ("20m", "60m"),
            ("14m", "80m"),
            f'severity="info",{P},metric="m"',
            (FIRES, CLEARS),
        ),
        Case("none", {_UNTRACKED: "7x400"}, silent=("20m",), shows=BOUNDARY),
        Case("a reset", {_UNTRACKED: "7x40 0x400"}, silent=("20m", "40m"), shows=RESET),
        Case(
            "a shipper that starts with the counts of its former life",
            {_UNTRACKED: "_x40 7x400"},
            silent=("30m", "60m"),
            shows=BIRTH,
        ),
        Case(
            "a scrape gap",
            {_UNTRACKED: "7x40 _x40 7x100"},
            silent=("30m", "40m"),
            shows=GAP,
        ),
    ],
}
