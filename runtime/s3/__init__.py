"""S3 and stores that speak its protocol: how they are reached, and what their refusals mean."""
