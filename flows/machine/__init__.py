"""Machine: what a night needs of it and of the services around it, checked by `doctor` and shown by `status`."""
