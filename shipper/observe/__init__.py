"""Notices to the outside: metrics, the HTTP endpoint, the log. Knows no other room by name."""
