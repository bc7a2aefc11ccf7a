"""Write the data of the demonstrations."""
