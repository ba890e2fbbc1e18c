"""Everything that touches a model; runs inside Ray jobs, never inside a service."""
