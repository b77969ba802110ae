"""Metrics, non-recurrent baselines, reports and plots."""
