"""What can be said of a document. Pure: Arrow batches in, Arrow batches out; no files, no clock, no network."""
