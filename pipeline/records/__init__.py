"""What was found, what it depends on, and whether that still holds: every view is made from these records."""
