"""One controller file per resource."""
