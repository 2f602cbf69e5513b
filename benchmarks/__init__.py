"""What the project claims of its speed, measured again with one command each."""
