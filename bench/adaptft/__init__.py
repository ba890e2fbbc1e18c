"""AdaptFT-Bench: who gets better, and who gets worse, on logs that cannot be trusted (paper §3)."""
