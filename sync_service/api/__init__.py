"""The HTTP API. What users ask for runs under their own token; the machine's door is the engine."""
