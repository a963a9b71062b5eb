"""What a device fetches, checks, keeps and activates: no git, no DVC, no torch."""
