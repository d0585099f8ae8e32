"""Delta tables on disk or in a bucket: open, create, versions, commit log, data files, scratch space."""
