"""Documents: what a record becomes for the outside. Pure; one file a schema."""
