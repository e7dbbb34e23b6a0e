"""The primitive boxes, a file a family. Importing this package declares them all."""
