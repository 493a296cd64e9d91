"""Bytes with a position."""
