"""Asking for a stage: every question once, within its budget, each answer stored."""
