"""Networks that a recipe can name: from embeddings and numbers to a logit, one function each."""
