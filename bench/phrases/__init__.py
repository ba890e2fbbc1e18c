"""Phrases by four authors who saw neither the rules of triage nor the benchmark's templates."""
