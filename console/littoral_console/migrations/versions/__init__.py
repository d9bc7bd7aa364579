"""One module a change of the tables; ``revision`` and ``down_revision`` chain them."""
