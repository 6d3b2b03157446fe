"""Measurements that are too slow or too noisy for a test; see `python -m bench --help`."""
