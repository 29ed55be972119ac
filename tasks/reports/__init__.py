"""Pages: the report, its sections, and their templates."""
