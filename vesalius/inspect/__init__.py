"""What needs both the catalogue and the compiler."""
