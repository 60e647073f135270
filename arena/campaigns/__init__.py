"""Campaigns: prompts answered ahead of time by a set of models, and judged later by one or several people."""
