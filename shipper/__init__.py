"""audit-shipper: decode, prove and ship the audit logs of MySQL-family servers."""

__version__ = "0.1.0"
