"""Votes as training data: preference pairs, the gates they pass, the files that platforms and trainers read."""
