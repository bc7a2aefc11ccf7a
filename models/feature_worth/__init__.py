"""Features on later days than those of training: their values there, and what log loss they save."""
