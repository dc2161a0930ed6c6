"""The packages `models` and `utils` as the original's programs import them; put this folder on PYTHONPATH."""
