"""The loop that may promise anything: read, decode, refine, deliver."""
