"""A file for each family of networks: it is found here, and its name is what a study calls the family."""
