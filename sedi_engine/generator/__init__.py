"""Where candidates come from: prompts, clients, replies and the filling of a window."""
