"""Access to S3 and compatible stores: endpoint, credentials, clients, and the meaning of errors."""
