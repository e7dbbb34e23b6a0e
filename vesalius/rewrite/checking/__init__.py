"""What stands behind `vesalius.rewrite.check`: evidence, one file a kind of it."""
