"""Where artifacts come from: a folder, HTTP, SSH or S3, all as one `Source`."""
