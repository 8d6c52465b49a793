"""Other libraries as methods. They run in processes of an environment of their own, and import nothing of ours."""
