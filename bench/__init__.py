"""Measurements that are too slow or too noisy for a test; see `python -m bench --help`."""

AS_OF = "2026-11-23T12:00:00+00:00"
