"""How diagrams change: rules with grades, matching, applying, derivations, checking."""
