"""Recorded training runs, as search spaces from which jobs are drawn and on which answers are judged."""
