"""The store: objects and refs, on a local disk and on S3, and every path under the root."""
