"""Curation: what people decide about tasks and seeds, and the evidence that they decide on."""
