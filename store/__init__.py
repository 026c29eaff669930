"""Files, hashes, formats, the frozen snapshot and the DuckDB catalog. Knows no Beam."""
