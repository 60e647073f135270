"""HTTP beside the pages: the gate in front of everything, signed cookies, health, metrics, the operator's session."""
