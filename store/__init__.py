"""The DuckDB store of SeDi Studio: one owner, one writer, many readers."""
