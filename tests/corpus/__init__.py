"""Logs as the servers write them, from the description of the formats alone.

`writers.WRITERS` is the table of layouts, `realistic` streams logs of any size, `strategies` makes
hostile events. Nothing here imports `shipper`: this package is the independent witness.
"""
