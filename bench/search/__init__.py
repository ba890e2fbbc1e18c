"""Search over pipelines beside a fixed recipe and random search, on equal budgets of trainings."""
