"""The ledger in the root: what nights before tell the gate, and what this night adds."""
