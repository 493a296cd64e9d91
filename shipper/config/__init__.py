"""The configuration: one YAML file into frozen, typed settings, all mistakes at once."""

from __future__ import annotations

from shipper.config.document import read_document
from shipper.config.loader import Choices, Loader

__all__ = ["Choices", "Loader", "read_document"]
