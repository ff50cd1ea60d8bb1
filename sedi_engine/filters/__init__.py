"""The relaxed filter: Self-Instruct's heuristics and an exact, indexed ROUGE-L."""
