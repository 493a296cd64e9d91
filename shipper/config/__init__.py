"""The configuration: one YAML file into frozen, typed settings, all mistakes at once."""

from __future__ import annotations

from shipper.config.document import read_document
from shipper.config.loader import Choices, Loader
from shipper.config.settings import Config, load, load_file, name_of

__all__ = ["Choices", "Config", "Loader", "load", "load_file", "name_of", "read_document"]
